import pytest

from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.memory import MemoryPlatform
from sluice.testing.clock import VirtualClock

V1 = RevisionId("v1")
WORK = Workload(release="taxi", revision=V1, template={})


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(0)


@pytest.fixture
async def platform(clock: VirtualClock) -> MemoryPlatform:
    platform = MemoryPlatform(clock, ready_after_s=2.0, drain_s=1.0)
    await platform.scale(WORK, 2)
    return platform


async def see(platform: MemoryPlatform) -> Replicas:
    return next(iter(await platform.observe("taxi")))


async def test_replicas_are_ready_after_their_time(
    platform: MemoryPlatform, clock: VirtualClock
) -> None:
    await clock.advance(1.9)
    assert (await see(platform)).ready == ()
    await clock.advance(0.1)
    seen = await see(platform)
    assert len(seen.ready) == 2
    assert set(seen.ready_since_ms.values()) == {2_000}


async def test_a_revision_told_never_to_be_ready_is_not(
    platform: MemoryPlatform, clock: VirtualClock
) -> None:
    platform.ready_after(V1, None)
    await clock.advance(1e6)
    assert (await see(platform)).ready == ()
    platform.ready_after(V1, 0.0)
    assert len((await see(platform)).ready) == 2


async def test_a_crash_costs_a_restart_and_the_time_to_be_ready(
    platform: MemoryPlatform, clock: VirtualClock
) -> None:
    await clock.advance(5)
    platform.crash(V1)
    seen = await see(platform)
    assert (seen.ready, seen.restarts) == ((), 2)
    await clock.advance(2)
    assert len((await see(platform)).ready) == 2


async def test_a_crash_loop_lasts_until_it_recovers(
    platform: MemoryPlatform, clock: VirtualClock
) -> None:
    platform.crash_always(V1, "exited with status 3: no model")
    await clock.advance(60)
    seen = await see(platform)
    assert (seen.ready, seen.running) == ((), 0)
    assert seen.message == "taxi-v1-0: exited with status 3: no model"
    platform.recover(V1)
    await clock.advance(2)
    assert len((await see(platform)).ready) == 2
