import time

import pytest

from sluice.platforms.clock import SystemClock

HOUR_NS = 3_600 * 10**9


def test_clock_tells_the_time_of_day() -> None:
    assert abs(SystemClock().now_ms() - time.time_ns() // 1_000_000) < 1_000


@pytest.mark.parametrize("jump_ns", [-HOUR_NS, HOUR_NS], ids=["set-back", "set-forward"])
def test_clock_of_the_machine_that_is_set_moves_it_not(
    monkeypatch: pytest.MonkeyPatch, jump_ns: int
) -> None:
    clock = SystemClock()
    before = clock.now_ms()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + jump_ns)
    assert 0 <= clock.now_ms() - before < 10_000


async def test_sleep_lets_time_go_by() -> None:
    clock = SystemClock()
    before = clock.now_ms()
    await clock.sleep(0.01)
    assert clock.now_ms() - before >= 9
