"""What an answer to a gate means: yes goes on, no turns back, silence waits for a person."""

from dataclasses import replace

from sluice.engine.actions import Refused
from sluice.engine.endings import abort
from sluice.engine.events import Approve, Event, Refuse, Unanswered
from sluice.engine.records import Outcome, record
from sluice.engine.state import State


def approve(state: State, event: Event, elapsed: int) -> Outcome:
    """A gate is answered yes."""
    assert isinstance(event, Approve)  # noqa: S101  # the table's key
    if event.gate not in _gates(state):
        return _unknown(state, "approve", event.gate)
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


def refuse(state: State, event: Event, elapsed: int) -> Outcome:
    """A gate is answered no, before or after it opened: the candidate is turned back."""
    assert isinstance(event, Refuse)  # noqa: S101  # the table's key
    if event.gate not in _gates(state):
        return _unknown(state, "reject", event.gate)
    who = f" by {event.by}" if event.by else ""
    why = f": {event.reason}" if event.reason else ""
    return abort(state, "GateRefused", f"gate {event.gate} refused{who}{why}", by=event.by)


def unanswered(state: State, event: Event, elapsed: int) -> Outcome:
    """Nobody answered: the gate stays open, and status says that a person is asked now."""
    assert isinstance(event, Unanswered)  # noqa: S101  # the table's key
    if event.gate not in {gate.name for gate in state.open_gates}:
        return state, ()
    waits = replace(state, reason="GateUnanswered", message=event.message)
    return waits, (record(waits, "Held"),)


def _gates(state: State) -> tuple[str, ...]:
    """Gates of the plan, and of the edited one that is taken at the next rung."""
    plans = [plan for plan in (state.plan, state.next_plan) if plan is not None]
    return tuple(dict.fromkeys(name for plan in plans for name in plan.gates))


def _unknown(state: State, verb: str, gate: str) -> Refused:
    known = ", ".join(_gates(state)) or "none"
    return Refused(reason=f"cannot {verb} {gate!r}: the plan's gates are: {known}")
