"""What was just decided, as a record of it."""

from sluice.engine.actions import Record, Refused
from sluice.engine.state import Mode, State

Outcome = tuple[State, tuple[Record, ...]] | Refused
Moved = tuple[State, tuple[Record, ...]]


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
