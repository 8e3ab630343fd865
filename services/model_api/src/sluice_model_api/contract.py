"""The contract of a bundle's inputs: one check of values for web, batch and stream."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import isfinite
from typing import Any, Final

import numpy as np

from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.errors import RequestError
from sluice_model_api.tensors import DTYPES, Array, flatten, from_values, json_name

Check = Callable[[Any], str]
"""Says what is wrong with one value; empty when nothing is."""

_KIND: Final = {"b": "true or false", "i": "an integer", "u": "an integer", "f": "a number"}
_LONGEST_ECHO: Final = 60
_FEW: Final = 64


def _number(value: Any, *, low: float, above: float, high: float, wants: str) -> str:
    # Written so that NaN, which fails every comparison, is refused.
    if low <= value <= high and value > above:
        return ""
    return f"expected {wants}, got {value!r}"


def _any_float(value: Any) -> str:
    return "" if isfinite(value) else f"expected a finite number, got {value!r}"


def _datetime(value: Any) -> str:
    try:
        zone = datetime.fromisoformat(value).tzinfo
    except ValueError:
        zone = value
    if zone is None:
        return ""
    shown = value if len(value) <= _LONGEST_ECHO else value[:_LONGEST_ECHO] + "…"
    return f"expected local time without zone such as 2019-03-25T08:30:00, got {shown!r}"


def _check_of(spec: InputSpec) -> Check | None:
    """The check of one value of an input; none when every value of the datatype will do."""
    kind = DTYPES[spec.datatype].kind
    if spec.format == "datetime":
        return _datetime
    bounds = (spec.minimum, spec.above, spec.maximum)
    if any(bound is not None for bound in bounds):
        parts = [_KIND.get(kind, "a value")]
        parts += [f">= {spec.minimum:g}"] if spec.minimum is not None else []
        parts += [f"> {spec.above:g}"] if spec.above is not None else []
        parts += [f"<= {spec.maximum:g}"] if spec.maximum is not None else []
        infinity = float("inf")
        return partial(
            _number,
            low=-infinity if spec.minimum is None else spec.minimum,
            above=-infinity if spec.above is None else spec.above,
            high=infinity if spec.maximum is None else spec.maximum,
            wants=f"{parts[0]} {' and '.join(parts[1:])}",
        )
    return _any_float if kind == "f" and spec.finite else None


class Contract:
    """What a bundle accepts, compiled once from its manifest."""

    def __init__(self, inputs: Sequence[InputSpec]) -> None:
        self.inputs = {spec.name: spec for spec in inputs}
        self._checks = {spec.name: _check_of(spec) for spec in inputs}

    def check_columns(self, columns: Mapping[str, Array], *, finite: Collection[str] = ()) -> int:
        """Check the values of whole columns; returns the number of rows.

        Args:
            columns: Values by input name.
            finite: Inputs that are known to hold no NaN and no infinity, such as all from JSON.

        Raises:
            RequestError: a value outside the contract, or columns of different lengths.
        """
        rows = -1
        for name, column in columns.items():
            if rows not in (-1, len(column)):
                raise RequestError(
                    f"input '{name}': has {len(column)} rows, the inputs before have {rows}"
                )
            rows = len(column)
            check = self._checks[name]
            if check is None or (check is _any_float and name in finite):
                continue
            if check is _any_float:
                # numpy's call costs more than a few values; one by one only to name the culprit.
                values = column.ravel().tolist() if column.size <= _FEW else []
                if all(map(isfinite, values)) if values else np.isfinite(column).all():
                    continue
                values = column.ravel().tolist()
            else:
                values = column.tolist() if column.ndim == 1 else column.ravel().tolist()
            for index, value in enumerate(values):
                wrong = check(value)
                if wrong:
                    where = f" at value {index}" if len(values) > 1 else ""
                    raise RequestError(f"input '{name}'{where}: {wrong}")
        return rows

    def columns_of(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
        """Columns from records with the model's own fields, checked.

        Raises:
            RequestError: names every field of the first bad record that is wrong.
        """
        for index, record in enumerate(records):
            faults = self.faults_of(record)
            if faults:
                where = f"record {index}: " if len(records) > 1 else ""
                raise RequestError(where + "; ".join(faults))
        columns = {}
        for name, spec in self.inputs.items():
            if len(spec.shape) == 1:
                flat = [record[name] for record in records]
            else:
                flat = []
                for record in records:
                    flat += flatten(record[name], spec.shape[1:], name)
            shape = (len(records), *spec.shape[1:])
            columns[name] = from_values(flat, shape, spec.datatype, name)
        return columns

    def faults_of(self, record: Mapping[str, Any]) -> list[str]:
        """Everything that is wrong with one record: missing, unknown and bad fields."""
        faults = []
        for name, spec in self.inputs.items():
            if name not in record:
                faults.append(f"field '{name}' is missing")
                continue
            try:
                if len(spec.shape) == 1:
                    values = [record[name]]
                else:
                    values = flatten(record[name], spec.shape[1:], name)
                wrong = self._wrong(spec, values)
            except RequestError as error:
                faults.append(str(error))
                continue
            if wrong:
                faults.append(f"field '{name}': {wrong}")
        if len(record) > len(self.inputs) - len(faults):
            faults += [
                f"field '{name}' is unknown; fields are {', '.join(self.inputs)}"
                for name in record
                if name not in self.inputs
            ]
        return faults

    def _wrong(self, spec: InputSpec, values: list[Any]) -> str:
        accepted, expected = _TYPES[DTYPES[spec.datatype].kind]
        check = self._checks[spec.name]
        for value in values:
            if type(value) not in accepted:
                return f"expected {expected}, got {json_name(value)}"
            wrong = check(value) if check else ""
            if wrong:
                return wrong
        return ""


_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "b": ((bool,), "true or false"),
    "i": ((int,), "an integer"),
    "u": ((int,), "an integer"),
    "f": ((int, float), "a number"),
    "O": ((str,), "a string"),
}
