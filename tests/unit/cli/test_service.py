import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake import FakeSupervisor

from sluice.cli import service
from sluice.cli.exits import ExitCode

ROOT = str(Path(__file__).parents[3])
SERVES = """
import os, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.cli.fake import FakeSupervisor, serving
over = threading.Event()
with serving(FakeSupervisor(folder=Path(sys.argv[1]), pid=os.getpid(), over=over)):
    over.wait(30)
"""
StandIn = Callable[[str], list["subprocess.Popen[bytes]"]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Lets ``up`` start this Python text in the place of the supervisor."""
    started: list[subprocess.Popen[bytes]] = []

    def use(text: str) -> list[subprocess.Popen[bytes]]:
        def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
            folder = command[command.index("--dir") + 1]
            started.append(subprocess.Popen([sys.executable, "-c", text, folder, ROOT], **options))
            return started[-1]

        fake = SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
        monkeypatch.setattr(service, "subprocess", fake)
        return started

    yield use
    for process in started:
        process.kill()
        process.wait()


def test_up_starts_a_process_of_its_own_and_down_waits_for_its_end(
    sluice: Run, folder: Path, stand_in: StandIn
) -> None:
    started = stand_in(SERVES)
    ran = sluice("up")
    assert ran.code == 0
    assert "requests go to  http://127.0.0.1:8080" in ran.out
    (process,) = started
    assert os.getsid(process.pid) == process.pid
    ran = sluice("down")
    assert (ran.code, ran.out) == (0, f"stopped what ran in {folder}\n")
    assert process.wait(10) == 0


def test_second_up_finds_the_first_and_starts_nothing(
    sluice: Run, supervisor: FakeSupervisor, stand_in: StandIn
) -> None:
    started = stand_in("")
    ran = sluice("up", "-o", "json")
    assert json.loads(ran.out)["router"] == {"url": "http://127.0.0.1:8080"}
    assert started == []


def test_up_on_another_port_than_the_running_one_is_refused(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    assert sluice("up", "--port", "8080").code == 0
    ran = sluice("up", "--port", "9090")
    assert ran.code == ExitCode.FAILED
    assert "already serves on http://127.0.0.1:8080: `sluice down` first" in ran.err


def test_supervisor_that_does_not_start_shows_the_end_of_its_log(
    sluice: Run, folder: Path, stand_in: StandIn
) -> None:
    log = folder / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True)
    log.write_text("an older run\n")
    stand_in("import sys; print('port 8080 is taken', flush=True); sys.exit(69)")
    ran = sluice("up")
    assert ran.code == ExitCode.NOTHING_THERE
    assert "did not start (exit code 69)" in ran.err
    assert ran.err.endswith("\n  port 8080 is taken\n")
    assert "an older run" not in ran.err


def test_supervisor_that_is_slow_to_start_ends_with_time_out(
    sluice: Run, stand_in: StandIn
) -> None:
    stand_in("import time; time.sleep(30)")
    ran = sluice("up", "--timeout", "200ms")
    assert ran.code == ExitCode.TIME_OUT
    assert "is not ready after 0.2 s" in ran.err


def test_state_folder_that_cannot_be_made_is_named(
    sluice: Run, folder: Path, stand_in: StandIn
) -> None:
    folder.write_text("a file")
    ran = sluice("up")
    assert ran.code == ExitCode.NOTHING_THERE
    assert f"the state folder {folder} cannot be written" in ran.err


def test_up_elsewhere_than_on_linux_points_to_a_container(
    sluice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.sys, "platform", "darwin")
    ran = sluice("up")
    assert ran.code == ExitCode.FAILED
    assert "Linux only" in ran.err
    assert "container" in ran.err


def test_foreground_becomes_the_supervisor(
    sluice: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(service.os, "execv", lambda _, command: became.append(command))
    monkeypatch.setattr(service, "_start", lambda *_: {"pid": 1})
    sluice("up", "--foreground", "--port", "9000")
    assert became == [
        [sys.executable, "-m", "sluice.laptop", "--dir", str(folder), "--port", "9000"]
    ]


def test_down_of_nothing_is_done(sluice: Run, folder: Path) -> None:
    ran = sluice("down")
    assert (ran.code, ran.out) == (0, f"nothing is running in {folder}\n")


def test_down_that_takes_too_long_says_that_it_goes_on(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    supervisor.pid = os.getpid()
    ran = sluice("down", "--timeout", "200ms")
    assert ran.code == ExitCode.TIME_OUT
    assert "still draining" in ran.err


def test_version_names_a_supervisor_of_another_version(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    assert "supervisor 0.1.0" in sluice("version").out
    supervisor.version = "0.0.9"
    assert "the two differ" in sluice("version").out
