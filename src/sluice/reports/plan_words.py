"""A rung of a plan in words: its weight, its end, its harm, and how long a test takes."""

from collections.abc import Iterator
from typing import assert_never

from sluice.analysis.ab_power import detectable, expected_days, plannable, required_users
from sluice.engine.plan import ByReady, Fixed, Gate, Plan, Ramp, Rung, Stage
from sluice.nouns import BP_TOTAL, GoalRules, Purpose
from sluice.reports import words

LEAST_HARM = 3.0
"""Bad answers in a row that the default checks need before they can tell anything."""
DAY_MS = 86_400_000


def weight_of(rung: Rung) -> str:
    """Who meets the candidate on a rung."""
    match rung.weight:
        case Fixed(weight_bp=0):
            return _unseen(rung)
        case Fixed(weight_bp=bp):
            return words.weight(bp)
        case Ramp(max_bp=bp):
            return f"up to {words.weight(bp)}"
        case ByReady():
            return f"to {words.weight(_ready_bp(rung))}"
        case _:
            assert_never(rung.weight)


def _unseen(rung: Rung) -> str:
    for arm in rung.arms:
        if arm.purpose is Purpose.MIRROR:
            return f"{words.weight(arm.mirror_bp)} copied"
        if arm.purpose is Purpose.PREVIEW and not rung.gates:
            return "preview"
        if arm.purpose is Purpose.FORCED:
            return "by header"
    return words.weight(0)


def _ready_bp(rung: Rung) -> int:
    share = rung.capacity.candidate_bp
    return BP_TOTAL if share is None else share


def harm_of(rung: Rung, rps: float, interval_s: float) -> tuple[float | None, str]:
    """Expected bad answers of a dead candidate until it is turned back, and why; None: no bound."""
    seen = " (users see none of it: shield)" if rung.shield is not None else ""
    match rung.weight:
        case Fixed(weight_bp=0):
            copied = any(arm.purpose is Purpose.MIRROR for arm in rung.arms)
            return 0.0, "users see no answer to a copy" if copied else "no live traffic"
        case _ if not rung.checks:
            return None, "no check acts here: a fault lasts until the next step"
        case Fixed(weight_bp=bp):
            harm, reason = exposed(rps, bp, interval_s)
            return harm, reason + seen
        case Ramp(harm_budget=budget):
            return budget, f"harmBudget, at any rate{seen}"
        case ByReady():
            harm, reason = exposed(rps, _ready_bp(rung), interval_s)
            return harm, reason + seen
        case _:
            assert_never(rung.weight)


def exposed(rps: float, weight_bp: int, interval_s: float) -> tuple[float, str]:
    """Rate x weight x time between looks, at least what any check needs."""
    harm = rps * weight_bp / BP_TOTAL * interval_s
    least = f", but {LEAST_HARM:g} to tell" if harm < LEAST_HARM else ""
    return max(harm, LEAST_HARM), f"{rps:g}/s x {words.weight(weight_bp)} x {interval_s:g}s{least}"


def until_of(plan: Plan, rung: Rung) -> str:
    """What must hold before the next step."""
    waits = []
    if rung.exit.hold_ms:
        waits.append(words.duration(rung.exit.hold_ms))
    waits += [_answered(gate) for gate in rung.gates]
    if rung.exit.person:
        waits.append("`promote`")
    if rung.goals is not None:
        waits.append(_decided(rung.goals))
    elif rung.shadow is not None and rung.exit.passed:
        waits.append(f"{rung.shadow.pairs:,} pairs agree")
    elif rung.exit.passed:
        bake = f" and {words.duration(plan.min_bake_ms)} baked" if plan.min_bake_ms else ""
        waits.append(f"checks passed{bake if rung.exit.baked else ''}")
    if isinstance(rung.weight, ByReady) and not waits:
        waits.append("its replicas are ready")
    return ", ".join(waits) or "routers serve it"


def _answered(gate: Gate) -> str:
    ask = gate.ask
    if ask is None:
        return f"gate {gate.name} is answered"
    ends = {"command": "ends with 0", "load": "passes"}
    return f"{ask.kind} {ends.get(ask.kind, 'says yes')}"


def _decided(rules: GoalRules) -> str:
    ends = [f"{rules.horizon_users:,} users"] if rules.horizon_users else []
    ends += [words.duration(rules.horizon_ms)] if rules.horizon_ms else []
    return f"{rules.goals[0].name} is decided, or {' or '.join(ends)}: {rules.on_horizon}"


def deadline_of(stage: Stage) -> str:
    """What happens when the checks of a stage have not decided in time."""
    if stage.deadline_ms is None:
        return f"{stage.strategy}: no deadline"
    return (
        f"{stage.strategy}: undecided after {words.duration(stage.deadline_ms)}: "
        f"{stage.on_inconclusive.value}"
    )


def tests_of(plan: Plan, users_per_day: float | None) -> Iterator[str]:
    """What each A/B test can find, and how long that takes; one line a goal that decides."""
    for stage in plan.stages:
        for rung in stage.rungs:
            if rung.goals is not None:
                yield _power(rung, rung.goals, users_per_day)


def _power(rung: Rung, rules: GoalRules, users_per_day: float | None) -> str:
    goal = rules.goals[0]
    lacks = plannable(goal)
    if lacks:
        return f"{goal.name}: give its {lacks} to learn how many users the test needs"
    live = [arm.share for arm in rung.arms if arm.purpose is Purpose.LIVE]
    shares = [share / BP_TOTAL for share in (*live, BP_TOTAL - sum(live))]
    told = []
    if goal.mde > 0:
        users = required_users(
            goal, alpha=rules.alpha, shares=shares, planned_users=rules.horizon_users
        )
        needed = f"{users:,} users{_days(users, users_per_day)}"
        told.append(f"a change of {words.percent(goal.mde)} takes {needed}")
    if rules.horizon_users:
        users = rules.horizon_users
        found = detectable(goal, users=users, alpha=rules.alpha, shares=shares)
        told.append(f"{users:,} users{_days(users, users_per_day)} find {words.percent(found)}")
    return f"{goal.name}: {'; '.join(told) or 'give its mde, or horizon.users, to plan by'}"


def _days(users: int, users_per_day: float | None) -> str:
    if users_per_day is None:
        return ""
    return f" ({words.duration(expected_days(users, users_per_day=users_per_day) * DAY_MS)})"
