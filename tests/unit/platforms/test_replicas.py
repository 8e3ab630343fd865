"""What the laptop platform does with replicas that misbehave."""

import asyncio
import os
import random
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support import local
from tests.support.local import get, one, until, until_gone, until_ready, workload

from sluice.errors import SpecError, StateError
from sluice.nouns import Replicas
from sluice.platforms.local import LocalPlatform, StateFolder, ports
from sluice.platforms.local.records import read_records


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[LocalPlatform]:
    with StateFolder.claim(folder / "state") as state:
        platform = await LocalPlatform.open(state, options=local.options(folder, **changes))
        try:
            yield platform
        finally:
            await platform.close(stop=True)
        assert read_records(state.processes) == []


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[LocalPlatform]:
    async with running(tmp_path) as platform:
        yield platform


async def restarted(platform: LocalPlatform, times: int) -> Replicas:
    async def enough() -> bool:
        return (await one(platform)).restarts >= times

    await until(platform, enough)
    return await one(platform)


async def test_a_replica_is_told_which_revision_it_belongs_to(platform: LocalPlatform) -> None:
    command = ["sh", "-c", "echo I am $SLUICE_REVISION >&2; exit 3"]
    await platform.scale(workload(command=command), 1)
    assert (await restarted(platform, 1)).message.startswith(
        "taxi-v1-0: exited with status 3: I am v1 "
    )


async def test_a_crash_loop_says_how_it_ended_and_what_it_said_last(
    platform: LocalPlatform,
) -> None:
    command = ["sh", "-c", "echo loading; echo 'FileNotFoundError: model.onnx' >&2; exit 3"]
    await platform.scale(workload(command=command), 1)
    seen = await restarted(platform, 2)
    assert seen.ready == ()
    expected = (
        "taxi-v1-0: exited with status 3: FileNotFoundError: model.onnx (restart 2 in 0.04 s)"
    )
    assert seen.message == expected


async def test_the_next_start_does_not_hide_why_the_last_one_ended(
    platform: LocalPlatform,
) -> None:
    """Found in CI: at the deadline only "nothing listens there" was said."""
    command = ["sh", "-c", "echo 'no such model' >&2; sleep 1; exit 3"]
    await platform.scale(workload(command=command), 1)
    async with asyncio.timeout(60):
        while "; now " not in (await one(platform)).message:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.02)
    assert "exited with status 3: no such model; now " in (await one(platform)).message


async def test_a_replica_is_told_its_revision(platform: LocalPlatform, tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = ["sh", "-c", f"printf %s $SLUICE_REVISION > {shlex.quote(str(told))}; exit 3"]
    await platform.scale(workload("v7", command=command), 1)
    async with asyncio.timeout(20):
        while (await one(platform, "v7")).restarts < 1:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.02)
    assert told.read_text() == "v7"


async def test_a_command_that_does_not_exist_is_named(platform: LocalPlatform) -> None:
    await platform.scale(workload(command=["no-such-model"]), 1)
    seen = await restarted(platform, 1)
    assert "cannot run 'no-such-model': No such file or directory" in seen.message


async def test_a_killed_replica_leaves_ready_at_once_and_comes_back(
    platform: LocalPlatform,
) -> None:
    await platform.scale(workload(), 1)
    before = await until_ready(platform, 1)
    pid = int((await get(before.ready[0].port))["x-pid"])
    os.kill(pid, signal.SIGKILL)
    gone = await until_ready(platform, 0)
    assert (gone.message, gone.running) == (
        "taxi-v1-0: was killed by SIGKILL (restart 1 in 0.02 s)",
        0,
    )
    after = await until_ready(platform, 1)
    assert after.restarts == 1
    assert after.ready[0].name == before.ready[0].name
    assert after.ready[0].port != before.ready[0].port, "a router may still hold the old one"


async def test_readiness_follows_the_probe_both_ways(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    switch = tmp_path / "unready"
    await platform.scale(workload(env={"UNREADY": str(switch)}), 1)
    first = await until_ready(platform, 1)
    switch.touch()
    seen = await until_ready(platform, 0)
    assert seen.message.endswith("/ready: answered 503")
    assert (seen.running, seen.restarts) == (1, 0)
    switch.unlink()
    again = await until_ready(platform, 1)
    assert again.ready == first.ready
    assert again.ready_since_ms["taxi-v1-0"] > first.ready_since_ms["taxi-v1-0"]


async def test_a_replica_that_fails_its_liveness_probe_is_started_again(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    switch = tmp_path / "dead"
    probe = {
        "httpGet": {"path": "/live", "port": "http"},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    work = workload(env={"DEAD": str(switch)}, livenessProbe=probe)
    await platform.scale(work, 1)
    before = await until_ready(platform, 1)
    switch.touch()
    seen = await restarted(platform, 1)
    assert "liveness probe: GET " in seen.message
    switch.unlink()
    after = await until_ready(platform, 1)
    assert after.ready != before.ready


async def test_a_replica_is_not_ready_before_its_startup_probe_passes(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    loaded = tmp_path / "loaded"
    probe = {"exec": {"command": ["test", "-e", str(loaded)]}, "periodSeconds": 10}
    await platform.scale(workload(startupProbe=probe), 1)

    async def refused() -> bool:
        return "startup probe: run test -e" in (await one(platform)).message

    async with asyncio.timeout(10):
        while not await refused():  # noqa: ASYNC110  # answers of probes are no change
            await asyncio.sleep(0.01)
    assert (await one(platform)).ready == ()
    loaded.touch()
    assert (await until_ready(platform, 1)).restarts == 0


async def test_a_replica_that_never_starts_up_is_started_again(platform: LocalPlatform) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await platform.scale(workload(startupProbe=probe), 1)
    seen = await restarted(platform, 1)
    assert "startup probe: run false: exited with status 1" in seen.message


async def test_a_process_that_listens_elsewhere_is_told_where(platform: LocalPlatform) -> None:
    await platform.scale(workload(command=["sleep", "600"]), 1)
    async with asyncio.timeout(10):
        while "listen on $PORT" not in (await one(platform)).message:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_draining_loses_no_request_under_load(tmp_path: Path) -> None:
    answered: list[str] = []
    failed: list[BaseException] = []
    done = asyncio.Event()

    async def user(platform: LocalPlatform) -> None:
        while not done.is_set():
            endpoint = random.choice((await one(platform)).ready)
            await asyncio.sleep(0.05)  # a router hears of a change a little later
            try:
                answer = await get(endpoint.port)
                answered.append(answer["status"])
            except (OSError, asyncio.IncompleteReadError) as error:
                failed.append(error)

    async with running(tmp_path, drain_grace_s=0.3) as platform:
        work = workload(env={"WORK_S": "0.03"})
        await platform.scale(work, 2)
        await until_ready(platform, 2)
        users = [asyncio.create_task(user(platform)) for _ in range(8)]
        for size in (1, 2, 1, 2):
            await platform.scale(work, size)

            async def settled(size: int = size) -> bool:
                seen = await one(platform)
                return len(seen.ready) == seen.running == size

            await until(platform, settled)
        done.set()
        await asyncio.gather(*users)
    assert failed == []
    assert set(answered) == {"200"}
    assert len(answered) > 30, "too few to tell"


async def test_a_drained_replica_serves_until_routers_have_let_go(tmp_path: Path) -> None:
    async with running(tmp_path, drain_confirm_s=30.0) as platform:
        await platform.scale(workload(), 1)
        endpoint = (await until_ready(platform, 1)).ready[0]
        platform.confirm_removed([endpoint.name])  # too early: it is in use
        await platform.scale(workload(), 0)
        assert (await one(platform)).ready == ()
        assert (await get(endpoint.port))["status"] == "200"
        platform.confirm_removed(["somebody-else"])
        assert (await get(endpoint.port))["status"] == "200"
        platform.confirm_removed([endpoint.name])
        await until_gone(platform)


async def test_a_router_that_never_lets_go_does_not_hold_a_drain_for_ever(tmp_path: Path) -> None:
    async with running(tmp_path, drain_confirm_s=0.05) as platform:
        await platform.scale(workload(), 1)
        await until_ready(platform, 1)
        await platform.scale(workload(), 0)
        await until_gone(platform)


async def test_closing_waits_for_no_confirmation(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with running(tmp_path, drain_confirm_s=600.0) as platform:
        await platform.scale(workload(), 1)
        await until_ready(platform, 1)
        began_s = loop.time()
    assert loop.time() - began_s < 60


async def test_the_pre_stop_hook_runs_before_sigterm(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    trace = shlex.quote(str(tmp_path / "trace"))
    # It sees the replica's variables, and the server still answering.
    script = f"echo $POD >> {trace}; kill -0 $(cat {trace}.pid) && echo alive >> {trace}"
    command = [
        "sh", "-c", f'echo $$$$ > {trace}.pid; exec "$0" "$@"', *local.PYTHON, str(local.MODEL)
    ]  # fmt: skip
    work = workload(
        command=command,
        env={"POD": "me"},
        lifecycle={"preStop": {"exec": {"command": ["sh", "-c", script]}}},
    )
    await platform.scale(work, 1)
    await until_ready(platform, 1)
    await platform.scale(work, 0)
    await until_gone(platform)
    assert (tmp_path / "trace").read_text() == "me\nalive\n"


async def test_a_replica_that_ignores_sigterm_is_killed_when_its_grace_is_over(
    platform: LocalPlatform,
) -> None:
    work = workload(env={"STUBBORN": "1"}, pod={"terminationGracePeriodSeconds": 0})
    await platform.scale(work, 1)
    await until_ready(platform, 1)
    await platform.scale(work, 0)
    await until_gone(platform)


async def test_a_port_that_was_taken_in_the_meantime_is_no_fault_of_the_replica(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = range(31_000, 31_010)
    squatter = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", row[0])
    # The race itself: the port is free when the pool looks, and taken when the replica binds.
    monkeypatch.setattr(ports, "in_use", lambda _: False)
    async with running(tmp_path, ports=row) as platform:
        platform._world.ports._next = 0
        probe = {"httpGet": {"path": "/ready", "port": "http"}}
        await platform.scale(workload(readinessProbe=probe), 1)
        seen = await until_ready(platform, 1)
        assert seen.restarts == 0
        assert seen.ready[0].port == row[1]
    squatter.close()
    await squatter.wait_closed()


async def test_scaling_down_ends_those_that_do_not_serve_first(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    turn = shlex.quote(str(tmp_path / "turn"))
    # The first to start never serves.
    script = f'mkdir {turn} 2>/dev/null && exec sleep 600; exec "$0" "$@"'
    work = workload(command=["sh", "-c", script, *local.PYTHON, str(local.MODEL)])
    await platform.scale(work, 2)
    before = await until_ready(platform, 1)
    await platform.scale(work, 1)
    assert (await one(platform)).ready == before.ready


async def test_a_template_that_a_laptop_cannot_run_changes_nothing(
    platform: LocalPlatform,
) -> None:
    with pytest.raises(SpecError, match="volumes are not mounted"):
        await platform.scale(workload(pod={"volumes": [{"name": "x"}]}), 1)
    with pytest.raises(SpecError, match="file name"):
        await platform.scale(workload(release="../taxi"), 1)
    assert platform.releases() == frozenset()


async def test_a_request_that_cannot_be_kept_is_not_begun(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    (tmp_path / "state/workloads/.taxi@v1.json.tmp").symlink_to("/dev/full")
    with pytest.raises(StateError, match="No space left"):
        await platform.scale(workload(), 1)
    assert (await one(platform)).desired == 0


async def test_a_full_disk_does_not_keep_alive_what_has_to_go(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    await platform.scale(workload(), 1)
    await until_ready(platform, 1)
    for name in ("workloads/.taxi@v1.json.tmp", "processes/.taxi-v1-0.json.tmp"):
        (tmp_path / "state" / name).symlink_to("/dev/full")
    await platform.scale(workload(), 0)
    await until_gone(platform)


async def test_a_replica_that_cannot_be_recorded_waits_and_says_why(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    block = tmp_path / "state/processes/.taxi-v1-0.json.tmp"
    block.symlink_to("/dev/full")
    await platform.scale(workload(), 1)
    async with asyncio.timeout(10):
        while "No space left" not in (await one(platform)).message:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    block.unlink()
    await until_ready(platform, 1)


async def test_output_goes_to_the_log_of_the_replica_and_is_cut(tmp_path: Path) -> None:
    chatty = 'yes "a long line of a log" | head -n 4000; exec "$0" "$@"'
    work = workload(command=["sh", "-c", chatty, *local.PYTHON, str(local.MODEL)])
    log = tmp_path / "state/logs/taxi/taxi-v1-0.log"
    async with running(tmp_path, log_max_bytes=20_000, log_check_s=0.02) as platform:
        await platform.scale(work, 1)
        await until_ready(platform, 1)
        async with asyncio.timeout(10):
            while log.stat().st_size > 20_000:  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.01)
    kept = log.with_name("taxi-v1-0.log.1").read_text() + log.read_text()
    assert "serving on" in kept
