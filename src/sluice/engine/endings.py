"""How a pass ends: promoted, turned back, or switched back after the promotion."""

from dataclasses import replace

from sluice.engine.plan import CANDIDATE, Plan
from sluice.engine.records import Moved, record
from sluice.engine.sizes import shortage_bp
from sluice.engine.state import Mode, State, Warm
from sluice.nouns import BP_TOTAL, RevisionId, Verdict, VerdictKind

KEPT_REVISIONS = 10
"""Former stables that undo can name."""


def promote_when_able(state: State, *, by: str = "") -> Moved:
    """Make the candidate stable once it alone can carry everything."""
    crown = crowned(state)
    plan, candidate, former = state.plan, crown.candidate, state.stable
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    assert candidate is not None  # noqa: S101  # a pass always has one
    if state.ready_of(candidate) < plan.enough:
        if state.promoting:
            return state, ()
        message = f"decided to promote {candidate}; waits for {plan.enough} ready replicas"
        waiting = replace(state, promoting=True, reason="WaitingForCapacity", message=message)
        if plan.surge is not None:
            # Only the last rung of a bounded plan makes room for all of the candidate.
            last = len(plan.stages) - 1
            waiting = replace(waiting, stage=last, rung=len(plan.stages[last].rungs) - 1)
        return waiting, (record(waiting, "Promoting", by=by),)
    previous = tuple(r for r in (former, *state.previous) if r is not None and r != candidate)
    warm = None
    if former is not None and plan.keep_warm_ms > 0 and plan.surge is None:
        warm = Warm(revision=former, left_ms=plan.keep_warm_ms)
    who = f" by {by}" if by else ""
    promoted = replace(
        crown,
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
        reason="Promoted",
        message=f"{candidate} is stable{who}",
    )
    done = record(promoted, "Promoted", from_bp=state.weight_bp, to_bp=BP_TOTAL, by=by)
    return promoted, (done,)


def crowned(state: State) -> State:
    """The winner of a test alone, as the candidate that the rest of the pass is about."""
    winner = dict(state.candidates).get(state.winner)
    if winner is None:
        return state
    return replace(state, candidates=((CANDIDATE, winner),), winner="")


def abort(state: State, reason: str, message: str, *, by: str = "") -> Moved:
    """Traffic back to stable in this decision; the candidate is kept for inspection."""
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    aborted = replace(
        state,
        mode=Mode.ABORTED,
        weight_bp=min(state.weight_bp, shortage_bp(state)) if _has_shrunk(state) else 0,
        kept_ms=max(plan.keep_warm_ms, 1),
        paused=False,
        promoting=False,
        hold="",
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


def _has_shrunk(state: State) -> bool:
    """Whether stable may have given up size (rolling): no instant abort is promised then."""
    bounded = state.plan is not None and state.plan.surge is not None
    return bounded and state.mode is Mode.RUNNING


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


def not_ready(state: State, revision: RevisionId, plan: Plan) -> str:
    """Why a pass is turned back whose replicas did not get ready in time."""
    why = dict(state.waiting).get(revision, "")
    return (
        f"{revision} has {state.ready_of(revision)} of {plan.replicas} replicas ready after "
        f"{plan.progress_deadline_ms / 1000:g} s (progressDeadline){why and f': {why}'}"
    )
