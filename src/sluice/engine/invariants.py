"""Rules that must always hold, checked on every decision and by the property tests.

A broken rule is a bug of ours; the runtime stops acting on that release and says so, which leaves
the last good routing in place.
"""

from sluice.engine.state import Mode, State
from sluice.errors import InvariantError
from sluice.nouns import BP_TOTAL, Purpose


def check(before: State, after: State) -> None:
    """Compare two successive states.

    Raises:
        InvariantError: naming the rule, the release and the numbers.
    """
    for rule in (
        _counters_grow,
        _no_traffic_without_hosts,
        _only_promotion_reaches_all,
        _aborted_has_no_weight,
        _mirror_never_answers,
        _traffic_leaves_before_replicas,
        _bounded_plan_keeps_its_bounds,
        _nothing_grows_in_a_freeze,
    ):
        fault = rule(before, after)
        if fault:
            raise InvariantError(f"release {after.release}: {rule.__name__[1:]}: {fault}")


def _counters_grow(before: State, after: State) -> str:
    for name in ("at_ms", "generation", "acknowledged", "pass_number"):
        old, new = getattr(before, name), getattr(after, name)
        if new < old:
            return f"{name} went from {old} to {new}"
    if after.acknowledged > after.generation:
        return f"generation {after.acknowledged} acknowledged, {after.generation} asked for"
    return ""


def _no_traffic_without_hosts(before: State, after: State) -> str:
    """Stable may have lost its last host: there is nobody else to send requests to."""
    routing = after.routing
    for arm in routing.arms if routing else ():
        if arm.revision != after.stable and arm.weight_bp and not after.ready_of(arm.revision):
            return f"{arm.revision} has {arm.weight_bp} bp and no ready host"
    return ""


def _only_promotion_reaches_all(before: State, after: State) -> str:
    routing = after.routing
    for arm in routing.live if routing else ():
        if arm.weight_bp == BP_TOTAL and arm.revision != after.stable:
            return f"{arm.revision} has everything and is not stable"
    return ""


def _aborted_has_no_weight(before: State, after: State) -> str:
    """Where stable kept its size, an abort takes all candidate weight in the same decision."""
    if after.mode is not Mode.ABORTED or after.routing is None or after.stable is None:
        return ""
    weight = BP_TOTAL - after.routing.weight_bp(after.stable)
    enough = after.plan.enough if after.plan else 0
    if weight and after.ready_of(after.stable) >= enough:
        return f"aborted, and the candidate has {weight} bp"
    return ""


def _mirror_never_answers(before: State, after: State) -> str:
    routing = after.routing
    for arm in routing.arms if routing else ():
        if arm.purpose is Purpose.MIRROR and routing and routing.weight_bp(arm.revision):
            return f"{arm.revision} is mirrored to and answers users"
    return ""


def _traffic_leaves_before_replicas(before: State, after: State) -> str:
    sizes = dict(after.sizes)
    routing = after.routing
    for revision, size in before.sizes:
        now = sizes.get(revision, 0)
        if now >= size or routing is None:
            continue
        share = routing.weight_bp(revision)
        enough = after.plan.enough if after.plan else size
        if share and now * BP_TOTAL < share * enough:
            return f"{revision} shrinks from {size} to {now} with {share} bp"
        if after.acknowledged < after.generation:
            return f"{revision} shrinks from {size} to {now} before routers acknowledged"
    return ""


def _bounded_plan_keeps_its_bounds(before: State, after: State) -> str:
    """Never more asked for than the surge allows, never fewer ready than enough by our doing."""
    plan = after.plan
    if plan is None or plan.surge is None or after.mode is Mode.DELETING:
        return ""
    old, new = dict(before.sizes), dict(after.sizes)
    asked, most = sum(new.values()), plan.replicas + plan.surge
    if asked > max(most, sum(old.values())):
        return f"{asked} replicas asked for, {most} allowed"
    serving = {after.stable, *(revision for _, revision in after.candidates)}
    ready = sum(min(after.ready_of(r), new.get(r, 0)) for r in serving if r is not None)
    there = sum(min(after.ready_of(r), old.get(r, 0)) for r in serving if r is not None)
    if ready < min(there, plan.enough):
        return f"{ready} ready replicas stay of {there}, {plan.enough} must"
    return ""


def _nothing_grows_in_a_freeze(before: State, after: State) -> str:
    if not (before.is_frozen and after.is_frozen) or before.pass_number != after.pass_number:
        return ""
    if not before.in_pass:
        return ""
    if after.weight_bp > before.weight_bp:
        return f"weight went from {before.weight_bp} to {after.weight_bp} bp"
    if (after.stage, after.rung) != (before.stage, before.rung):
        return f"step {before.stage}.{before.rung} to {after.stage}.{after.rung}"
    if after.stable is not None and after.stable != before.stable:
        return f"{after.stable} was promoted"
    if before.mode is Mode.PREPARING and after.mode is Mode.RUNNING:
        return "the first step was entered"
    return ""
