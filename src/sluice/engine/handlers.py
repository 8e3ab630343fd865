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
from sluice.engine.starts import (
    enter_rung,
    first_ready,
    start_first,
    start_pass,
    take_queued,
)
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
        return replace(state, plan=event.plan, spec_variants=event.variants), ()
    return start_first(state, event)


def deploy_steady(state: State, event: Event, elapsed: int) -> Outcome:
    """A new revision starts a pass; the same one takes an edited plan."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    known = event.revision == state.spec_revision and event.variants == state.spec_variants
    asked = _asked(state, event)
    if known or event.revision == state.stable:
        return edit_plan(asked, event.plan, now=True)
    return start_pass(asked, event.plan, event.revision, event.variants, spec=event.revision)


def _asked(state: State, event: Deployed) -> State:
    return replace(state, spec_revision=event.revision, spec_variants=event.variants)


def deploy_in_pass(state: State, event: Event, elapsed: int) -> Outcome:
    """The candidate again: an edited plan. Stable again: back. Another: start over."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if (
        event.revision in (state.candidate, state.spec_revision)
        and event.variants == state.spec_variants
    ):
        return edit_plan(state, event.plan, now=False)
    reason, message = "Superseded", f"a newer revision {event.revision} was deployed"
    if event.revision == state.stable:
        reason, message = "Reverted", "the spec asks for stable again: candidate turned back"
    turned, gone = abort(state, reason, message)
    queued = replace(_asked(turned, event), next_plan=event.plan, queued=True)
    after, new = take_queued(queued)
    return after, (*gone, *new)


def deploy_aborted(state: State, event: Event, elapsed: int) -> Outcome:
    """Another revision starts a pass; the one that was turned back does not."""
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if event.revision == state.spec_revision and event.variants == state.spec_variants:
        if state.queued:
            return replace(state, next_plan=event.plan), ()
        return edit_plan(state, event.plan, now=True)
    queued = replace(_asked(state, event), next_plan=event.plan, queued=True)
    return take_queued(queued)


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
        case Mode.ABORTED:
            weighed, records = weigh(ticked)
            after, more = take_queued(weighed)
            return after, (*records, *more)
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
    winner = verdict.winner if verdict.kind is VerdictKind.PASSED else ""
    state = replace(state, verdict=verdict.kind, winner=state.winner if state.promoting else winner)
    if not state.at_rung.checks:
        return advance(state)
    if verdict.kind is VerdictKind.FAILED:
        return abort(state, verdict.cause or "CheckFailed", verdict.reason)
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
    candidate, plan = state.candidate, state.next_plan or state.plan
    if state.weight_bp > 0:
        return Refused(reason=_on_the_way(state, "retry"))
    if state.mode is Mode.STEADY and state.spec_revision != state.stable:
        candidate = state.spec_revision
    if candidate is None or plan is None or candidate == state.stable:
        return Refused(reason="cannot retry: no candidate was turned back")
    return start_pass(
        state, plan, candidate, state.spec_variants, spec=state.spec_revision, by=event.by
    )


def _on_the_way(state: State, verb: str) -> str:
    return (
        f"cannot {verb} yet: {state.weight_bp / 100:g}% of the requests are still on their way "
        "back to stable, which is getting its replicas again"
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
    if state.weight_bp > 0:
        return Refused(reason=_on_the_way(state, "undo"))
    plan = state.next_plan or state.plan
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
        queued=False,
        paused=False,
        hold="",
        reason="Deleted",
        message="being deleted: routing goes first, then the replicas drain",
    )
    return gone, (record(gone, "Deleted", by=event.by),)
