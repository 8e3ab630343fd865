"""What an A/B test can find and how long it takes, before it runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from sluice.analysis.ab_power import detectable, expected_days, plannable, required_users
from sluice.engine.desired import live_shares
from sluice.engine.plan import Fixed, Plan, Rung
from sluice.nouns import BP_TOTAL, Goal, GoalRules
from sluice.reports import words

POWER = 0.8
"""Chance of a decision that numbers of users are told for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalPlan:
    """One goal of one test."""

    goal: str
    decides: bool
    """Whether it is the first one."""
    lacks: str = ""
    """What the goal must say so that the rest is known (``baseline``); empty: nothing."""
    mde: float = 0.0
    """Smallest relative change worth finding; 0: not said."""
    users: int | None = None
    """Users of all arms that find it; None: no ``mde``."""
    days: float | None = None
    """Days until so many have come; None: users a day are unknown."""
    horizon_users: int = 0
    detectable: float | None = None
    """Smallest relative change that the horizon finds; infinite: none; None: no such horizon."""
    horizon_days: float | None = None


def goal_plans(plan: Plan, *, users_per_day: float | None = None) -> tuple[GoalPlan, ...]:
    """Every goal of every test of a plan.

    Args:
        plan: What a spec compiled to.
        users_per_day: New users that come a day, all arms; None: unknown.
    """
    rungs = (rung for stage in plan.stages for rung in stage.rungs)
    return tuple(
        found
        for rung in rungs
        if rung.goals is not None
        for found in _goals(rung, rung.goals, users_per_day)
    )


def _goals(rung: Rung, rules: GoalRules, users_per_day: float | None) -> Iterator[GoalPlan]:
    shares = _shares(rung)
    for index, goal in enumerate(rules.goals):
        yield _goal(goal, rules, shares, users_per_day, decides=index == 0)


def _shares(rung: Rung) -> tuple[float, ...]:
    weight = rung.weight.weight_bp if isinstance(rung.weight, Fixed) else 0
    live = [bp for _, bp in live_shares(rung, weight)]
    return tuple(bp / BP_TOTAL for bp in (*live, BP_TOTAL - sum(live)))


def _goal(
    goal: Goal,
    rules: GoalRules,
    shares: tuple[float, ...],
    users_per_day: float | None,
    *,
    decides: bool,
) -> GoalPlan:
    lacks, horizon = plannable(goal), rules.horizon_users
    if lacks:
        return GoalPlan(goal=goal.name, decides=decides, lacks=lacks)
    found = None
    if horizon:
        found = detectable(goal, users=horizon, alpha=rules.alpha, power=POWER, shares=shares)
    users = None
    if goal.mde:
        users = required_users(
            goal, alpha=rules.alpha, power=POWER, shares=shares, planned_users=horizon
        )

    def days(count: int | None) -> float | None:
        if not count or users_per_day is None:
            return None
        return expected_days(count, users_per_day=users_per_day)

    return GoalPlan(
        goal=goal.name,
        decides=decides,
        mde=goal.mde,
        users=users,
        days=days(users),
        horizon_users=horizon,
        detectable=found,
        horizon_days=days(horizon),
    )


def goal_line(plan: GoalPlan) -> str:
    """A goal's numbers in one line."""
    role = "decides" if plan.decides else "is shown only"
    if plan.lacks:
        return f"{plan.goal} {role}; give its {plan.lacks} to learn how many users it takes"
    parts = []
    if plan.users is not None:
        parts.append(
            f"a change of {words.percent(plan.mde)} takes {words.count(plan.users)} "
            f"users{_days(plan.days)}"
        )
    if plan.detectable is not None:
        what = (
            f"finds a change of {words.percent(plan.detectable)}"
            if isfinite(plan.detectable)
            else "finds no change at all"
        )
        parts.append(
            f"the horizon of {words.count(plan.horizon_users)} users"
            f"{_days(plan.horizon_days)} {what}"
        )
    told = "; ".join(parts) or "give its mde, or a horizon in users, to learn what it takes"
    power = f" (with {words.percent(POWER)} power)" if parts else ""
    return f"{plan.goal} {role}; {told}{power}"


def _days(days: float | None) -> str:
    return "" if days is None else f" ({days:,.1f} days)"
