"""How a pass starts: replicas first, then the first step."""

from dataclasses import replace

from sluice.engine import sizes
from sluice.engine.endings import abort, not_ready
from sluice.engine.events import Deployed
from sluice.engine.freezing import still_frozen
from sluice.engine.plan import CANDIDATE, Plan
from sluice.engine.records import Moved, record
from sluice.engine.state import Mode, State
from sluice.engine.steps import begin_rung
from sluice.nouns import BP_TOTAL, RevisionId


def start_first(state: State, event: Deployed) -> Moved:
    """The first revision: no candidate of anything, it becomes stable when it is ready."""
    started = replace(
        state,
        mode=Mode.STARTING,
        plan=event.plan,
        spec_revision=event.revision,
        spec_variants=event.variants,
        candidates=((CANDIDATE, event.revision),),
        pass_number=state.pass_number + 1,
        pass_started_ms=state.at_ms,
        waited_ms=0,
        hold="",
        reason="FirstRevision",
        message=f"{event.revision} is the first revision: stable as soon as it is ready",
    )
    return started, (record(started, "PassStarted"),)


def first_ready(state: State) -> Moved:
    """Make the first revision stable once all its replicas are ready."""
    plan, first = state.plan, state.candidate
    assert plan is not None  # noqa: S101  # a mode with a candidate always has a plan
    assert first is not None  # noqa: S101  # STARTING always has one
    if state.ready_of(first) >= plan.replicas:
        steady = replace(
            state,
            mode=Mode.STEADY,
            stable=first,
            candidates=(),
            hold="",
            reason="FirstRevision",
            message=f"{first} is ready and serves everything",
        )
        return steady, (record(steady, "Promoted", to_bp=BP_TOTAL),)
    if state.waited_ms >= plan.progress_deadline_ms and not state.hold:
        late = replace(state, hold="ProgressDeadlineExceeded", reason="ProgressDeadlineExceeded")
        late = replace(late, message=not_ready(late, first, plan))
        return late, (record(late, "Held"),)
    return state, ()


def start_pass(
    state: State,
    plan: Plan,
    revision: RevisionId,
    variants: tuple[tuple[str, RevisionId], ...],
    *,
    spec: RevisionId | None,
    by: str = "",
) -> Moved:
    """Begin the journey of a candidate: its replicas come before its traffic."""
    warm = state.warm if state.warm and state.warm.revision != revision else None
    if plan.surge is not None:
        warm = None  # its places are needed
    known = tuple(v for v in variants if v[0] in plan.variants and v[1] != revision)
    started = replace(
        state,
        mode=Mode.PREPARING,
        plan=plan,
        next_plan=None,
        spec_revision=spec,
        candidates=((CANDIDATE, revision), *known),
        warm=warm,
        kept_ms=0,
        pass_number=state.pass_number + 1,
        pass_started_ms=state.at_ms,
        stage=0,
        rung=0,
        rung_ms=0,
        stage_ms=0,
        bake_ms=0,
        waited_ms=0,
        weight_bp=0,
        paused=False,
        promoting=False,
        hold="",
        forced=False,
        approved=(),
        verdict=None,
        winner="",
        queued=False,
        reason="PreparingCandidate",
        message=f"{revision} gets its replicas; stable serves everything",
    )
    return started, (record(started, "PassStarted", by=by, to_bp=0),)


def take_queued(state: State) -> Moved:
    """What the spec asks for after a candidate was turned back, once stable carries everything."""
    plan, wanted = state.next_plan or state.plan, state.spec_revision
    if not state.queued or state.weight_bp > 0 or plan is None or wanted is None:
        return state, ()
    if wanted != state.stable:
        return start_pass(state, plan, wanted, state.spec_variants, spec=wanted)
    steady = replace(
        state,
        mode=Mode.STEADY,
        plan=plan,
        next_plan=None,
        candidates=(),
        kept_ms=0,
        queued=False,
        reason="Reverted",
        message="the spec asks for stable again",
    )
    return steady, (record(steady, "Reverted"),)


def enter_rung(state: State) -> Moved:
    """From PREPARING to the first rung once every candidate has its replicas."""
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    needed = sizes.candidate_size(state, state.at_rung, plan)
    late = next((r for _, r in state.candidates if state.ready_of(r) < needed), None)
    if late is None and (state.paused or state.is_frozen):
        # What waited for its replicas waits no longer: one that flaps later has its whole time.
        ready = still_frozen(replace(state, waited_ms=0))
        said = record(ready, "Frozen") if ready.reason != state.reason else None
        return ready, (said,) if said else ()
    if late is None:
        return begin_rung(replace(state, mode=Mode.RUNNING), 0, 0)
    if state.waited_ms >= plan.progress_deadline_ms:
        return abort(state, "ProgressDeadlineExceeded", not_ready(state, late, plan))
    return state, ()
