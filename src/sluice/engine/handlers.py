"""What each event means in a state: one function a transition of the machine's table.

Each takes the state at the event's time, the event, and the milliseconds since the one before.
"""

from dataclasses import replace

from sluice.engine.actions import Refused
from sluice.engine.clocks import tick
from sluice.engine.endings import abort, failed_after_switch, switch_back
from sluice.engine.events import (
    Abort,
    Acknowledged,
    Deleted,
    Deployed,
    Event,
    Freeze,
    Judged,
    Observed,
    Pause,
    Promote,
    Resume,
    Retry,
    Undo,
)
from sluice.engine.freezing import freeze, still_frozen
from sluice.engine.records import Outcome, record
from sluice.engine.starts import enter_rung, first_ready, start_first, start_pass
from sluice.engine.state import Mode, State
from sluice.engine.steps import (
    advance,
    edit_plan,
    hold,
    promote,
    release_hold,
)
from sluice.engine.weights import weigh
from sluice.nouns import VerdictKind


def nothing(state: State, event: Event, elapsed: int) -> Outcome:
    """Legal, and without meaning here."""
    return state, ()


def deploy_first(state: State, event: Event, elapsed: int) -> Outcome:
    """No stable yet: the newest revision asked for is the first."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if state.spec_revision == event.revision:
        return replace(state, plan=event.plan), ()
    return start_first(state, event)


def deploy_steady(state: State, event: Event, elapsed: int) -> Outcome:
    """A new revision starts a pass; the same one takes an edited plan."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if event.revision == state.spec_revision or event.revision == state.stable:
        edited = replace(state, spec_revision=event.revision)
        return edit_plan(edited, event.plan, now=True)
    return start_pass(state, event.plan, event.revision, event.variants, spec=event.revision)


def deploy_in_pass(state: State, event: Event, elapsed: int) -> Outcome:
    """The candidate again: an edited plan. Stable again: back. Another: start over."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if event.revision in (state.candidate, state.spec_revision):
        return edit_plan(state, event.plan, now=False)
    if event.revision == state.stable:
        turned, records = abort(
            state, "Reverted", "the spec asks for stable again: candidate turned back"
        )
        steady = replace(
            turned,
            mode=Mode.STEADY,
            candidates=(),
            kept_ms=0,
            spec_revision=event.revision,
            plan=event.plan,
        )
        return steady, records
    turned, gone = abort(state, "Superseded", f"a newer revision {event.revision} was deployed")
    started, new = start_pass(
        turned, event.plan, event.revision, event.variants, spec=event.revision
    )
    return started, (*gone, *new)


def deploy_aborted(state: State, event: Event, elapsed: int) -> Outcome:
    """Another revision starts a pass; the one that was turned back does not."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if event.revision == state.spec_revision:
        return edit_plan(state, event.plan, now=True)
    if event.revision == state.stable:
        steady = replace(
            state,
            mode=Mode.STEADY,
            candidates=(),
            kept_ms=0,
            weight_bp=0,
            spec_revision=event.revision,
            plan=event.plan,
            reason="Reverted",
            message="the spec asks for stable again",
        )
        return steady, (record(steady, "Reverted"),)
    return start_pass(state, event.plan, event.revision, event.variants, spec=event.revision)


def observe(state: State, event: Event, elapsed: int) -> Outcome:
    """Time goes by and replicas come and go."""
    assert isinstance(event, Observed)  # noqa: S101  # the table's key
    state = replace(state, ready=tuple(sorted(event.ready)), waiting=event.waiting)
    ticked = tick(state, elapsed)
    match ticked.mode:
        case Mode.STARTING:
            return first_ready(ticked)
        case Mode.PREPARING:
            return enter_rung(ticked)
        case Mode.RUNNING:
            return advance(ticked)
        case _:
            return weigh(ticked)


def acknowledge(state: State, event: Event, elapsed: int) -> Outcome:
    """Routers serve a generation; an old one says nothing new."""
    assert isinstance(event, Acknowledged)  # noqa: S101  # the table's key
    if not state.acknowledged < event.generation <= state.generation:
        return state, ()
    return replace(state, acknowledged=event.generation), ()


def judge(state: State, event: Event, elapsed: int) -> Outcome:
    """A verdict on the running pass."""
    assert isinstance(event, Judged)  # noqa: S101  # the table's key
    if event.pass_number != state.pass_number:
        return Refused(
            reason=f"verdict of pass {event.pass_number}, not of pass {state.pass_number}"
        )
    verdict = event.verdict
    state = replace(state, verdict=verdict.kind)
    if not state.at_rung.checks:
        return advance(state)
    if verdict.kind is VerdictKind.FAILED:
        return abort(state, "CheckFailed", verdict.reason)
    if verdict.kind in (VerdictKind.INVALID, VerdictKind.ERROR):
        reason = "MeasurementInvalid" if verdict.kind is VerdictKind.INVALID else "CannotMeasure"
        if state.hold == "DeadlineExceeded":
            return state, ()
        return hold(state, reason, verdict.reason)
    released, records = release_hold(state, ("MeasurementInvalid", "CannotMeasure"))
    weighed, changes = weigh(released, verdict)
    advanced = advance(weighed)
    if isinstance(advanced, Refused):
        return advanced
    after, more = advanced
    return after, (*records, *changes, *more)


def judge_steady(state: State, event: Event, elapsed: int) -> Outcome:
    """A verdict after the switch, for plans that watch."""
    assert isinstance(event, Judged)  # noqa: S101  # the table's key
    return failed_after_switch(state, event.pass_number, event.verdict)


def go_on(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says promote."""
    assert isinstance(event, Promote)  # noqa: S101  # the table's key
    return promote(state, full=event.full, force=event.force, by=event.by)


def freezes(state: State, event: Event, elapsed: int) -> Outcome:
    """A freeze window begins or ends."""
    assert isinstance(event, Freeze)  # noqa: S101  # the table's key
    return freeze(state, event.until)


def pause(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says pause."""
    assert isinstance(event, Pause)  # noqa: S101  # the table's key
    if state.paused:
        return state, ()
    paused = replace(
        state, paused=True, reason="PausedByUser", message="paused; a failing check still aborts"
    )
    return paused, (record(paused, "Paused", by=event.by),)


def resume(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says resume."""
    assert isinstance(event, Resume)  # noqa: S101  # the table's key
    if not state.paused and not state.hold:
        return Refused(reason="cannot resume: the pass is not paused or held")
    late = state.hold == "DeadlineExceeded"
    resumed = replace(
        state,
        paused=False,
        hold="",
        stage_ms=0 if late else state.stage_ms,
        reason="Resumed",
        message="going on; the deadline starts again" if late else "going on",
    )
    if resumed.waits_for_person:
        here = f"step {resumed.rung + 1}: {resumed.at_rung.name}"
        resumed = replace(resumed, message=f"resumed; {here} waits for a person")
    return still_frozen(resumed), (record(resumed, "Resumed", by=event.by),)


def turn_back(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says abort."""
    assert isinstance(event, Abort)  # noqa: S101  # the table's key
    who = f" by {event.by}" if event.by else ""
    return abort(state, "AbortedByUser", f"turned back{who}; stable serves", by=event.by)


def turned_back_already(state: State, event: Event, elapsed: int) -> Outcome:
    """Aborted already: asking again changes nothing."""
    return state, ()


def retry(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says retry: what was turned back, or what the spec asks for."""
    assert isinstance(event, Retry)  # noqa: S101  # the table's key
    candidate, plan = state.candidate, state.plan
    if state.mode is Mode.STEADY and state.spec_revision != state.stable:
        candidate = state.spec_revision
    if candidate is None or plan is None or candidate == state.stable:
        return Refused(reason="cannot retry: no candidate was turned back")
    return start_pass(
        state, plan, candidate, state.candidates[1:], spec=state.spec_revision, by=event.by
    )


def undo(state: State, event: Event, elapsed: int) -> Outcome:
    """A person says undo."""
    assert isinstance(event, Undo)  # noqa: S101  # the table's key
    target = event.to or (state.previous[0] if state.previous else None)
    if target is None:
        return Refused(reason="cannot undo: there is no revision before this one")
    if target == state.stable:
        return Refused(reason=f"cannot undo: {target} is stable already")
    if event.to is not None and target not in state.previous and target != state.candidate:
        known = ", ".join(state.previous) or "none"
        return Refused(reason=f"cannot undo to {target}: not a former stable (known: {known})")
    warm = state.warm
    if warm is not None and warm.revision == target and state.ready_of(target) > 0:
        return switch_back(state, "Undone", f"back to {target}, still warm", by=event.by)
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a stable always has a plan
    return start_pass(state, plan, target, (), spec=state.spec_revision, by=event.by)


def delete(state: State, event: Event, elapsed: int) -> Outcome:
    """The release is to go: routing first, then its replicas."""
    assert isinstance(event, Deleted)  # noqa: S101  # the table's key
    gone = replace(
        state,
        mode=Mode.DELETING,
        stable=None,
        candidates=(),
        warm=None,
        kept_ms=0,
        weight_bp=0,
        paused=False,
        hold="",
        reason="Deleted",
        message="being deleted: routing goes first, then the replicas drain",
    )
    return gone, (record(gone, "Deleted", by=event.by),)
