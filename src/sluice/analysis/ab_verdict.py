"""What an A/B test says at one look, with everything that ``sluice explain`` prints."""

from math import ceil, exp, inf

from sluice.analysis import wording
from sluice.analysis.ab import (
    LEAST_EVENTS,
    LEAST_USERS,
    AbConfig,
    AbState,
    GoalState,
    compared,
    enough,
)
from sluice.analysis.ab_means import Difference, Moments, half_width
from sluice.analysis.bounds import least_requests_ratio, rate_interval
from sluice.analysis.srm import BLOCK_AT
from sluice.nouns import CheckResult, Goal, GoalRules, Verdict, VerdictKind

CONTROL_WON = "ControlWon"
"""Cause of the failure of a test in which every variant is proven worse than the control."""
HORIZON = "HorizonReached"
"""Cause of the failure of a test that ended undecided and should then abort."""
CONTROL = "stable"
"""Name of the control."""

_SAYS = {1: VerdictKind.PASSED, -1: VerdictKind.FAILED, 0: VerdictKind.INCONCLUSIVE}


def judged(
    config: AbConfig, state: AbState, rules: GoalRules, *, at_ms: int, elapsed_ms: int
) -> Verdict:
    """The verdict on a test.

    Users who do not fall on the arms as planned make it ``invalid`` before any goal is looked at.
    A variant that is proven better than the control wins; of several the one with the best mean.
    When every variant is proven worse, the test fails with the cause ``ControlWon``.

    Args:
        config: How the test is judged.
        state: What is known.
        rules: When it ends.
        at_ms: Now, UTC ms.
        elapsed_ms: How long it has run, for the horizon.
    """
    kind, reason, cause, winner = _decided(config, state, rules, elapsed_ms)
    return Verdict(
        kind=kind,
        reason=reason,
        cause=cause,
        winner=winner,
        taken_ms=at_ms,
        checks=checks(config, state),
        requests=sum(state.users[:-1]),
    )


def _decided(
    config: AbConfig, state: AbState, rules: GoalRules, elapsed_ms: int
) -> tuple[VerdictKind, str, str, str]:
    """Kind, reason, cause and winner."""
    if state.srm.mismatch:
        return VerdictKind.INVALID, _mismatch(config, state), "", ""
    goal, known = config.goals[0], state.goals[0]
    better = _better(goal)
    signs = [lane.decided * better for lane in known.lanes]
    if 1 in signs:
        best = _best(config, state, [sign == 1 for sign in signs])
        name = config.variants[best]
        return VerdictKind.PASSED, f"{name} wins: {describe(config, state, 0, best)}", "", name
    if all(sign == -1 for sign in signs):
        said = "; ".join(describe(config, state, 0, v) for v in range(len(config.variants)))
        return VerdictKind.FAILED, f"{CONTROL} wins: {said}", CONTROL_WON, ""
    ended = _ended(state, rules, elapsed_ms)
    so_far = "; ".join(describe(config, state, 0, v) for v in range(len(config.variants)))
    if not ended:
        return VerdictKind.INCONCLUSIVE, f"undecided: {so_far}", "", ""
    match rules.on_horizon:
        case "promote":
            best = _best(config, state, [sign != -1 for sign in signs])
            name = config.variants[best]
            reason = f"{ended} without a decision, {name} is promoted as asked: {so_far}"
            return VerdictKind.PASSED, reason, "", name
        case "abort":
            reason = f"{ended} without a decision, {CONTROL} stays as asked: {so_far}"
            return VerdictKind.FAILED, reason, HORIZON, ""
        case "hold":
            reason = f"{ended} without a decision; `promote` or `abort` ends the test: {so_far}"
            return VerdictKind.INCONCLUSIVE, reason, "", ""


def _better(goal: Goal) -> int:
    return 1 if goal.direction == "increase" else -1


def _best(config: AbConfig, state: AbState, allowed: list[bool]) -> int:
    """The allowed variant with the best estimate; the first one while nothing is known."""
    better = _better(config.goals[0])

    def gain(variant: int) -> float:
        found = compared(state.goals[0], variant)
        return found.estimate * better if found is not None else -inf

    return max((v for v, fine in enumerate(allowed) if fine), key=gain)


def _ended(state: AbState, rules: GoalRules, elapsed_ms: int) -> str:
    users = sum(state.users)
    if 0 < rules.horizon_users <= users:
        return f"the horizon of {rules.horizon_users:,} users is reached"
    if 0 < rules.horizon_ms <= elapsed_ms:
        return "the test has run for as long as planned"
    return ""


def _mismatch(config: AbConfig, state: AbState) -> str:
    parts = [
        f"{name} {users:,} ({wording.percent(share)} planned)"
        for name, users, share in zip(
            (*config.variants, CONTROL), state.users, config.shares, strict=True
        )
    ]
    return (
        f"users do not fall on the arms as planned: {', '.join(parts)}; what is compared are not "
        "the same people. Look for a router with other weights, lost records, or an arm that "
        "loses users before they are recorded"
    )


# --- what explain prints -----------------------------------------------------------------------


def checks(config: AbConfig, state: AbState) -> tuple[CheckResult, ...]:
    """SRM, then every goal for every variant."""
    results = [_srm(config, state)]
    for index, goal in enumerate(config.goals):
        several = range(len(config.variants))
        results += [_goal(config, state, index, goal, variant) for variant in several]
    return tuple(results)


def _srm(config: AbConfig, state: AbState) -> CheckResult:
    planned = ", ".join(
        f"{name} {wording.percent(share)}"
        for name, share in zip((*config.variants, CONTROL), config.shares, strict=True)
    )
    return CheckResult(
        check="srm",
        objective="users",
        kind=VerdictKind.INVALID if state.srm.mismatch else VerdictKind.PASSED,
        log_e=state.srm.log_e,
        log_threshold=BLOCK_AT,
        p_value=min(1.0, exp(-state.srm.peak)),
        weight=0.0,
        requests=sum(state.users),
        information_limit=inf,
        rule=f"users fall on the arms as planned ({planned}): refuted at e-value "
        f"{wording.e_value(BLOCK_AT)}, now {wording.e_value(state.srm.log_e)}",
    )


def _goal(config: AbConfig, state: AbState, index: int, goal: Goal, variant: int) -> CheckResult:
    known = state.goals[index]
    lane, name = known.lanes[variant], config.variants[variant]
    decides = "decides" if index == 0 else "shown only"
    return CheckResult(
        check="goal",
        objective=goal.name if len(config.variants) == 1 else f"{goal.name}/{name}",
        kind=_SAYS[lane.decided * _better(goal)],
        log_e=lane.log_e,
        log_threshold=config.decides_at,
        p_value=min(1.0, exp(-lane.peak)),
        weight=0.0,
        requests=known.arms[variant].n + known.arms[-1].n,
        information_limit=_limit(config, known, goal, variant),
        rule=f"{goal.name} is to {goal.direction} ({decides}): proven at e-value "
        f"{wording.e_value(config.decides_at)}, now {wording.e_value(lane.log_e)}; "
        f"{describe(config, state, index, variant)}",
    )


def _limit(config: AbConfig, known: GoalState, goal: Goal, variant: int) -> float:
    """Users of both arms that any test needs at the estimated difference."""
    found = compared(known, variant)
    if found is None or found.estimate == 0.0:
        return inf
    at = config.decides_at
    if goal.kind == "continuous":
        limit = 2.0 * at * found.unit_variance / found.estimate**2
    else:
        share = config.pair_share(variant)
        rates = found.mean_variant, found.mean_control
        limit = least_requests_ratio(*rates, share, 1.0, at) / share
    return float(ceil(limit)) if limit < inf else inf


def describe(config: AbConfig, state: AbState, index: int, variant: int) -> str:
    """Both arms of one goal in one line: values, users, difference, interval."""
    goal, known = config.goals[index], state.goals[index]
    ours, control = known.arms[variant], known.arms[-1]
    found = compared(known, variant)
    head = f"{goal.name} of {config.variants[variant]}"
    if found is None:
        return f"{head}: {ours.n:,} users with an outcome, {CONTROL} {control.n:,}"
    if goal.kind == "binary":
        text = _rates(config, ours, control)
    else:
        text = _means(config, found, ours, control, variant)
    if not enough(ours, control):
        text += (
            f"; decided from {LEAST_USERS} users an arm and {LEAST_EVENTS} outcomes other than 0 on"
        )
    return f"{head} {text}"


def _rates(config: AbConfig, ours: Moments, control: Moments) -> str:
    # Each interval misses with half of what this variant has; both together with all of it.
    low, high = rate_interval(ours.nonzero, ours.n, config.level / 2.0)
    least, most = rate_interval(control.nonzero, control.n, config.level / 2.0)
    return (
        f"{wording.percent(ours.nonzero / ours.n)} of {ours.n:,} users "
        f"(likely {wording.percent(low)} to {wording.percent(high)}), {CONTROL} "
        f"{wording.percent(control.nonzero / control.n)} of {control.n:,} "
        f"({wording.percent(least)} to {wording.percent(most)})"
    )


def _means(
    config: AbConfig, found: Difference, ours: Moments, control: Moments, variant: int
) -> str:
    half = half_width(found, config.rho(variant), config.level)
    adjusted = f", adjusted by its covariate (theta {found.theta:.3g})" if found.theta else ""
    return (
        f"{found.mean_variant:.4g} on average of {ours.n:,} users, {CONTROL} "
        f"{found.mean_control:.4g} of {control.n:,}; difference {found.estimate:+.3g}{adjusted}, "
        f"likely {found.estimate - half:+.3g} to {found.estimate + half:+.3g}"
    )
