"""What happens in a pass: how it starts, moves from rung to rung, is held, and ends.

Each function takes a state and gives the next one with what is to be recorded, or refuses.
"""

from dataclasses import replace

from sluice.engine import desired
from sluice.engine.actions import Record, Refused
from sluice.engine.events import Deployed
from sluice.engine.plan import CANDIDATE, ByReady, Fixed, OnInconclusive, Plan
from sluice.engine.ramp import next_weight_bp
from sluice.engine.state import Mode, State, Warm
from sluice.nouns import BP_TOTAL, RevisionId, Verdict, VerdictKind

Outcome = tuple[State, tuple[Record, ...]] | Refused
Moved = tuple[State, tuple[Record, ...]]

KEPT_REVISIONS = 10
"""Former stables that undo can name."""
SMALLEST_STEP = 1.05
"""A ramp grows by at least this factor: smaller steps cost a routing change and tell nothing."""
EVIDENCE_POLLS = 5
"""Time between two events is evidence up to so many polls: a dead controller bakes none."""


def record(
    state: State,
    kind: str,
    *,
    reason: str = "",
    message: str = "",
    from_bp: int | None = None,
    to_bp: int | None = None,
    by: str = "",
) -> Record:
    """A record of what was just decided; reason and message default to the state's."""
    running = state.mode is Mode.RUNNING
    return Record(
        kind=kind,
        reason=reason or state.reason,
        message=message or state.message,
        at_ms=state.at_ms,
        pass_number=state.pass_number,
        revision=state.candidate or state.stable,
        stage=state.stage,
        rung=state.rung,
        rung_name=state.at_rung.name if running else "",
        from_bp=from_bp,
        to_bp=to_bp,
        by=by,
    )


# --- time ---


def tick(state: State, elapsed: int) -> State:
    """Let time pass on the clocks that run in this state."""
    plan = state.plan
    if plan is None:
        return state
    warm = state.warm
    if warm is not None:
        left = warm.left_ms - elapsed
        warm = replace(warm, left_ms=left) if left > 0 else None
    ticked = replace(state, warm=warm, kept_ms=max(0, state.kept_ms - elapsed))
    candidate = state.candidate
    if state.mode is Mode.STARTING or state.in_pass:
        missing = candidate is not None and state.ready_of(candidate) == 0
        waits = state.mode is not Mode.RUNNING or missing
        ticked = replace(ticked, waited_ms=state.waited_ms + elapsed if waits else 0)
    if state.mode is Mode.RUNNING:
        ticked = _tick_rung(ticked, plan, elapsed)
    return ticked


def _tick_rung(state: State, plan: Plan, elapsed: int) -> State:
    seen = min(elapsed, EVIDENCE_POLLS * plan.poll_ms)
    measured = state.verdict not in (None, VerdictKind.INVALID, VerdictKind.ERROR)
    live = measured and state.acknowledged >= state.generation and _live_bp(state) > 0
    person = state.waits_for_person
    return replace(
        state,
        rung_ms=state.rung_ms + (0 if person else seen),
        stage_ms=state.stage_ms + (0 if person else elapsed),
        bake_ms=state.bake_ms + (seen if live else 0),
    )


def _live_bp(state: State) -> int:
    if state.routing is None:
        return 0
    return sum(state.routing.weight_bp(revision) for _, revision in state.candidates)


# --- start ---


def start_first(state: State, event: Deployed) -> Moved:
    """The first revision: no candidate of anything, it becomes stable when it is ready."""
    started = replace(
        state,
        mode=Mode.STARTING,
        plan=event.plan,
        spec_revision=event.revision,
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
        late = replace(late, message=_not_ready(late, first, plan))
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
    started = replace(
        state,
        mode=Mode.PREPARING,
        plan=plan,
        next_plan=None,
        spec_revision=spec,
        candidates=((CANDIDATE, revision), *variants),
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
        hold_message="",
        approved=(),
        verdict=None,
        reason="PreparingCandidate",
        message=f"{revision} gets its replicas; stable serves everything",
    )
    return started, (record(started, "PassStarted", by=by, to_bp=0),)


def enter_rung(state: State) -> Moved:
    """From PREPARING to the first rung once every candidate has its replicas."""
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    needed = desired.candidate_size(state, state.at_rung, plan)
    late = next((r for _, r in state.candidates if state.ready_of(r) < needed), None)
    if late is None:
        return (state, ()) if state.paused else _begin_rung(replace(state, mode=Mode.RUNNING), 0, 0)
    if state.waited_ms >= plan.progress_deadline_ms:
        return abort(state, "ProgressDeadlineExceeded", _not_ready(state, late, plan))
    return state, ()


def _not_ready(state: State, revision: RevisionId, plan: Plan) -> str:
    return (
        f"{revision} has {state.ready_of(revision)} of {plan.replicas} replicas ready after "
        f"{plan.progress_deadline_ms / 1000:g} s (progressDeadline)"
    )


# --- on the way ---


def _begin_rung(state: State, stage: int, rung: int, *, by: str = "") -> Moved:
    plan = state.next_plan or state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    stage = min(stage, len(plan.stages) - 1)
    rung = min(rung, len(plan.stages[stage].rungs) - 1)
    begun = replace(
        state,
        plan=plan,
        next_plan=None,
        stage=stage,
        rung=rung,
        rung_ms=0,
        stage_ms=state.stage_ms if stage == state.stage else 0,
        paused=False,
        hold="",
        hold_message="",
    )
    rule = begun.at_rung.weight
    if isinstance(rule, Fixed):
        begun = replace(begun, weight_bp=rule.weight_bp)
    elif isinstance(rule, ByReady):
        begun = replace(begun, weight_bp=desired.ready_share_bp(begun))
    name = begun.at_rung.name
    begun = replace(begun, reason="RungEntered", message=f"step {rung + 1}: {name}")
    entered = record(begun, "RungEntered", from_bp=state.weight_bp, to_bp=begun.weight_bp, by=by)
    return begun, (entered,)


def weigh(state: State, verdict: Verdict | None = None) -> Moved:
    """Set the weight that rule, evidence and ready replicas allow now."""
    weight = state.weight_bp
    match state.mode:
        case Mode.RUNNING:
            weight = _rung_weight(state, verdict)
        case Mode.ABORTED if weight > 0:
            weight = min(weight, _shortage_bp(state))
        case Mode.STEADY:
            return _watch_stable(state)
        case _:
            return state, ()
    if weight == state.weight_bp:
        return state, ()
    weighed = replace(state, weight_bp=weight)
    changed = record(
        weighed,
        "WeightChanged",
        reason="Ramp" if state.mode is Mode.RUNNING else "FallingBack",
        message=f"weight {state.weight_bp / 100:g}% to {weight / 100:g}%",
        from_bp=state.weight_bp,
        to_bp=weight,
    )
    return weighed, (changed,)


def _rung_weight(state: State, verdict: Verdict | None) -> int:
    rule, current = state.at_rung.weight, state.weight_bp
    if isinstance(rule, Fixed):
        return current
    if isinstance(rule, ByReady):
        wanted = desired.ready_share_bp(state)
    elif verdict is not None:
        wanted = next_weight_bp(
            current_bp=current,
            max_bp=rule.max_bp,
            growth=rule.growth,
            harm_budget=rule.harm_budget,
            evidence=verdict.evidence,
            rate_rps=verdict.rate_rps,
            interval_s=verdict.interval_s,
        )
        if current < wanted < min(rule.max_bp, current * SMALLEST_STEP):
            wanted = current
    else:
        return current
    held = state.paused or bool(state.hold)
    return min(wanted, current) if held else wanted


def _shortage_bp(state: State) -> int:
    """Live share that stable's ready replicas cannot carry, basis points."""
    plan, stable = state.plan, state.stable
    if plan is None or stable is None:
        return 0
    return max(0, BP_TOTAL - state.ready_of(stable) * BP_TOTAL // plan.replicas)


def _watch_stable(state: State) -> Moved:
    stable = state.stable
    lost = stable is not None and state.ready_of(stable) == 0
    if lost and not state.hold:
        message = f"stable {stable} has no ready replica"
        down = replace(state, hold="StableNotReady", reason="StableNotReady", message=message)
        return down, (record(down, "Degraded"),)
    if not lost and state.hold:
        message = f"stable {stable} is ready again"
        up = replace(state, hold="", reason="Recovered", message=message)
        return up, (record(up, "Recovered"),)
    return state, ()


def advance(state: State) -> Moved:
    """Go on to the next rung, to promotion or to the deadline's end, when it is time."""
    plan, candidate = state.plan, state.candidate
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # RUNNING always has one
    weighed, records = weigh(state) if isinstance(state.at_rung.weight, ByReady) else (state, ())
    if state.ready_of(candidate) == 0 and state.waited_ms >= plan.progress_deadline_ms:
        after, more = abort(weighed, "ProgressDeadlineExceeded", _not_ready(state, candidate, plan))
    elif state.promoting:
        after, more = _promote_when_able(weighed)
    elif _over_deadline(state):
        after, more = _at_deadline(weighed)
    elif _exit_holds(weighed, plan):
        after, more = _next(weighed)
    else:
        after, more = weighed, ()
    return after, (*records, *more)


def _over_deadline(state: State) -> bool:
    deadline = state.at_stage.deadline_ms
    return deadline is not None and state.stage_ms >= deadline and not state.waits_for_person


def _exit_holds(state: State, plan: Plan) -> bool:
    rung = state.at_rung
    if state.paused or state.hold or state.waits_for_person:
        return False
    if state.rung_ms < rung.exit.hold_ms:
        return False
    if rung.exit.passed:
        return state.verdict is VerdictKind.PASSED and state.bake_ms >= plan.min_bake_ms
    if state.weight_bp == 0:
        return True
    served = state.acknowledged >= state.generation and _live_bp(state) == state.weight_bp
    return served and desired.carried_bp(state, rung, plan) >= state.weight_bp


def _next(state: State, *, by: str = "") -> Moved:
    if state.rung + 1 < len(state.at_stage.rungs):
        return _begin_rung(state, state.stage, state.rung + 1, by=by)
    assert state.plan is not None  # noqa: S101  # RUNNING always has a plan
    if state.stage + 1 < len(state.plan.stages):
        return _begin_rung(state, state.stage + 1, 0, by=by)
    return _promote_when_able(state, by=by)


def _at_deadline(state: State) -> Moved:
    stage = state.at_stage
    assert stage.deadline_ms is not None  # noqa: S101  # asked by _over_deadline
    waited = f"undecided after {stage.deadline_ms / 1000:g} s (deadline)"
    match stage.on_inconclusive:
        case OnInconclusive.ABORT:
            return abort(state, "DeadlineExceeded", f"{waited}: turned back")
        case OnInconclusive.PROMOTE if not state.hold:
            return _promote_when_able(state)
        case _:
            return hold(
                state,
                "DeadlineExceeded",
                f"{waited}: held; `promote`, `abort`, or `resume` to wait on",
            )


def hold(state: State, reason: str, message: str) -> Moved:
    """Stay here: no growth, no promotion; a failing check still aborts."""
    held = replace(state, hold=reason, hold_message=message, reason=reason, message=message)
    if state.hold == reason:
        return held, ()
    return held, (record(held, "Held"),)


def release_hold(state: State, reasons: tuple[str, ...]) -> Moved:
    """Go on when the hold was for one of these reasons."""
    if state.hold not in reasons:
        return state, ()
    freed = replace(
        state, hold="", hold_message="", reason="Measured", message="can be measured again"
    )
    return freed, (record(freed, "Released"),)


def edit_plan(state: State, plan: Plan, *, now: bool) -> Moved:
    """Take an edited plan: at once outside a pass, at the next rung inside one."""
    if plan == (state.next_plan or state.plan):
        return state, ()
    if now:
        edited = replace(state, plan=plan)
        message = "edited plan taken"
    elif plan == state.plan:
        edited = replace(state, next_plan=None)
        message = "the edit was taken back"
    else:
        edited = replace(state, next_plan=plan)
        message = "edited plan: taken at the next step"
    said = record(edited, "PlanEdited", reason="PlanEdited", message=message)
    # Fewer replicas may make stable whole: an aborted candidate must not keep weight then.
    weighed, changed = weigh(edited) if state.mode is Mode.ABORTED else (edited, ())
    return weighed, (said, *changed)


# --- ends ---


def promote(state: State, *, full: bool, by: str) -> Outcome:
    """A person says go on: past the current step or gate, or (``full``) all the way."""
    plan, candidate = state.plan, state.candidate
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # a pass always has one
    ready = state.ready_of(candidate)
    if state.mode is Mode.PREPARING or ready == 0:
        return Refused(
            reason=f"cannot promote: {candidate} has {ready} of {plan.replicas} replicas ready"
        )
    freed = replace(state, paused=False, hold="", hold_message="")
    if full:
        return _promote_when_able(freed, by=by)
    return _next(freed, by=by)


def _promote_when_able(state: State, *, by: str = "") -> Moved:
    """Make the candidate stable once it alone can carry everything."""
    plan, candidate, former = state.plan, state.candidate, state.stable
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # a pass always has one
    if state.ready_of(candidate) < plan.replicas:
        if state.promoting:
            return state, ()
        message = f"decided to promote {candidate}; waits for {plan.replicas} ready replicas"
        waiting = replace(state, promoting=True, reason="WaitingForCapacity", message=message)
        return waiting, (record(waiting, "Promoting", by=by),)
    previous = tuple(r for r in (former, *state.previous) if r is not None and r != candidate)
    warm = None
    if former is not None and plan.keep_warm_ms > 0:
        warm = Warm(revision=former, left_ms=plan.keep_warm_ms)
    who = f" by {by}" if by else ""
    promoted = replace(
        state,
        mode=Mode.STEADY,
        plan=state.next_plan or plan,
        next_plan=None,
        stable=candidate,
        candidates=(),
        warm=warm,
        previous=previous[:KEPT_REVISIONS],
        weight_bp=0,
        paused=False,
        promoting=False,
        hold="",
        hold_message="",
        reason="Promoted",
        message=f"{candidate} is stable{who}",
    )
    done = record(promoted, "Promoted", from_bp=state.weight_bp, to_bp=BP_TOTAL, by=by)
    return promoted, (done,)


def abort(state: State, reason: str, message: str, *, by: str = "") -> Moved:
    """Traffic back to stable in this decision; the candidate is kept for inspection."""
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    aborted = replace(
        state,
        mode=Mode.ABORTED,
        weight_bp=min(state.weight_bp, _shortage_bp(state)) if _shrunk(state) else 0,
        kept_ms=max(plan.keep_warm_ms, 1),
        paused=False,
        promoting=False,
        hold="",
        hold_message="",
        reason=reason,
        message=message,
    )
    running = state.mode is Mode.RUNNING
    gone = record(
        aborted,
        "Aborted",
        from_bp=state.weight_bp,
        to_bp=aborted.weight_bp,
        by=by,
    )
    return aborted, (replace(gone, rung_name=state.at_rung.name if running else ""),)


def _shrunk(state: State) -> bool:
    """Whether stable gave up size on this rung (rolling): no instant abort is promised then."""
    return state.mode is Mode.RUNNING and state.at_rung.capacity.stable_bp < BP_TOTAL


def switch_back(state: State, reason: str, message: str, *, by: str = "") -> Moved:
    """Back to the warm former stable: one routing change."""
    plan, warm, stable = state.plan, state.warm, state.stable
    assert plan is not None  # noqa: S101  # a mode with a stable always has a plan
    assert warm is not None  # noqa: S101  # asked by the callers
    assert stable is not None  # noqa: S101  # STEADY always has one
    back = replace(
        state,
        mode=Mode.ABORTED,
        stable=warm.revision,
        candidates=((CANDIDATE, stable),),
        warm=None,
        previous=tuple(r for r in state.previous if r != warm.revision),
        kept_ms=max(plan.keep_warm_ms, 1),
        weight_bp=0,
        hold="",
        reason=reason,
        message=message,
    )
    return back, (record(back, "Undone", from_bp=BP_TOTAL, to_bp=0, by=by),)


def failed_after_switch(state: State, pass_number: int, verdict: Verdict) -> Moved:
    """A plan that watches switches back while the former stable is warm."""
    plan, warm = state.plan, state.warm
    if plan is None or warm is None or not plan.watch or pass_number != state.pass_number:
        return state, ()
    if verdict.kind is not VerdictKind.FAILED or state.ready_of(warm.revision) == 0:
        return state, ()
    return switch_back(state, "FailedAfterSwitch", verdict.reason)
