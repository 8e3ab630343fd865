"""How many replicas each revision gets: what a state wants, and how it may get there.

Without a bound (``Plan.surge`` None) revisions stand beside one another at the size of their rung.
With one, every replica of the candidate takes a place that stable gives up, so that at any moment
no more than ``replicas + surge`` are asked for, and no step leaves fewer than ``Plan.enough`` that
are ready and have the traffic of those that go.
"""

from sluice.engine.plan import ByReady, Plan, Rung
from sluice.engine.state import Mode, State
from sluice.nouns import BP_TOTAL, Purpose, RevisionId


def wanted_sizes(state: State) -> dict[RevisionId, int]:
    """The size of every revision that this state asks for, before safety holds it back."""
    plan = state.plan
    if plan is None or state.mode is Mode.DELETING:
        return {}
    wanted: dict[RevisionId, int] = {}
    if state.stable is not None:
        wanted[state.stable] = plan.replicas
    if state.warm is not None:
        wanted[state.warm.revision] = plan.replicas
    if state.mode is Mode.STARTING and state.candidate is not None:
        wanted[state.candidate] = plan.replicas
    if state.in_pass:
        if state.stable is not None:
            wanted[state.stable] = stable_size(state, state.at_rung, plan)
        for _, revision in state.candidates:
            wanted[revision] = candidate_size(state, state.at_rung, plan)
    if state.mode is Mode.ABORTED and state.kept_ms > 0:
        for _, revision in state.candidates:
            kept = max(1, state.size_of(revision))
            wanted.setdefault(revision, kept if plan.surge is None else min(kept, plan.surge))
    return wanted


def candidate_size(state: State, rung: Rung, plan: Plan) -> int:
    """Replicas that a candidate gets on a rung; at least one."""
    share = rung.capacity.candidate_bp
    if state.promoting:
        share = BP_TOTAL
    elif share is None:
        share = state.weight_bp
    size = -(-plan.replicas * share // BP_TOTAL)
    if plan.surge is not None:
        size = min(size, plan.replicas + plan.surge - max(1, _left_to_stable(state, rung, plan)))
    return max(1, size)


def stable_size(state: State, rung: Rung, plan: Plan) -> int:
    """Replicas that stable keeps on a rung: what it is left, and what is not replaced yet."""
    kept = _left_to_stable(state, rung, plan)
    if plan.surge is not None:
        ready = sum(state.ready_of(revision) for _, revision in state.candidates)
        kept = max(kept, plan.enough - ready)
    return max(1, min(plan.replicas, kept))


def _left_to_stable(state: State, rung: Rung, plan: Plan) -> int:
    if state.promoting and plan.surge is not None:
        return 0
    return -(-plan.replicas * rung.capacity.stable_bp // BP_TOTAL)


def too_few(state: State) -> bool:
    """Whether the candidate's replicas are missing without which this rung cannot be over."""
    plan, candidate = state.plan, state.candidate
    if plan is None or candidate is None:
        return False
    rung = state.at_rung
    needed = candidate_size(state, rung, plan) if isinstance(rung.weight, ByReady) else 1
    return state.ready_of(candidate) < needed


def ready_share_bp(state: State) -> int:
    """Candidate's share of the ready replicas that stay on this rung, below the whole.

    Stable's replicas that are about to go count no more: their traffic has to leave first.
    """
    plan, candidate, stable = state.plan, state.candidate, state.stable
    if plan is None or candidate is None or stable is None:
        return 0
    ours = state.ready_of(candidate)
    theirs = min(state.ready_of(stable), stable_size(state, state.at_rung, plan))
    if ours == 0:
        return 0
    # Rounded up: stable's part, rounded down, is what its remaining replicas carry.
    return min(BP_TOTAL - 1, BP_TOTAL - theirs * BP_TOTAL // (ours + theirs))


def shortage_bp(state: State) -> int:
    """Live share that stable's ready replicas cannot carry, basis points."""
    plan, stable = state.plan, state.stable
    if plan is None or stable is None:
        return 0
    return max(0, BP_TOTAL + (-state.ready_of(stable) * BP_TOTAL // plan.enough))


def safe_sizes(state: State) -> dict[RevisionId, int]:
    """Sizes with traffic taken away before replicas are: a revision shrinks only once every
    router has acknowledged a routing that gives it no live weight, or in a bounded plan no more
    than what is left carries.
    """
    plan = state.plan
    wanted = wanted_sizes(state)
    result = dict(wanted)
    for revision, size in state.sizes:
        target = wanted.get(revision, 0)
        if target >= size:
            continue
        if plan is None or plan.surge is None:
            needed = _unbounded_floor(state, revision, size, target)
        else:
            needed = min(size, max(target, _bounded_floor(state, plan, revision, size, result)))
        if needed > 0 or state.ready_of(revision) > 0 or revision in wanted:
            result[revision] = needed
    if plan is not None and plan.surge is not None:
        _fit(state, plan.replicas + plan.surge, result)
    return result


def _unbounded_floor(state: State, revision: RevisionId, size: int, target: int) -> int:
    settled = state.acknowledged >= state.generation
    if revision != state.stable:
        return size if not settled or _is_served(state, revision) else target
    plan = state.plan
    if not settled:
        return size
    if plan is None or state.routing is None:
        return target
    return max(target, _carrying(plan.replicas, state.routing.weight_bp(revision)), 1)


def _bounded_floor(
    state: State, plan: Plan, revision: RevisionId, size: int, result: dict[RevisionId, int]
) -> int:
    """Fewest replicas of a shrinking revision that carry its traffic, and with the others' enough
    of all; ``result`` has the sizes of those that were looked at before.
    """
    if state.acknowledged < state.generation:
        return size
    floor = 1 if _is_served(state, revision) or revision == state.stable else 0
    if state.routing is not None:
        floor = max(floor, _carrying(plan.enough, state.routing.weight_bp(revision)))
    serving = {state.stable, *(candidate for _, candidate in state.candidates)}
    if revision in serving:
        others = sum(
            min(state.ready_of(other), result.get(other, there), there)
            for other, there in state.sizes
            if other in serving and other != revision
        )
        floor = max(floor, min(state.ready_of(revision), plan.enough - others))
    return floor


def _carrying(replicas: int, share_bp: int) -> int:
    return -(-replicas * share_bp // BP_TOTAL)


def _is_served(state: State, revision: RevisionId) -> bool:
    return state.routing is not None and any(
        arm.revision == revision and (arm.weight_bp > 0 or arm.purpose is not Purpose.LIVE)
        for arm in state.routing.arms
    )


def _fit(state: State, most: int, result: dict[RevisionId, int]) -> None:
    """Let revisions grow only into free places, stable first."""
    places = most - sum(min(size, result.get(rev, 0)) for rev, size in state.sizes)
    order = [state.stable, *(revision for _, revision in state.candidates), *result]
    for revision in dict.fromkeys(order):
        if revision is None or revision not in result:
            continue
        size = state.size_of(revision)
        grown = min(result[revision] - size, max(0, places))
        if grown > 0 or result[revision] > size:
            result[revision] = size + max(0, grown)
            places -= max(0, grown)
