"""Request bodies of the taxi models, from real trips or generated ones: JSON, binary, /predict."""

import json
import random
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BINARY_HEADER = "Inference-Header-Content-Length"
_DATATYPES = {"pickup_datetime": "BYTES", "trip_distance": "FP64"}
_OTHERS = "INT64"
_GENERATED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """The same trips in each of the forms that the model API takes."""

    source: str
    """Where the trips come from, for people."""
    plain: tuple[bytes, ...]
    """``/predict``: the model's own fields."""
    v2_json: tuple[bytes, ...]
    v2_binary: tuple[tuple[bytes, str], ...]
    """Body, and the value of ``Inference-Header-Content-Length``."""


def read_bodies(trips: str, *, most: int = 2_000) -> Bodies:
    """Bodies from a CSV of TLC trip records, or generated ones when there is none.

    Args:
        trips: Path of the file; empty: generate.
        most: No more different bodies than this.

    Raises:
        ValueError: the file cannot be read, or is not one of trips.
    """
    # numpy comes with it: only a process that sends taxi trips pays for that
    from sluice_model_api.errors import ModelApiError
    from sluice_model_api.training.trips import generate_trips, read_trips

    try:
        found = read_trips(Path(trips)) if trips else generate_trips(count=min(most, _GENERATED))
    except ModelApiError as error:
        raise ValueError(str(error)) from error
    fields = ("pickup_datetime", "trip_distance", "PULocationID", "DOLocationID")
    columns = [getattr(found, field)[:most].tolist() for field in fields]
    rows = [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]
    random.Random(1).shuffle(rows)  # noqa: S311  # an order, not a secret
    return Bodies(
        source=found.source,
        plain=tuple(json.dumps(row).encode() for row in rows),
        v2_json=tuple(_json(row) for row in rows),
        v2_binary=tuple(_binary(row) for row in rows),
    )


def _inputs(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": [1], "datatype": _DATATYPES.get(name, _OTHERS)} for name in row]


def _json(row: dict[str, Any]) -> bytes:
    inputs = [{**tensor, "data": [row[tensor["name"]]]} for tensor in _inputs(row)]
    return json.dumps({"inputs": inputs}).encode()


def _binary(row: dict[str, Any]) -> tuple[bytes, str]:
    inputs, raw = [], b""
    for tensor in _inputs(row):
        value = row[tensor["name"]]
        match tensor["datatype"]:
            case "BYTES":
                text = value.encode()
                part = struct.pack("<I", len(text)) + text
            case "FP64":
                part = struct.pack("<d", value)
            case _:
                part = struct.pack("<q", value)
        inputs.append({**tensor, "parameters": {"binary_data_size": len(part)}})
        raw += part
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return head + raw, str(len(head))
