"""The tutorial is run as it is written: every shell block, in order, in one shell.

Two things differ: the folder is the test's own, and so is the port.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "tutorial" / "first-canary.md"
SLUICE = Path(sys.executable).with_name("sluice")
TUTORIAL_PORT = "8080"


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that looks like the repository to who follows the tutorial."""
    for name in ("examples", ".artifacts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    tools = tmp_path / "tools"
    tools.mkdir()
    make = tools / "make"
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --no-print-directory -C {ROOT} "$@"\n')
    make.chmod(0o755)
    yield tmp_path
    subprocess.run([str(SLUICE), "down"], cwd=tmp_path, capture_output=True, timeout=90, check=True)


def follow(folder: Path, script: str) -> tuple[int, str]:
    """Exit code and output of a script, of which nothing is left running."""
    environment = {
        **os.environ,
        "PATH": f"{folder / 'tools'}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    with (folder / "output.txt").open("w+") as output:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(timeout=420)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
        output.seek(0)
        return code, output.read()


@pytest.mark.e2e
@pytest.mark.timeout(540)
def test_tutorial_promotes_the_good_version_and_turns_back_the_bad_one(folder: Path) -> None:
    parts = [block.text for block in blocks_of(PAGE) if block.language == "sh"]
    script = "\n".join(parts).replace(TUTORIAL_PORT, free_port())

    code, said = follow(folder, script)

    assert code == 0, said
    assert "promoted after" in said, said
    assert "turned back, exit code 1" in said, said
    lines = (folder / ".sluice" / "traffic.log").read_text().splitlines()
    summary = json.loads(lines[-1])
    assert (summary["lost"], summary["timeouts"]) == (0, 0)
    assert summary["done"] > 1_000
    status = subprocess.run([str(SLUICE), "status"], cwd=folder, capture_output=True, timeout=30)
    assert status.returncode == 69
