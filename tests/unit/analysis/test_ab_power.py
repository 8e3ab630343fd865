"""Users that a test needs, before it runs (how right they are: ``test_ab_error_rates.py``)."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from sluice.analysis.ab_power import detectable, expected_days, plannable, required_users
from sluice.errors import InvariantError
from sluice.nouns import Goal

BOUGHT = Goal(name="bought", kind="binary", mde=0.1, baseline=0.05)
TIP = Goal(name="tip", kind="continuous", mde=0.05, baseline=2.0, deviation=1.5)


@pytest.mark.parametrize("goal", [BOUGHT, TIP], ids=lambda goal: goal.name)
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.9), (0.3, 0.3, 0.4)], ids=str)
def test_what_can_be_found_with_the_needed_users_is_what_was_asked_for(
    goal: Goal, shares: tuple[float, ...]
) -> None:
    users = required_users(goal, alpha=0.05, shares=shares, planned_users=40_000)
    found = detectable(goal, users=users, alpha=0.05, shares=shares, planned_users=40_000)
    assert found == pytest.approx(goal.mde, rel=1e-3)


def test_more_power_smaller_effects_and_smaller_shares_need_more_users() -> None:
    def users(goal: Goal = BOUGHT, **changes: Any) -> int:
        given: dict[str, Any] = {"alpha": 0.05, "shares": (0.5, 0.5)}
        return required_users(goal, **(given | changes))

    assert users(power=0.9) > users()
    assert users(alpha=0.01) > users()
    assert users(replace(BOUGHT, mde=0.05)) > 3 * users()
    assert users(shares=(0.1, 0.9)) > 2 * users()
    assert users(shares=(0.25, 0.25, 0.5)) > users()


def test_the_weakest_variant_counts() -> None:
    even = required_users(BOUGHT, alpha=0.05, shares=(0.2, 0.2, 0.6))
    assert required_users(BOUGHT, alpha=0.05, shares=(0.05, 0.35, 0.6)) > even


def test_nothing_is_decided_below_the_least_number_of_users() -> None:
    sure = replace(BOUGHT, baseline=0.5, mde=0.9)
    assert required_users(sure, alpha=0.05, shares=(0.5, 0.5)) == 200


def test_a_difference_that_cannot_be_found_is_infinite() -> None:
    assert detectable(BOUGHT, users=50, alpha=0.05, shares=(0.5, 0.5)) == inf


def test_days_follow_from_users_per_day() -> None:
    assert expected_days(60_000, users_per_day=5_000) == 12.0
    with pytest.raises(InvariantError, match="over 0"):
        expected_days(1, users_per_day=0)


@pytest.mark.parametrize(
    ("goal", "lacks"),
    [
        pytest.param(replace(BOUGHT, baseline=0.0), "baseline", id="binary"),
        pytest.param(replace(TIP, baseline=0, deviation=0), "baseline and deviation", id="both"),
        pytest.param(TIP, "", id="nothing"),
    ],
)
def test_what_a_goal_lacks_is_said(goal: Goal, lacks: str) -> None:
    assert plannable(goal) == lacks
    if lacks:
        with pytest.raises(InvariantError, match=lacks):
            required_users(goal, alpha=0.05, shares=(1, 1))


@pytest.mark.parametrize(
    ("goal", "given"),
    [
        pytest.param(replace(BOUGHT, mde=0.0), {}, id="mde"),
        pytest.param(replace(BOUGHT, baseline=1.5), {}, id="rate"),
        pytest.param(BOUGHT, {"alpha": 0.0}, id="alpha"),
        pytest.param(BOUGHT, {"power": 1.0}, id="power"),
        pytest.param(BOUGHT, {"shares": (1.0,)}, id="shares"),
    ],
)
def test_what_cannot_be_planned_by_is_refused(goal: Goal, given: dict[str, Any]) -> None:
    with pytest.raises(InvariantError):
        required_users(goal, **({"alpha": 0.05, "shares": (1, 1)} | given))
