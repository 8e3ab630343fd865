"""Engine state to JSON and back: what is checkpointed is what is resumed, exactly."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sluice.engine.state import State
from sluice.errors import StateError

FORMAT = 1
"""Grows when a newer Sluice writes what an older one cannot read."""

_STATE: TypeAdapter[State] = TypeAdapter(State)


def state_to_json(state: State) -> dict[str, Any]:
    """Everything the engine knows of a release, as JSON values."""
    return {"format": FORMAT, "state": _STATE.dump_python(state, mode="json")}


def state_from_json(record: Mapping[str, Any]) -> State:
    """The state that was written.

    Raises:
        StateError: the record was written by a newer Sluice, or is not a state.
    """
    if record.get("format") != FORMAT:
        raise StateError(
            f"state of format {record.get('format')!r}: this Sluice reads format {FORMAT}"
        )
    try:
        return _STATE.validate_python(record["state"])
    except (KeyError, ValidationError) as problem:
        raise StateError(f"state cannot be read: {problem}") from problem
