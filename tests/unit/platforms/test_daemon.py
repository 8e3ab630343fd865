import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import local

from sluice.errors import InvariantError
from sluice.platforms.local import Daemon, StateFolder, procfs, stop_daemons
from sluice.platforms.local.records import read_records


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder.claim(tmp_path / "state") as folder:
        yield folder
        local.end_leftovers(folder.path)


async def restarted(daemon: Daemon, times: int) -> int:
    """Its new process, once it was started again so many times."""
    async with asyncio.timeout(10):
        while daemon.restarts < times or daemon.pid is None:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.002)
    return daemon.pid


async def test_a_killed_daemon_is_back_at_once(folder: StateFolder) -> None:
    daemon = Daemon(folder, name="helper", argv=["sleep", "600"])
    await daemon.start()
    first = daemon.pid
    assert first is not None
    began_s = asyncio.get_running_loop().time()
    os.kill(first, signal.SIGKILL)
    second = await restarted(daemon, 1)
    took_s = asyncio.get_running_loop().time() - began_s
    assert second != first
    assert daemon.message == "was killed by SIGKILL"
    assert took_s < 5.0, "goal 0.1 s; the rest is for a machine that others use too"
    await daemon.stop()
    assert procfs.start_ticks(second) is None
    assert read_records(folder.processes) == []


async def test_a_daemon_that_keeps_ending_waits_longer_each_time(folder: StateFolder) -> None:
    loop = asyncio.get_running_loop()
    daemon = Daemon(folder, name="helper", argv=["sh", "-c", "echo broken >&2; exit 3"])
    began_s = loop.time()
    await daemon.start()
    await restarted(daemon, 3)
    assert loop.time() - began_s >= 0.1 + 0.2
    assert daemon.message == "exited with status 3: broken"
    await daemon.stop()


async def test_a_daemon_that_may_end_is_not_started_again(folder: StateFolder) -> None:
    daemon = Daemon(folder, name="once", argv=["true"], restart=False)
    await daemon.start()
    await daemon.wait()
    assert (daemon.pid, daemon.restarts, daemon.message) == (None, 0, "exited with status 0")
    await daemon.stop()


async def test_a_daemon_left_alone_is_adopted_by_the_same_command_only(folder: StateFolder) -> None:
    first = Daemon(folder, name="helper", argv=["sleep", "600"])
    await first.start()
    pid = first.pid
    await first.leave()
    same = Daemon(folder, name="helper", argv=["sleep", "600"])
    await same.start()
    assert (same.adopted, same.pid) == (True, pid)
    await same.leave()
    other = Daemon(folder, name="helper", argv=["sleep", "601"])
    await other.start()
    assert not other.adopted
    assert other.pid != pid
    assert pid is not None
    assert procfs.start_ticks(pid) is None
    await other.stop()


async def test_an_adopted_daemon_is_watched_like_a_child(folder: StateFolder) -> None:
    first = Daemon(folder, name="helper", argv=["sleep", "600"])
    await first.start()
    await first.leave()
    daemon = Daemon(folder, name="helper", argv=["sleep", "600"])
    await daemon.start()
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGKILL)
    await restarted(daemon, 1)
    await daemon.stop()


async def test_a_daemon_that_ignores_sigterm_is_killed_after_its_grace(folder: StateFolder) -> None:
    command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
    daemon = Daemon(folder, name="deaf", argv=command, grace_s=0.1)
    await daemon.start()
    log = folder.logs / "deaf.log"
    async with asyncio.timeout(10):
        while not log.exists() or not log.read_text():  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.005)
    pid = daemon.pid
    await daemon.stop()
    assert pid is not None
    assert procfs.start_ticks(pid) is None


async def test_nothing_that_a_daemon_started_outlives_it(folder: StateFolder) -> None:
    daemon = Daemon(folder, name="parent", argv=["sh", "-c", "sleep 601 & echo $!; wait"])
    await daemon.start()
    log = folder.logs / "parent.log"
    async with asyncio.timeout(10):
        while not log.exists() or not log.read_text().endswith("\n"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    child = int(log.read_text())
    assert procfs.start_ticks(child) is not None
    await daemon.stop()
    async with asyncio.timeout(10):
        while procfs.start_ticks(child) is not None:  # noqa: ASYNC110  # not our child
            await asyncio.sleep(0.005)


async def test_daemons_that_nobody_took_over_are_ended(folder: StateFolder) -> None:
    old = Daemon(folder, name="old", argv=["sleep", "600"])
    kept = Daemon(folder, name="kept", argv=["sleep", "600"])
    await old.start()
    await kept.start()
    await old.leave()
    assert await stop_daemons(folder, but={"kept"}) == ["old"]
    assert [record.name for record in read_records(folder.processes)] == ["kept"]
    await kept.stop()


async def test_a_daemon_starts_once(folder: StateFolder) -> None:
    daemon = Daemon(folder, name="helper", argv=["sleep", "600"])
    await daemon.start()
    with pytest.raises(InvariantError):
        await daemon.start()
    await daemon.stop()


async def test_settings_of_the_supervisor_are_not_passed_on(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_TOKEN", "secret")
    command = ["sh", "-c", "echo ${SLUICE_TOKEN:-none} $OWN"]
    daemon = Daemon(folder, name="env", argv=command, env={"OWN": "1"}, restart=False)
    await daemon.start()
    await daemon.wait()
    assert (folder.logs / "env.log").read_text() == "none 1\n"
