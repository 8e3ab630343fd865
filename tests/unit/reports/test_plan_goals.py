"""What `plan` says of an A/B test."""

from dataclasses import replace
from math import inf

import pytest
from tests.unit.runtime.test_abtest import ab_plan

from sluice.analysis.ab_power import required_users
from sluice.nouns import Goal, GoalRules
from sluice.reports.plan import plan_report
from sluice.reports.plan_goals import goal_line, goal_plans

BOOKED = Goal(name="booked", kind="binary", baseline=0.05, mde=0.3)
RULES = GoalRules(goals=(BOOKED, Goal(name="tip", kind="continuous")), horizon_users=12_000)


def test_users_and_days_of_a_goal_are_told() -> None:
    decides, shown = goal_plans(ab_plan(RULES), users_per_day=1_000)
    assert decides.users == required_users(BOOKED, alpha=0.05, shares=(0.5, 0.5))
    assert decides.days == pytest.approx(decides.users / 1_000)
    assert decides.detectable is not None
    assert decides.detectable > 0.3
    assert decides.horizon_days == 12.0
    assert goal_line(decides) == (
        "booked decides; a change of 30% takes 12,844 users (12.8 days); the horizon of 12,000 "
        "users (12.0 days) finds a change of 31% (with 80% power)"
    )
    assert "give its baseline and deviation" in goal_line(shown)


def test_without_a_rate_of_users_no_days_are_told() -> None:
    (goal,) = goal_plans(ab_plan(replace(RULES, goals=(BOOKED,))))
    assert (goal.days, goal.horizon_days) == (None, None)
    assert "days" not in goal_line(goal)


def test_a_horizon_that_finds_nothing_says_so() -> None:
    (goal,) = goal_plans(ab_plan(replace(RULES, goals=(BOOKED,), horizon_users=50)))
    assert goal.detectable == inf
    assert "finds no change at all" in goal_line(goal)


def test_a_goal_without_mde_and_horizon_asks_for_one() -> None:
    rules = GoalRules(goals=(replace(BOOKED, mde=0.0),))
    (goal,) = goal_plans(ab_plan(rules))
    assert "give its mde, or a horizon" in goal_line(goal)


def test_the_report_of_a_plan_has_them() -> None:
    assert [goal.goal for goal in plan_report(ab_plan(RULES)).tests] == ["booked", "tip"]
