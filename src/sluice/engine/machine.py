"""The machine: ``decide(state, event) -> (state, actions)``.

It knows plans, never strategies. Transitions are a table of (mode, event); what is not in it
changes nothing and says so. Handlers say what became of the release; routing and sizes follow from
the new state (``desired``), and actions are what changed.
"""

from collections.abc import Callable
from dataclasses import replace

from sluice.engine import answers, desired, handlers, sizes
from sluice.engine.actions import Action, Record, Refused, Route, Scale, Unroute
from sluice.engine.events import (
    Abort,
    Acknowledged,
    Approve,
    Deleted,
    Deployed,
    Event,
    Freeze,
    Judged,
    Observed,
    Pause,
    Promote,
    Refuse,
    Resume,
    Retry,
    Unanswered,
    Undo,
)
from sluice.engine.invariants import check
from sluice.engine.records import Outcome
from sluice.engine.state import Mode, State

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
    new = sizes.safe_sizes(after)
    after = replace(after, sizes=tuple(new.items()))
    old = dict(before.sizes)
    grown = [(r, n) for r, n in new.items() if n > old.get(r, 0)]
    shrunk = [(r, new.get(r, 0)) for r, n in old.items() if new.get(r, 0) < n]
    scales = [Scale(revision=revision, replicas=size) for revision, size in (*grown, *shrunk)]
    stamped = tuple(replace(item, generation=after.generation) for item in records)
    check(before, after)
    return after, (*actions, *scales, *stamped)


def _refusal(state: State, event: Event) -> str:
    verb = "reject" if isinstance(event, Refuse) else type(event).__name__.lower()
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


_EVERYWHERE: tuple[tuple[type[Event], Handler], ...] = (
    (Acknowledged, handlers.acknowledge),
    (Deleted, handlers.delete),
    (Freeze, handlers.freezes),
)
_ROWS: dict[Mode, dict[type[Event], Handler]] = {
    Mode.EMPTY: {Deployed: handlers.deploy_first, Observed: handlers.observe},
    Mode.STARTING: {Deployed: handlers.deploy_first, Observed: handlers.observe},
    Mode.STEADY: {
        Deployed: handlers.deploy_steady,
        Observed: handlers.observe,
        Judged: handlers.judge_steady,
        Retry: handlers.retry,
        Undo: handlers.undo,
    },
    Mode.PREPARING: {
        Deployed: handlers.deploy_in_pass,
        Observed: handlers.observe,
        Judged: handlers.nothing,
        Promote: handlers.go_on,
        Pause: handlers.pause,
        Resume: handlers.resume,
        Abort: handlers.turn_back,
        Approve: answers.approve,
        Refuse: answers.refuse,
        Unanswered: answers.unanswered,
    },
    Mode.RUNNING: {
        Deployed: handlers.deploy_in_pass,
        Observed: handlers.observe,
        Judged: handlers.judge,
        Promote: handlers.go_on,
        Pause: handlers.pause,
        Resume: handlers.resume,
        Abort: handlers.turn_back,
        Approve: answers.approve,
        Refuse: answers.refuse,
        Unanswered: answers.unanswered,
    },
    Mode.ABORTED: {
        Deployed: handlers.deploy_aborted,
        Observed: handlers.observe,
        Judged: handlers.nothing,
        Retry: handlers.retry,
        Undo: handlers.undo,
        Abort: handlers.turned_back_already,
    },
    Mode.DELETING: {Observed: handlers.observe},
}

TABLE: dict[tuple[Mode, type[Event]], Handler] = {
    (mode, event): handler
    for mode, row in _ROWS.items()
    for event, handler in (*row.items(), *_EVERYWHERE)
}
"""Every transition that there is."""
