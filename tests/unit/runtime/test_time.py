import asyncio
from contextlib import suppress

from tests.unit.runtime.world import V2, World, plan

from sluice.engine.canary import Pause, SetWeight
from sluice.nouns import Phase


async def test_loop_looks_once_a_second_and_at_once_when_a_replica_came() -> None:
    world = World()
    looks = 0
    observe = world.platform.observe

    async def counted(release: str):  # type: ignore[no-untyped-def]
        nonlocal looks
        looks += 1
        return await observe(release)

    await world.stable()
    world.platform.observe = counted  # type: ignore[method-assign]
    running = asyncio.create_task(world.loop.run())
    await world.clock.advance(0.5)
    begun = looks
    await world.clock.advance(10)
    assert looks == begun + 10
    world.loop.nudge()
    await world.clock.advance(0.1)
    assert looks == begun + 11
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_loop_by_itself_brings_a_release_to_its_end() -> None:
    world = World()
    what = plan(SetWeight(weight_bp=2_000), Pause(duration_ms=3_000))
    await world.stable(what)
    running = asyncio.create_task(world.loop.run())
    await world.deploy(V2, what)
    for _ in range(60):
        world.traffic(100)
        await world.clock.advance(1.0)
    assert world.status().phase is Phase.HEALTHY
    assert world.status().stable == V2
    assert world.lost == 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
