"""Scores records one by one in meaning and together in cost: batch and stream stand on it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.errors import RequestError
from sluice_model_api.model import Model
from sluice_model_api.tensors import DTYPES, cell

ID_FIELD = "entity_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one record: predictions, or the reason why there are none."""

    prediction_id: str
    """Stable: the same entity, model and version always give the same id."""
    entity_id: str
    """The record's own id, else a hash of its fields; never random, so reruns can be joined."""
    outputs: Mapping[str, Any]
    """Values by output name; empty when ``fault`` says why."""
    fault: str = ""


def score_records(model: Model, records: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Score records; a bad one does not fail the others.

    Args:
        model: The loaded bundle.
        records: Fields by name, or by one of the names that the bundle lists as aliases; other
            keys are left alone.

    Returns:
        One answer per record, in order.
    """
    fields = [normalise(model, record) for record in records]
    faults = ["; ".join(model.contract.faults_of(record)) for record in fields]
    good = [index for index, fault in enumerate(faults) if not fault]
    outputs, failed = _score(model, [fields[index] for index in good])
    answers = []
    position = dict(zip(good, range(len(good)), strict=True))
    for index, record in enumerate(fields):
        entity = _entity_id(records[index], record)
        row = position.get(index)
        fault = faults[index] if row is None else failed.get(row, "")
        answers.append(
            Answer(
                prediction_id=_hash(entity, model.name, model.version),
                entity_id=entity,
                outputs={} if fault or row is None else outputs[row],
                fault=fault,
            )
        )
    return answers


def _score(
    model: Model, records: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Outputs per record, and reasons of those that the model itself fails on."""
    if not records:
        return [], {}
    try:
        scored = model.score(model.contract.columns_of(records))
    except RequestError as error:
        if len(records) == 1:
            return [{}], {0: str(error)}
        # One of them spoils the batch: halve until it is alone.
        middle = len(records) // 2
        left, left_failed = _score(model, records[:middle])
        right, right_failed = _score(model, records[middle:])
        return left + right, left_failed | {
            row + middle: reason for row, reason in right_failed.items()
        }
    return [
        {name: cell(array[row]) for name, array in scored.items()} for row in range(len(records))
    ], {}


def normalise(model: Model, record: Mapping[str, Any]) -> dict[str, Any]:
    """The model's fields of a record from a table: aliases resolved, table types made JSON's.

    Nothing is clipped or filled in: a null stays missing and the contract says so.
    """
    fields = {}
    for name, spec in model.contract.inputs.items():
        for key in (name, *spec.aliases):
            value = record.get(key)
            if value is not None:
                fields[name] = _plain(value, spec)
                break
    return fields


def _plain(value: Any, spec: InputSpec) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    kind = DTYPES[spec.datatype].kind
    if kind in "iu" and isinstance(value, float) and value.is_integer():
        # Older TLC files hold integers as floats, for the sake of their nulls.
        return int(value)
    return value


def _entity_id(record: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    given = record.get(ID_FIELD)
    if given not in (None, ""):
        return str(given)
    return _hash(*(f"{name}={fields.get(name)!r}" for name in sorted(fields)))


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


def answer_document(model: Model, answer: Answer) -> dict[str, Any]:
    """An answer as JSON, with the version that gave it."""
    document: dict[str, Any] = {
        "prediction_id": answer.prediction_id,
        "entity_id": answer.entity_id,
        "model": model.name,
        "version": model.version,
    }
    if answer.fault:
        return document | {"error": answer.fault}
    return document | {"prediction": answer.outputs}


def dump_line(document: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return orjson.dumps(
        document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE, default=str
    )
