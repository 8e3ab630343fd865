"""``make install`` and ``make uninstall``, with programs that write down what they are told."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.charts.support import ROOT

LOG = '#!/bin/bash\necho "$(basename "$0") $*" >> "$LOG"\n'
IMAGES = "docker.io/sluice/controller:0.1.0\\ndocker.io/sluice/router:0.1.0\\n"
GOOD = {
    "kubectl": LOG,
    "helm": LOG,
    "docker": LOG + f'if [[ "$1" == exec ]]; then printf "{IMAGES}"; else echo sha256:1; fi\n',
}


def make(tmp_path: Path, *words: str, **tools: str) -> tuple[int, str, str]:
    """Exit code, what was said, and what was run."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in {**GOOD, **tools}.items():
        if text:
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
    log = tmp_path / "log"
    log.touch()
    system = tmp_path / "system"  # what make itself needs, and none of the real ones
    system.mkdir()
    for name in (
        "bash",
        "grep",
        "sed",
        "cat",
        "basename",
        "printf",
        "awk",
        "uname",
        "test",
        "true",
    ):
        for place in ("/usr/bin", "/bin"):
            if Path(place, name).exists() and not (system / name).exists():
                (system / name).symlink_to(Path(place, name))
    environment = {**os.environ, "PATH": f"{folder}:{system}", "LOG": str(log)}
    done = subprocess.run(
        ["/usr/bin/make", "--no-print-directory", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr, log.read_text()


def test_install_upgrades_or_installs_with_the_values_of_the_environment(tmp_path: Path) -> None:
    code, said, ran = make(tmp_path, "install", "ENV=staging")
    assert code == 0, said
    [command] = [line for line in ran.splitlines() if line.startswith("helm ")]
    assert command.startswith("helm upgrade --install sluice charts/sluice")
    for part in ("--take-ownership", "-f k8s/values/staging.yaml", "--wait", "sha256:1"):
        assert part in command
    assert "controller.image.tag=0.1.0" in command


@pytest.mark.parametrize(
    ("tool", "text", "said"),
    [
        pytest.param("helm", "", "helm not found: install Helm", id="no-helm"),
        pytest.param("kubectl", LOG + "exit 1\n", "'make cluster' first", id="no-cluster"),
        pytest.param("docker", LOG, "'make images' first", id="no-images"),
    ],
)
def test_install_says_what_comes_first(tmp_path: Path, tool: str, text: str, said: str) -> None:
    code, output, ran = make(tmp_path, "install", **{tool: text})
    assert code != 0
    assert said in output
    assert "helm upgrade" not in ran


def test_uninstall_does_not_leave_releases_without_a_router(tmp_path: Path) -> None:
    there = LOG + 'if [[ "$*" == *releases.sluice.dev* ]]; then echo release/taxi; fi\n'
    code, said, ran = make(tmp_path, "uninstall", kubectl=there)
    assert code != 0
    assert "kubectl delete releases" in said
    assert "helm uninstall" not in ran


def test_uninstall_goes_on_when_told_so_and_when_nothing_is_there(tmp_path: Path) -> None:
    code, said, ran = make(tmp_path, "uninstall", "FORCE=1")
    assert code == 0, said
    assert "helm uninstall sluice" in ran
    assert "--ignore-not-found" in ran
