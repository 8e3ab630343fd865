"""What must not be in the repository, and what must."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.docs.pages import ROOT

IGNORED = {name.strip("/") for name in (ROOT / ".gitignore").read_text().split()}
WORDS = {
    "absolute path": r"/work/|/home/|/root/|/Users/",
    "private registry": r"artifactory|nexus\.|devpi|pkgs\.dev",
    "how it was made": (
        r"claude|anthropic|chatgpt|openai|copilot|subagent|co-authored-by|language model"
        r"|\bLLM\b|\bAI\b|shared/reference|\bbriefs/|\bworktree"
    ),
}
FORBIDDEN = [
    pytest.param(re.compile(words, re.IGNORECASE), id=what.replace(" ", "-"))
    for what, words in WORDS.items()
]


def files() -> list[Path]:
    """Every file of the repository but this one, which has to name the words."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        names = {ROOT / name for name in listed.split("\0") if name}
    else:
        names = set(unpacked())
    return sorted(path for path in names if path.is_file() and path != Path(__file__))


def unpacked() -> Iterator[Path]:
    """Every file that is not ignored, where there is no git to ask."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in IGNORED]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def found(word: re.Pattern[str], text: str) -> list[str]:
    return [line.strip()[:120] for line in text.splitlines() if word.search(line)]


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_names_this_machine_or_how_it_was_made(word: re.Pattern[str]) -> None:
    hits = {
        str(path.relative_to(ROOT)): lines
        for path in files()
        if (lines := found(word, text_of(path)))
    }
    assert hits == {}


def test_a_path_of_this_machine_would_be_seen() -> None:
    word = FORBIDDEN[0].values[0]
    assert isinstance(word, re.Pattern)
    assert found(word, "bundle: /home/someone/models") != []


def test_packages_come_from_the_public_index() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    sources = {tuple(package["source"].items()) for package in lock["package"]}
    registries = {value for source in sources for name, value in source if name == "registry"}
    assert registries == {"https://pypi.org/simple"}


def test_licence_is_apache_2_in_file_and_metadata() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    for path in [ROOT / "pyproject.toml", *(ROOT / "services").glob("*/pyproject.toml")]:
        project = tomllib.loads(path.read_text())["project"]
        assert project["license"] == "Apache-2.0", path


def test_ci_runs_every_suite_and_is_executable() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text
    for target in ("check", "test", "e2e-laptop"):
        assert f"make --no-print-directory {target}" in text
    syntax = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (syntax.returncode, syntax.stderr) == (0, "")


CLUSTER_TOOLS = ("docker", "kind", "kubectl", "helm")


def _ci(folder: Path, tools: Mapping[str, str], **environment: str) -> CompletedProcess[str]:
    """``.ci/run`` of a project with nothing beside it; with these programs in front of others."""
    run = folder / "project" / ".ci" / "run"
    run.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", run)
    place = folder / "tools"
    place.mkdir()
    for name, text in tools.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    found = {**os.environ, "CI": "", **environment, "PATH": f"{place}:{os.environ['PATH']}"}
    return subprocess.run([str(run)], env=found, capture_output=True, text=True, timeout=30)


def test_ci_says_aloud_that_no_story_was_told_on_a_cluster(tmp_path: Path) -> None:
    absent = dict.fromkeys(CLUSTER_TOOLS, "#!/bin/bash\nexit 1\n")
    done = _ci(tmp_path, {"make": "#!/bin/bash\n", **absent})
    assert done.returncode == 0
    assert "SKIPPED: no docker, kind, kubectl and helm here" in done.stdout


def test_ci_fails_where_a_cluster_should_be_and_is_not(tmp_path: Path) -> None:
    setup = tmp_path / "shared" / "cluster" / "setup.sh"
    setup.parent.mkdir(parents=True)
    setup.write_text("#!/bin/bash\n")
    setup.chmod(0o755)
    absent = dict.fromkeys(CLUSTER_TOOLS, "#!/bin/bash\nexit 1\n")
    quiet = dict.fromkeys(("apt-get",), "#!/bin/bash\n")
    done = _ci(tmp_path, {"make": "#!/bin/bash\n", **absent, **quiet}, CI="true")
    assert done.returncode == 1
    assert "failed: e2e" in done.stdout


@pytest.mark.parametrize(
    ("setup", "code"),
    [pytest.param("sleep 1", 0, id="made"), pytest.param("exit 3", 1, id="not-made")],
)
def test_ci_waits_for_the_tools_of_a_cluster(tmp_path: Path, setup: str, code: int) -> None:
    script = tmp_path / "shared" / "cluster" / "setup.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/bash\n{setup}\n")
    script.chmod(0o755)
    make = '#!/bin/bash\necho "3 passed in 1.25s ($2) $KIND_CONFIG"\n'
    tools = {"make": make, **dict.fromkeys(CLUSTER_TOOLS, "#!/bin/bash\n")}
    done = _ci(tmp_path, tools)
    assert done.returncode == code, done.stdout
    assert ("(e2e) ../shared/cluster/kind-3-nodes.yaml" in done.stdout) == (code == 0)


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        pytest.param("", 0, id="nothing-fails"),
        pytest.param("sync", 1, id="sync"),
        pytest.param("check", 1, id="check"),
        pytest.param("test", 1, id="test"),
        pytest.param("e2e-laptop", 1, id="e2e-laptop"),
        pytest.param("e2e", 1, id="e2e"),
    ],
)
def test_ci_fails_when_anything_fails_and_prints_closing_lines(
    tmp_path: Path, failing: str, code: int
) -> None:
    make = f'#!/bin/bash\necho "3 passed in 1.25s ($2)"\n[[ "$2" != "{failing}" ]]\n'
    done = _ci(tmp_path, {"make": make, **dict.fromkeys(CLUSTER_TOOLS, "#!/bin/bash\n")})
    assert done.returncode == code
    if failing == "sync":
        assert "check" not in done.stdout
    else:
        assert "e2e-laptop: 3 passed in 1.25s" in done.stdout.partition("summary")[2]
    assert ("all passed" in done.stdout) == (code == 0)
    assert failing in done.stdout
