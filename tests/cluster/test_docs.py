"""Pages for clusters, run block by block from top to bottom, each in a namespace of its own."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, Block, blocks_of, pages

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1_800)]

NOTE = "cluster"
"""What stands behind the language of a block that a cluster runs."""
SYSTEM = "sluice-system"
BLOCK_S = 600.0
WITH = [page for page in pages() if any(block.note == NOTE for block in blocks_of(page))]


def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", *words], capture_output=True, text=True, timeout=120)


def script_of(blocks: list[Block]) -> str:
    """All blocks as one script, so that variables of one are there in the next."""
    parts = ["set -euo pipefail"]
    for block in blocks:
        parts += [f"echo '=== {block.name}' >&2", block.text]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def _controller() -> None:
    leads = kubectl("get", "lease", "sluice-controller", "-n", SYSTEM, "-o", "name")
    if leads.returncode:
        reason = f"no controller leads in {SYSTEM} (make cluster images install): {leads.stderr}"
        if os.environ.get("SLUICE_CLUSTER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Environment of a shell whose kubectl acts on a namespace of its own."""
    name = f"cli-docs-{uuid.uuid4().hex[:6]}"
    config = kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    if config.returncode:
        pytest.skip(f"no cluster: {config.stderr}")
    content = json.loads(config.stdout)
    content["contexts"][0]["context"]["namespace"] = name
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(content))
    kubeconfig.chmod(0o600)
    assert kubectl("create", "namespace", name).returncode == 0
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    yield {**os.environ, "KUBECONFIG": str(kubeconfig), "NAMESPACE": name, "PATH": path}
    kubectl("delete", "release", "--all", "-n", name, "--timeout=60s")
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.usefixtures("_controller")
@pytest.mark.parametrize("page", WITH, ids=lambda page: page.stem)
def test_page_can_be_followed_block_by_block(page: Path, place: Mapping[str, str]) -> None:
    blocks = [block for block in blocks_of(page) if block.note == NOTE]
    done = subprocess.run(
        ["bash", "-c", script_of(blocks)],
        cwd=ROOT,
        env=dict(place),
        capture_output=True,
        text=True,
        timeout=BLOCK_S * 2,
    )
    assert done.returncode == 0, f"{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"


def test_a_block_that_fails_would_be_seen(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    blocks = [
        Block(page=page, line=1, language="sh", note=NOTE, text="word=there"),
        Block(page=page, line=2, language="sh", note=NOTE, text='test "$word" = gone'),
        Block(page=page, line=3, language="sh", note=NOTE, text="echo unreached"),
    ]
    done = subprocess.run(["bash", "-c", script_of(blocks)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "=== README.md:2"
    assert "unreached" not in done.stdout
