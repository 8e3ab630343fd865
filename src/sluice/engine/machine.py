"""The machine: ``decide(state, event) -> (state, actions)``.

It knows plans, never strategies. Transitions are a table of (mode, event); what is not in it
changes nothing and says so. Handlers say what became of the release; routing and sizes follow from
the new state (``desired``), and actions are what changed.
"""

from collections.abc import Callable
from dataclasses import replace

from sluice.engine import desired
from sluice.engine.actions import Action, Record, Refused, Route, Scale, Unroute
from sluice.engine.events import (
    Abort,
    Acknowledged,
    Approve,
    Deleted,
    Deployed,
    Event,
    Judged,
    Observed,
    Pause,
    Promote,
    Resume,
    Retry,
    Undo,
)
from sluice.engine.invariants import check
from sluice.engine.passes import (
    Outcome,
    abort,
    advance,
    edit_plan,
    enter_rung,
    failed_after_switch,
    first_ready,
    hold,
    promote,
    record,
    release_hold,
    start_first,
    start_pass,
    switch_back,
    tick,
    weigh,
)
from sluice.engine.state import Mode, State
from sluice.nouns import VerdictKind

Handler = Callable[[State, Event, int], Outcome]


def decide(state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    """What becomes of a release when something happens, and what to do about it.

    Args:
        state: What was.
        event: What happened; its time is clamped to grow.

    Returns:
        The new state and the actions that make the world like it. A refused event gives the same
        state and one ``Refused``.

    Raises:
        InvariantError: the new state breaks a rule that must always hold: a bug of ours.
    """
    handler = TABLE.get((state.mode, type(event)))
    if handler is None:
        return state, (Refused(reason=_refusal(state, event)),)
    elapsed = max(0, event.at_ms - state.at_ms)
    outcome = handler(replace(state, at_ms=state.at_ms + elapsed), event, elapsed)
    if isinstance(outcome, Refused):
        return state, (outcome,)
    after, records = outcome
    return _settle(state, after, records)


def resume(state: State) -> tuple[Action, ...]:
    """The actions that make the world like a state that was read back after a crash."""
    scales = (Scale(revision=revision, replicas=size) for revision, size in state.sizes)
    routes = (Route(routing=state.routing),) if state.routing is not None else ()
    return (*scales, *routes)


def _settle(
    before: State, after: State, records: tuple[Record, ...]
) -> tuple[State, tuple[Action, ...]]:
    """Derive routing and sizes from the new state; actions are the difference."""
    actions: list[Action] = []
    routing = desired.routing(after, after.generation)
    known = after.routing
    if routing != (replace(known, generation=after.generation) if known else None):
        generation = after.generation + 1
        routing = replace(routing, generation=generation) if routing else None
        after = replace(after, generation=generation, routing=routing)
        actions.append(Route(routing=routing) if routing else Unroute(release=after.release))
    sizes = desired.safe_sizes(after)
    after = replace(after, sizes=tuple(sizes.items()))
    old = dict(before.sizes)
    grown = [(r, n) for r, n in sizes.items() if n > old.get(r, 0)]
    shrunk = [(r, sizes.get(r, 0)) for r, n in old.items() if sizes.get(r, 0) < n]
    scales = [Scale(revision=revision, replicas=size) for revision, size in (*grown, *shrunk)]
    stamped = tuple(replace(item, generation=after.generation) for item in records)
    check(before, after)
    return after, (*actions, *scales, *stamped)


# --- what is said when an event makes no sense ---


def _refusal(state: State, event: Event) -> str:
    verb = type(event).__name__.lower()
    match state.mode:
        case Mode.EMPTY | Mode.STARTING:
            return f"cannot {verb}: {state.release} has no stable revision yet"
        case Mode.DELETING:
            return f"cannot {verb}: {state.release} is being deleted"
        case Mode.ABORTED:
            return (
                f"cannot {verb}: the candidate was turned back ({state.reason}); "
                "`retry` starts a new pass, `deploy` another revision"
            )
        case Mode.PREPARING | Mode.RUNNING if isinstance(event, Undo):
            return "cannot undo in mid-pass: stable still serves; `abort` turns the candidate back"
        case Mode.PREPARING | Mode.RUNNING:
            return f"cannot {verb}: a pass is running; `abort` it first"
        case Mode.STEADY:
            return f"cannot {verb}: no pass is running; `deploy` a new revision first"


# --- handlers ---


def _nothing(state: State, event: Event, elapsed: int) -> Outcome:
    return state, ()


def _deploy_first(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if state.spec_revision == event.revision:
        return replace(state, plan=event.plan), ()
    return start_first(state, event)


def _deploy_steady(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Deployed)  # noqa: S101  # the table's key
    if event.revision == state.spec_revision or event.revision == state.stable:
        edited = replace(state, spec_revision=event.revision)
        return edit_plan(edited, event.plan, now=True)
    return start_pass(state, event.plan, event.revision, event.variants, spec=event.revision)


def _deploy_in_pass(state: State, event: Event, elapsed: int) -> Outcome:
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


def _deploy_aborted(state: State, event: Event, elapsed: int) -> Outcome:
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


def _observe(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Observed)  # noqa: S101  # the table's key
    state = replace(state, ready=tuple(sorted(event.ready)))
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


def _acknowledge(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Acknowledged)  # noqa: S101  # the table's key
    if not state.acknowledged < event.generation <= state.generation:
        return state, ()
    return replace(state, acknowledged=event.generation), ()


def _judge(state: State, event: Event, elapsed: int) -> Outcome:
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


def _judge_steady(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Judged)  # noqa: S101  # the table's key
    return failed_after_switch(state, event.pass_number, event.verdict)


def _promote(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Promote)  # noqa: S101  # the table's key
    return promote(state, full=event.full, by=event.by)


def _pause(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Pause)  # noqa: S101  # the table's key
    if state.paused:
        return state, ()
    paused = replace(
        state, paused=True, reason="PausedByUser", message="paused; a failing check still aborts"
    )
    return paused, (record(paused, "Paused", by=event.by),)


def _resume(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Resume)  # noqa: S101  # the table's key
    if not state.paused and not state.hold:
        return Refused(reason="cannot resume: the pass is not paused or held")
    late = state.hold == "DeadlineExceeded"
    resumed = replace(
        state,
        paused=False,
        hold="",
        hold_message="",
        stage_ms=0 if late else state.stage_ms,
        reason="Resumed",
        message="going on; the deadline starts again" if late else "going on",
    )
    return resumed, (record(resumed, "Resumed", by=event.by),)


def _abort(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Abort)  # noqa: S101  # the table's key
    who = f" by {event.by}" if event.by else ""
    return abort(state, "AbortedByUser", f"turned back{who}; stable serves", by=event.by)


def _abort_again(state: State, event: Event, elapsed: int) -> Outcome:
    return state, ()


def _retry(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Retry)  # noqa: S101  # the table's key
    candidate, plan = state.candidate, state.plan
    if state.mode is Mode.STEADY and state.spec_revision != state.stable:
        candidate = state.spec_revision
    if candidate is None or plan is None or candidate == state.stable:
        return Refused(reason="cannot retry: no candidate was turned back")
    return start_pass(
        state, plan, candidate, state.candidates[1:], spec=state.spec_revision, by=event.by
    )


def _undo(state: State, event: Event, elapsed: int) -> Outcome:
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


def _approve(state: State, event: Event, elapsed: int) -> Outcome:
    assert isinstance(event, Approve)  # noqa: S101  # the table's key
    plan = state.plan
    assert plan is not None  # noqa: S101  # a mode with a pass always has a plan
    if event.gate not in plan.gates:
        known = ", ".join(plan.gates) or "none"
        return Refused(reason=f"cannot approve {event.gate!r}: the plan's gates are: {known}")
    if event.gate in state.approved:
        return state, ()
    approved = replace(state, approved=(*state.approved, event.gate))
    who = f" by {event.by}" if event.by else ""
    said = record(
        approved,
        "Approved",
        reason="GateApproved",
        message=f"gate {event.gate} approved{who}",
        by=event.by,
    )
    return approved, (said,)


def _delete(state: State, event: Event, elapsed: int) -> Outcome:
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


_EVERYWHERE: tuple[tuple[type[Event], Handler], ...] = (
    (Acknowledged, _acknowledge),
    (Deleted, _delete),
)
_ROWS: dict[Mode, dict[type[Event], Handler]] = {
    Mode.EMPTY: {Deployed: _deploy_first, Observed: _observe},
    Mode.STARTING: {Deployed: _deploy_first, Observed: _observe},
    Mode.STEADY: {
        Deployed: _deploy_steady,
        Observed: _observe,
        Judged: _judge_steady,
        Retry: _retry,
        Undo: _undo,
    },
    Mode.PREPARING: {
        Deployed: _deploy_in_pass,
        Observed: _observe,
        Judged: _nothing,
        Promote: _promote,
        Pause: _pause,
        Resume: _resume,
        Abort: _abort,
        Approve: _approve,
    },
    Mode.RUNNING: {
        Deployed: _deploy_in_pass,
        Observed: _observe,
        Judged: _judge,
        Promote: _promote,
        Pause: _pause,
        Resume: _resume,
        Abort: _abort,
        Approve: _approve,
    },
    Mode.ABORTED: {
        Deployed: _deploy_aborted,
        Observed: _observe,
        Judged: _nothing,
        Retry: _retry,
        Undo: _undo,
        Abort: _abort_again,
    },
    Mode.DELETING: {Observed: _observe},
}

TABLE: dict[tuple[Mode, type[Event]], Handler] = {
    (mode, event): handler
    for mode, row in _ROWS.items()
    for event, handler in (*row.items(), *_EVERYWHERE)
}
"""Every transition that there is."""
