from hypothesis import given
from hypothesis import strategies as st

from sluice.platforms.local.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.5, max_s=30.0, reset_s=60.0)
    assert [backoff.wait_s(1.0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_healthy_time_starts_the_waits_anew() -> None:
    backoff = Backoff(first_s=0.5, max_s=30.0, reset_s=60.0)
    assert [backoff.wait_s(1.0) for _ in range(3)] == [0.5, 1, 2]
    assert backoff.wait_s(59.9) == 4
    assert backoff.wait_s(60.0) == 0.5


def test_free_restarts_come_at_once() -> None:
    backoff = Backoff(first_s=0.1, max_s=5.0, reset_s=10.0, free=2)
    assert [backoff.wait_s(0.0) for _ in range(4)] == [0, 0, 0.1, 0.2]


@given(st.lists(st.floats(0, 1000), max_size=300))
def test_no_history_of_lives_makes_a_wait_longer_than_the_limit(lives: list[float]) -> None:
    backoff = Backoff(first_s=0.5, max_s=30.0, reset_s=60.0)
    assert all(0.5 <= backoff.wait_s(lived) <= 30.0 for lived in lives)
