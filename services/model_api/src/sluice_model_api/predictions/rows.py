"""One prediction as every path writes it down: web, batch and stream share the schema."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from sluice_model_api.tensors import Array, cell

COLUMNS: Final = (
    "prediction_id",
    "entity_id",
    "model",
    "version",
    "route",
    "features_hash",
    "y",
    "request_id",
    "ts_ms",
    "user_id",
    "revision",
)
"""Columns of the table ``predictions``, in order; new ones are added at the end."""


class Scored(NamedTuple):
    """One scored request, not yet split into rows (a tuple: a frozen dataclass costs 2 µs)."""

    prediction_id: str
    """Id of the request's one prediction; rows of a larger one get ``:0``, ``:1``, …"""
    rows: int
    model: str
    version: str
    route: str
    """``web``, ``batch`` or ``stream``."""
    columns: Mapping[str, Array]
    outputs: Mapping[str, Array]
    request_id: str
    entity_id: str
    ts_ms: int
    """UTC, milliseconds."""
    user_id: str
    """Who asked, as the settings' header or cookie says; empty when neither was sent."""
    revision: str
    """Revision that this process belongs to; empty when nobody told it."""


def table_rows(scored: Scored) -> Iterator[tuple[Any, ...]]:
    """The rows of the table, values in the order of :data:`COLUMNS`."""
    for row in range(scored.rows):
        outputs = {name: cell(array[row]) for name, array in scored.outputs.items()}
        yield (
            scored.prediction_id if scored.rows == 1 else f"{scored.prediction_id}:{row}",
            scored.entity_id,
            scored.model,
            scored.version,
            scored.route,
            features_hash(scored.columns, row),
            orjson.dumps(outputs, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
            scored.request_id,
            scored.ts_ms,
            scored.user_id,
            scored.revision,
        )


def features_hash(columns: Mapping[str, Array], row: int) -> str:
    """Hash of one row of inputs: equal for equal inputs, whatever the path."""
    parts = []
    for name in sorted(columns):
        value = columns[name][row]
        parts.append(name.encode())
        parts.append(value.encode() if isinstance(value, str) else value.tobytes())
    return blake2b(b"\0".join(parts), digest_size=8).hexdigest()
