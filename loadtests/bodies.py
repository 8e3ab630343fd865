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


FIELDS = ("pickup_datetime", "trip_distance", "PULocationID", "DOLocationID")


def read_bodies(trips: str, *, rows: str = "", most: int = 2_000) -> Bodies:
    """Bodies from a CSV of TLC trip records, or generated ones when there is none.

    Args:
        trips: Path of the file; empty: generate.
        rows: Path of JSON lines that :func:`rows_of` made, instead of both: they need no model API
            beside them.
        most: No more different bodies than this.

    Raises:
        ValueError: the file cannot be read, or is not one of trips.
    """
    if rows:
        return _bodies(_read_rows(Path(rows))[:most], source=rows)
    source, found = _trips(trips, most)
    return _bodies(found, source=source)


def rows_of(trips: str, *, most: int) -> str:
    """The same trips as JSON lines, for ``rows``.

    Raises:
        ValueError: the file cannot be read, or is not one of trips.
    """
    _, found = _trips(trips, most)
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in found)


def _trips(trips: str, most: int) -> tuple[str, list[dict[str, Any]]]:
    # numpy comes with it: only a process that reads taxi trips pays for that
    try:
        from sluice_model_api.errors import ModelApiError
        from sluice_model_api.training.trips import generate_trips, read_trips
    except ImportError as error:
        reason = "trips need the package sluice-model-api: install it, or set BODIES"
        raise ValueError(f"{reason} ({error})") from error
    try:
        found = read_trips(Path(trips)) if trips else generate_trips(count=min(most, _GENERATED))
    except ModelApiError as error:
        raise ValueError(str(error)) from error
    columns = [getattr(found, field)[:most].tolist() for field in FIELDS]
    rows = [dict(zip(FIELDS, values, strict=True)) for values in zip(*columns, strict=True)]
    random.Random(1).shuffle(rows)  # noqa: S311  # an order, not a secret
    return found.source, rows


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON lines: {error}") from error
    wrong = [
        n for n, row in enumerate(rows, 1) if not isinstance(row, dict) or set(row) != {*FIELDS}
    ]
    if wrong or not rows:
        at = f"line {wrong[0]}" if wrong else "an empty file"
        raise ValueError(f"{path}: {at} is no trip: each line has {', '.join(FIELDS)}")
    return rows


def _bodies(rows: list[dict[str, Any]], *, source: str) -> Bodies:
    return Bodies(
        source=source,
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
