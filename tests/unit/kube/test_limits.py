"""How many calls a second."""

import asyncio

import pytest

from sluice.kube.limits import TokenBucket

pytestmark = pytest.mark.looptime


async def test_burst_then_rate() -> None:
    bucket = TokenBucket(10, 5)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    times = []
    for _ in range(25):
        await bucket.take()
        times.append(loop.time() - begun_s)
    assert times[:5] == [0.0] * 5
    assert times[-1] == pytest.approx(2.0)


async def test_rest_fills_the_burst_and_no_more() -> None:
    bucket = TokenBucket(10, 2)
    await asyncio.sleep(60)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for _ in range(4):
        await bucket.take()
    assert loop.time() - begun_s == pytest.approx(0.2)


async def test_calls_that_wait_keep_their_order() -> None:
    bucket = TokenBucket(10, 1)
    order: list[int] = []

    async def call(number: int) -> None:
        await bucket.take()
        order.append(number)

    await asyncio.gather(*(call(i) for i in range(5)))
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5)])
def test_a_bucket_that_lets_nothing_through_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="a rate above 0"):
        TokenBucket(rate, burst)
