"""A supervisor is killed; what it ran goes on, and the next one takes over all of it."""

import asyncio
import os
import random
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import local

from sluice.platforms.local import Daemon, LocalPlatform, StateFolder, procfs, stop_daemons
from sluice.platforms.local.process import Process
from sluice.platforms.local.records import ProcessRecord, read_records, write_record
from sluice.testing.traffic import Traffic

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def clean(tmp_path: Path) -> Iterator[None]:
    yield
    local.end_leftovers(tmp_path / "state")


@asynccontextmanager
async def owner(
    folder: Path, replicas: int, *env: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A supervisor in a process of its own, killed with -9 on the way out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.owner",
        str(folder),
        str(replicas),
        *env,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def says(process: asyncio.subprocess.Process, word: bytes) -> None:
    assert process.stdout is not None
    seen = []
    async with asyncio.timeout(30):
        async for line in process.stdout:
            seen.append(line)
            if line.strip() == word:
                return
    pytest.fail(b"".join(seen).decode())


def running_with(marker: str) -> list[int]:
    """Processes whose environment holds the marker; the test's own knows nothing of it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if marker.encode() in environment:
                found.append(int(entry.name))
    return found


async def test_replicas_of_a_killed_supervisor_serve_on_and_are_adopted(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with owner(folder, 2) as supervisor:
        await says(supervisor, b"ready")
        before = {record.name: record for record in read_records(folder / "processes")}
        url = f"http://127.0.0.1:{before['taxi-v1-0'].ports['http']}/predict"
        async with Traffic(url, rate=100, duration_s=30, method="GET") as traffic:
            supervisor.kill()
            await supervisor.wait()
            with StateFolder.claim(folder) as state:
                platform = await LocalPlatform.open(state, options=local.options(folder))
                seen = await local.one(platform)
                after = {record.name: record for record in read_records(folder / "processes")}
                async with asyncio.timeout(20):
                    while traffic.report.done < 20:  # noqa: ASYNC110  # no event tells
                        await asyncio.sleep(0.02)
                traffic.stop()
                await traffic.finished()
                await stop_daemons(state)
                await platform.close(stop=True)
    assert (len(seen.ready), seen.desired, seen.restarts) == (2, 2, 0)
    assert {name: record.pid for name, record in after.items()} == {
        name: record.pid for name, record in before.items()
    }
    assert seen.ready_since_ms["taxi-v1-0"] == before["taxi-v1-0"].ready_since_ms
    assert traffic.report.sent == traffic.report.count() > 0
    assert traffic.report.lost == 0
    assert read_records(folder / "processes") == []


@pytest.mark.parametrize("seed", range(4))
async def test_whenever_the_supervisor_is_killed_nothing_runs_unrecorded(
    tmp_path: Path, seed: int
) -> None:
    folder, marker = tmp_path / "state", uuid.uuid4().hex
    async with owner(folder, 3, f"TEST_RUN={marker}") as supervisor:
        await says(supervisor, b"open")
        await asyncio.sleep(random.Random(seed).uniform(0.0, 0.15))
        supervisor.kill()
        await supervisor.wait()
        recorded = {record.pid for record in read_records(folder / "processes")}
        # A launcher that was never told to go has the marker too, and leaves by itself.
        async with asyncio.timeout(20):
            while not set(running_with(marker)) <= recorded:  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.01)
        with StateFolder.claim(folder) as state:
            platform = await LocalPlatform.open(state, options=local.options(folder), wanted=())
            await local.until_gone(platform)
            await stop_daemons(state)
            await platform.close(stop=True)
        assert running_with(marker) == []


async def test_what_was_asked_for_and_does_not_run_is_started(tmp_path: Path) -> None:
    with StateFolder.claim(tmp_path / "state") as state:
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        await platform.scale(local.workload(), 2)
        before = await local.until_ready(platform, 2)
        await platform.close(stop=False)
        dead = Process.adopt(read_records(state.processes)[0])
        assert dead is not None
        dead.kill()
        await dead.wait()
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        assert (await local.one(platform)).ready == before.ready[1:]
        await local.until_ready(platform, 2)
        await platform.close(stop=True)


async def test_what_runs_and_nobody_wants_is_ended(tmp_path: Path) -> None:
    with StateFolder.claim(tmp_path / "state") as state:
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        await platform.scale(local.workload("v1"), 1)
        await platform.scale(local.workload("v1", release="bus"), 1)
        await local.until_ready(platform, 1)
        await platform.close(stop=False)
        for file in state.workloads.glob("bus@*"):
            file.unlink()
        stray = next(r for r in read_records(state.processes) if r.release == "bus")
        process = Process.adopt(stray)
        assert process is not None
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        assert len((await local.one(platform)).ready) == 1
        assert platform.releases() == {"taxi"}
        await platform.close(stop=True)
        assert process.exited
        assert read_records(state.processes) == []


async def test_a_replica_that_went_bad_while_nobody_looked_is_not_ready(tmp_path: Path) -> None:
    unready = tmp_path / "unready"
    slow = {"httpGet": {"path": "/ready", "port": "http"}, "failureThreshold": 3}
    work = local.workload(env={"UNREADY": str(unready)}, readinessProbe=slow)
    with StateFolder.claim(tmp_path / "state") as state:
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        await platform.scale(work, 1)
        await local.until_ready(platform, 1)
        await platform.close(stop=False)
        unready.touch()
        platform = await LocalPlatform.open(state, options=local.options(tmp_path))
        seen = await local.one(platform)
        assert seen.ready == ()
        assert "answered 503" in seen.message
        await platform.close(stop=True)


def forged(tmp_path: Path, **changes: object) -> ProcessRecord:
    """A record of this very process: alive, but not the one that is meant."""
    pid = os.getpid()
    return replace(
        ProcessRecord(
            name="taxi-v1-0",
            kind="replica",
            pid=pid,
            ticks=procfs.start_ticks(pid) or 0,
            boot=procfs.boot_id(),
            token="x",  # noqa: S106  # a mark, not a secret
            argv=("x",),
            log=str(tmp_path / "log"),
            started_ms=0,
        ),
        **changes,  # type: ignore[arg-type]  # a test's changes
    )


async def test_a_pid_that_was_used_again_is_not_adopted(tmp_path: Path) -> None:
    assert Process.adopt(forged(tmp_path, ticks=1)) is None
    assert Process.adopt(forged(tmp_path, boot="another")) is None
    itself = Process.adopt(forged(tmp_path))
    assert itself is not None
    itself.leave()


async def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    write_record(tmp_path, forged(tmp_path))
    (tmp_path / "torn.json").write_text('{"name": "to')
    (tmp_path / "strange.json").write_text('{"name": "x", "kind": "replica"}')
    assert [record.name for record in read_records(tmp_path)] == ["taxi-v1-0"]
    assert [path.name for path in tmp_path.glob("*.json")] == ["taxi-v1-0.json"]


async def test_a_daemon_of_a_killed_supervisor_is_adopted(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with owner(folder, 0) as supervisor:
        await says(supervisor, b"ready")
    record = next(r for r in read_records(folder / "processes") if r.kind == "daemon")
    with StateFolder.claim(folder) as state:
        daemon = Daemon(state, name="helper", argv=["sleep", "600"])
        await daemon.start()
        assert (daemon.adopted, daemon.pid) == (True, record.pid)
        await daemon.stop()
    assert procfs.start_ticks(record.pid) is None
