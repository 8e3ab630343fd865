"""``model-api batch``: a table in, predictions out, rows that break the contract set aside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sluice_model_api.bundle.archive import read_bundle
from sluice_model_api.errors import ModelApiError
from sluice_model_api.model import Model
from sluice_model_api.records import Answer, dump_line, score_records
from sluice_model_api.tensors import Array

FORMATS: Final = (".csv", ".parquet")


class BatchError(ModelApiError):
    """A table that cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What a run did, for the ledger and the log."""

    rows: int
    scored: int
    quarantined: int
    digest: str
    """Digest of the bundle that scored."""


def run_batch(
    bundle: Path,
    source: Path,
    target: Path,
    *,
    quarantine: Path | None = None,
    chunk: int = 10_000,
    digest: str = "",
) -> BatchResult:
    """Score a table; the same table and bundle always give the same rows.

    Args:
        bundle: Bundle to score with.
        source: CSV or Parquet with the model's fields, or their aliases, as columns.
        target: CSV or Parquet to write: ids, model, version and a column per output.
        quarantine: File of JSON lines for rows that break the contract, each with its reason;
            ``None`` only counts them.
        chunk: Rows scored at once; it does not change a prediction by more than rounding.
        digest: Digest that the bundle must have; empty accepts any.

    Raises:
        BundleError: the bundle must not be used.
        BatchError: a table that cannot be read or written, or the extra ``batch`` is missing.
    """
    try:
        import duckdb
    except ImportError as error:
        raise BatchError("batch needs the extra sluice-model-api[batch]") from error
    for path in (source, target):
        _is_parquet(path)
    model = Model(read_bundle(bundle, digest=digest))
    rows = 0
    answers: list[Answer] = []
    with duckdb.connect() as database:
        try:
            aside = quarantine.open("wb") if quarantine else None
            try:
                for records in _chunks(database, source, chunk):
                    scored = score_records(model, records)
                    rows += len(records)
                    answers += [answer for answer in scored if not answer.fault]
                    if aside:
                        _set_aside(aside, records, scored)
            finally:
                if aside:
                    aside.close()
            database.register("predictions", _columns(model, answers))
            table = database.sql("SELECT * FROM predictions")
            write = table.write_parquet if _is_parquet(target) else table.write_csv
            write(str(target))
        except (duckdb.Error, OSError) as error:
            raise BatchError(f"batch: {' '.join(str(error).split())}") from error
    return BatchResult(
        rows=rows, scored=len(answers), quarantined=rows - len(answers), digest=model.digest
    )


def _is_parquet(path: Path) -> bool:
    """Parquet, not CSV.

    Raises:
        BatchError: neither of them.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BatchError(f"{path}: tables end in {' or '.join(FORMATS)}")
    return suffix == ".parquet"


def _chunks(database: Any, source: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    read = "read_parquet" if _is_parquet(source) else "read_csv"
    cursor = database.execute(f"SELECT * FROM {read}(?)", [str(source)])  # noqa: S608  # constants
    names = [column[0] for column in cursor.description]
    while rows := cursor.fetchmany(size):
        yield [dict(zip(names, row, strict=True)) for row in rows]


def _set_aside(aside: Any, records: list[dict[str, Any]], scored: list[Answer]) -> None:
    for record, answer in zip(records, scored, strict=True):
        if answer.fault:
            aside.write(
                dump_line({"entity_id": answer.entity_id, "reason": answer.fault, "row": record})
            )


def _columns(model: Model, answers: list[Answer]) -> Mapping[str, Array]:
    columns: dict[str, Array] = {
        "prediction_id": np.array([answer.prediction_id for answer in answers], dtype=object),
        "entity_id": np.array([answer.entity_id for answer in answers], dtype=object),
        "model": np.array([model.name] * len(answers), dtype=object),
        "version": np.array([model.version] * len(answers), dtype=object),
    }
    for name in model.output_names:
        values = [answer.outputs[name] for answer in answers]
        if values and isinstance(values[0], list | np.ndarray):
            raise BatchError(f"output {name!r} has several values a row; tables take one")
        columns[name] = np.array(values)
    return columns
