import asyncio

import pytest

from sluice.testing.clock import VirtualClock


async def test_sleepers_wake_in_order_at_their_own_time() -> None:
    clock = VirtualClock(1_000)
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now_ms()))

    tasks = [asyncio.create_task(sleeper("b", 2)), asyncio.create_task(sleeper("a", 1))]
    await clock.advance(1.5)
    assert woken == [("a", 2_000)]
    await clock.advance(5)
    assert woken == [("a", 2_000), ("b", 3_000)]
    assert clock.now_ms() == 7_500
    await asyncio.gather(*tasks)


async def test_a_sleeper_that_sleeps_again_is_woken_within_one_advance() -> None:
    clock = VirtualClock(0)
    ticks: list[int] = []

    async def ticker() -> None:
        for _ in range(3):
            await clock.sleep(1)
            ticks.append(clock.now_ms())

    task = asyncio.create_task(ticker())
    await clock.advance(10)
    await task
    assert ticks == [1_000, 2_000, 3_000]


async def test_a_cancelled_sleeper_does_not_stop_the_clock() -> None:
    clock = VirtualClock(0)
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.advance(2)
    assert clock.now_ms() == 2_000


async def test_time_does_not_go_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        await VirtualClock().advance(-1)
