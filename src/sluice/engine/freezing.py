"""Freeze windows: nothing grows and nothing is promoted; what turns back goes on working."""

from dataclasses import replace

from sluice.engine.records import Moved, record
from sluice.engine.state import State


def freeze(state: State, until: str) -> Moved:
    """A freeze window begins (``until``, as people read it), or ends (empty)."""
    if until == state.frozen:
        return state, ()
    began = bool(until) and not state.frozen
    changed = replace(state, frozen=until, forced=state.forced and not began)
    if not state.in_pass or changed.forced:
        return changed, ()
    if until:
        frozen = still_frozen(changed)
        said = record(frozen, "Frozen", reason="FreezeWindow", message=_until(until))
        return frozen, (said,) if began else ()
    over = "the freeze window is over"
    waits = state.paused or state.hold
    thawed = changed if waits else replace(changed, reason="FreezeOver", message=over)
    return thawed, (record(thawed, "Thawed", reason="FreezeOver", message=over),)


def still_frozen(state: State) -> State:
    """The reason of a pass that only a freeze window keeps from going on."""
    if not state.is_frozen or state.paused or state.hold:
        return state
    return replace(state, reason="FreezeWindow", message=_until(state.frozen))


def _until(until: str) -> str:
    return f"frozen until {until}: nothing grows or is promoted; a failing check still aborts"


def lift(state: State, *, by: str) -> Moved:
    """A person goes on in spite of the window: for the rest of this pass it does not count."""
    who = f" by {by}" if by else ""
    lifted = replace(state, forced=True)
    message = f"freeze window (until {state.frozen}) lifted{who} for this pass"
    return lifted, (record(lifted, "Thawed", reason="FreezeLifted", message=message, by=by),)
