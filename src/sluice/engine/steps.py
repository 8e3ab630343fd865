"""From step to step: when it is time to go on, to hold, or to end."""

from dataclasses import replace

from sluice.engine import desired, sizes
from sluice.engine.actions import Refused
from sluice.engine.endings import abort, crowned, not_ready, promote_when_able
from sluice.engine.freezing import lift, still_frozen
from sluice.engine.plan import ByReady, Fixed, OnInconclusive, Plan
from sluice.engine.records import Moved, Outcome, record
from sluice.engine.state import Mode, State
from sluice.engine.weights import weigh
from sluice.nouns import VerdictKind


def begin_rung(state: State, stage: int, rung: int, *, by: str = "") -> Moved:
    """Enter a step, with the edited plan if there is one."""
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    later = state.next_plan
    if later is not None and _goes_on(plan, later, stage):
        plan, later = later, None
    if stage != state.stage:
        state = crowned(state)
    stage = min(stage, len(plan.stages) - 1)
    rung = min(rung, len(plan.stages[stage].rungs) - 1)
    begun = replace(
        state,
        plan=plan,
        next_plan=later,
        stage=stage,
        rung=rung,
        rung_ms=0,
        stage_ms=state.stage_ms if stage == state.stage else 0,
        # What was judged in another stage says nothing of this one.
        verdict=state.verdict if stage == state.stage else None,
        paused=False,
        hold="",
    )
    rule = begun.at_rung.weight
    if isinstance(rule, Fixed):
        begun = replace(begun, weight_bp=rule.weight_bp)
    elif isinstance(rule, ByReady):
        begun = replace(begun, weight_bp=sizes.ready_share_bp(begun))
    name = begun.at_rung.name
    begun = replace(begun, reason="RungEntered", message=f"step {rung + 1}: {name}")
    entered = record(begun, "RungEntered", from_bp=state.weight_bp, to_bp=begun.weight_bp, by=by)
    return begun, (entered,)


def _goes_on(plan: Plan, edited: Plan, stage: int) -> bool:
    """Whether an edited plan can be taken in mid-pass: the same strategies up to here."""
    same = [item.strategy for item in plan.stages[: stage + 1]] == [
        item.strategy for item in edited.stages[: stage + 1]
    ]
    return same and (plan.surge is None) == (edited.surge is None)


def advance(state: State) -> Moved:
    """Go on to the next rung, to promotion or to the deadline's end, when it is time."""
    plan, candidate = state.plan, state.candidate
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # RUNNING always has one
    weighed, records = weigh(state) if isinstance(state.at_rung.weight, ByReady) else (state, ())
    if sizes.too_few(state) and state.waited_ms >= plan.progress_deadline_ms:
        after, more = abort(weighed, "ProgressDeadlineExceeded", not_ready(state, candidate, plan))
    elif state.is_frozen:
        after, more = weighed, ()
    elif state.promoting:
        after, more = promote_when_able(weighed)
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
    if state.paused or state.hold or state.waits_for_person or state.open_gates:
        return False
    if state.rung_ms < rung.exit.hold_ms:
        return False
    if rung.exit.passed:
        baked = state.bake_ms >= plan.min_bake_ms or not rung.exit.baked
        return state.verdict is VerdictKind.PASSED and baked
    served = state.acknowledged >= state.generation and desired.live_bp(state) == state.weight_bp
    carried = desired.carried_bp(state, rung, plan) >= state.weight_bp
    return served and carried and not sizes.too_few(state)


def _next(state: State, *, by: str = "") -> Moved:
    if state.rung + 1 < len(state.at_stage.rungs):
        return begin_rung(state, state.stage, state.rung + 1, by=by)
    assert state.plan is not None  # noqa: S101  # RUNNING always has a plan
    if state.stage + 1 < len(state.plan.stages):
        return begin_rung(state, state.stage + 1, 0, by=by)
    return promote_when_able(state, by=by)


def _at_deadline(state: State) -> Moved:
    stage = state.at_stage
    assert stage.deadline_ms is not None  # noqa: S101  # asked by _over_deadline
    waited = f"undecided after {stage.deadline_ms / 1000:g} s (deadline)"
    match stage.on_inconclusive:
        case OnInconclusive.ABORT:
            return abort(state, "DeadlineExceeded", f"{waited}: turned back")
        case OnInconclusive.PROMOTE if not state.hold:
            assert state.plan is not None  # noqa: S101  # RUNNING always has a plan
            if state.stage + 1 < len(state.plan.stages):
                return begin_rung(state, state.stage + 1, 0)
            return promote_when_able(state)
        case _:
            return hold(
                state,
                "DeadlineExceeded",
                f"{waited}: held; `promote`, `abort`, or `resume` to wait on",
            )


def hold(state: State, reason: str, message: str) -> Moved:
    """Stay here: no growth, no promotion; a failing check still aborts."""
    held = replace(state, hold=reason, reason=reason, message=message)
    if state.hold == reason:
        return held, ()
    return held, (record(held, "Held"),)


def release_hold(state: State, reasons: tuple[str, ...]) -> Moved:
    """Go on when the hold was for one of these reasons."""
    if state.hold not in reasons:
        return state, ()
    freed = replace(state, hold="", reason="Measured", message="can be measured again")
    return still_frozen(freed), (record(freed, "Released"),)


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
        if state.plan is not None and not _goes_on(state.plan, plan, state.stage):
            message = "edited plan: another strategy, taken with the next pass"
    said = record(edited, "PlanEdited", reason="PlanEdited", message=message)
    # Fewer replicas may make stable whole: an aborted candidate must not keep weight then.
    weighed, changed = weigh(edited) if state.mode is Mode.ABORTED else (edited, ())
    return weighed, (said, *changed)


def promote(state: State, *, full: bool, force: bool, by: str) -> Outcome:
    """A person says go on: past the current step or gate, or (``full``) all the way."""
    plan, candidate = state.plan, state.candidate
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # a pass always has one
    if state.is_frozen and not force:
        return Refused(
            reason=f"cannot promote: frozen until {state.frozen}; "
            "`promote --force` lifts the freeze for this pass"
        )
    ready = state.ready_of(candidate)
    waiting = sizes.candidate_size(state, state.at_rung, plan)
    short = any(state.ready_of(revision) < waiting for _, revision in state.candidates)
    if ready == 0 or (state.mode is Mode.PREPARING and short):
        return Refused(
            reason=f"cannot promote: {candidate} has {ready} of {plan.replicas} replicas ready"
        )
    lifted, records = lift(state, by=by) if state.is_frozen else (state, ())
    freed = replace(lifted, paused=False, hold="")
    if freed.mode is Mode.PREPARING:
        # Held before its first step by a pause or a freeze: that step is what comes next.
        freed, entered = begin_rung(replace(freed, mode=Mode.RUNNING), 0, 0, by=by)
        records = (*records, *entered)
        if not full:
            return freed, records
    after, more = promote_when_able(freed, by=by) if full else _next(freed, by=by)
    return after, (*records, *more)
