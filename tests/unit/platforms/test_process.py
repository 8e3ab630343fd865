import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import StateError
from sluice.platforms.local import launch, procfs
from sluice.platforms.local.process import Exit, Launch, Process
from sluice.platforms.local.records import read_records


def what(folder: Path, *argv: str, **changes: Any) -> Launch:
    fields: dict[str, Any] = {
        "name": "p",
        "kind": "replica",
        "argv": argv,
        "env": dict(os.environ),
        "workdir": folder,
        "log": folder / "p.log",
    }
    return Launch(**{**fields, **changes})


@pytest.mark.parametrize(
    ("script", "exit_", "text"),
    [
        pytest.param("exit 0", Exit(status=0), "exited with status 0", id="well"),
        pytest.param("exit 7", Exit(status=7), "exited with status 7", id="status"),
        pytest.param("kill -9 $$", Exit(status=-9), "was killed by SIGKILL", id="signal"),
    ],
)
async def test_an_exit_says_how(tmp_path: Path, script: str, exit_: Exit, text: str) -> None:
    process = Process.spawn(tmp_path, what(tmp_path, "sh", "-c", script))
    assert await process.wait() == exit_
    assert str(exit_) == text


async def test_a_command_that_does_not_exist_says_so_in_its_log(tmp_path: Path) -> None:
    process = Process.spawn(tmp_path, what(tmp_path, "no-such-command"))
    assert (await process.wait()).status == 127
    log = (tmp_path / "p.log").read_text()
    assert log == "cannot run 'no-such-command': No such file or directory\n"


async def test_a_file_that_is_no_program_says_so_in_its_log(tmp_path: Path) -> None:
    (tmp_path / "data").touch(mode=0o644)
    process = Process.spawn(tmp_path, what(tmp_path, str(tmp_path / "data")))
    assert (await process.wait()).status == 126
    assert "Permission denied" in (tmp_path / "p.log").read_text()


async def test_a_working_directory_that_does_not_exist_says_so(tmp_path: Path) -> None:
    process = Process.spawn(tmp_path, what(tmp_path, "true", workdir=tmp_path / "none"))
    assert (await process.wait()).status == 126
    assert "cannot enter the working directory" in (tmp_path / "p.log").read_text()


async def test_the_record_is_there_before_the_program_runs(tmp_path: Path) -> None:
    argv = ("sh", "-c", "cat p.json; echo; echo $$")
    process = Process.spawn(tmp_path, what(tmp_path, *argv))
    await process.wait()
    record, pid = (tmp_path / "p.log").read_text().splitlines()
    assert f'"pid": {pid}' in record
    assert read_records(tmp_path)[0].argv == argv


async def test_what_cannot_be_recorded_is_not_run(tmp_path: Path) -> None:
    (tmp_path / ".p.json.tmp").symlink_to("/dev/full")
    with pytest.raises(StateError, match="No space left"):
        Process.spawn(tmp_path, what(tmp_path, "touch", "ran"))
    assert not (tmp_path / "ran").exists()


def test_a_launcher_whose_supervisor_died_runs_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", launch.__file__, "0", str(tmp_path), "touch", "ran"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    assert not (tmp_path / "ran").exists()
    subprocess.run(command, input=b"\n", check=True)
    assert (tmp_path / "ran").exists()


async def test_a_process_gets_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    leaked, given = os.pipe(), os.pipe()
    os.set_inheritable(leaked[0], True)
    script = "ls -l /proc/self/fd; cat /proc/self/status | grep SigIgn; echo $ONE"
    env = {"ONE": "1", "PATH": os.environ["PATH"]}
    process = Process.spawn(tmp_path, what(tmp_path, "sh", "-c", script, env=env, kept=[given[0]]))
    await process.wait()
    lines = (tmp_path / "p.log").read_text().splitlines()
    pipes = [line for line in lines if "pipe:" in line]
    inode = os.fstat(given[0]).st_ino
    assert [line.split(" ")[-1] for line in pipes] == [f"pipe:[{inode}]"]
    ignored = int(next(line for line in lines if "SigIgn" in line).split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))
    assert lines[-1] == "1"
    for number in (*leaked, *given):
        os.close(number)


async def test_killing_takes_all_that_the_process_started(tmp_path: Path) -> None:
    process = Process.spawn(tmp_path, what(tmp_path, "sh", "-c", "sleep 600 & sleep 600; :"))
    token = process.record.token
    async with asyncio.timeout(10):
        while len(list(procfs.marked(token))) < 3:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.005)
    process.kill()
    assert (await process.wait()).status == -signal.SIGKILL
    async with asyncio.timeout(10):
        while list(procfs.marked(token)):  # noqa: ASYNC110  # not our children
            await asyncio.sleep(0.005)


async def test_signals_to_an_ended_process_reach_nobody(tmp_path: Path) -> None:
    process = Process.spawn(tmp_path, what(tmp_path, "true"))
    await process.wait()
    process.terminate()
    process.kill()
    assert process.exited
    assert (await process.stop(0.0)).status == 0
