"""The source of outcomes that a text names."""

import os
from pathlib import Path

from sluice.errors import Fault, SpecError
from sluice.outcomes.databases import DatabasePredictions, PostgresDatabase, SqliteDatabase
from sluice.outcomes.files import SUFFIXES, FileOutcomes
from sluice.outcomes.jsonl_store import JsonlPredictions
from sluice.ports import Outcomes


def open_outcomes(where: str, *, folder: Path | None = None) -> Outcomes:
    """The source of a test's outcomes; nothing is read yet.

    Args:
        where: A path that ends with ``.csv``, ``.jsonl`` or ``.ndjson``; or the prediction store
            of a model API: ``jsonl:PATH``, ``sqlite:PATH``, ``postgresql://…``.
        folder: What relative paths start from; None: the working folder.

    Raises:
        SpecError: it is none of these.
    """
    kind, _, rest = where.partition(":")
    match kind:
        case "postgresql" | "postgres":
            return DatabasePredictions(PostgresDatabase(where))
        case "sqlite" if rest:
            return DatabasePredictions(SqliteDatabase(_path(rest, folder)))
        case "jsonl" if rest:
            return JsonlPredictions(_path(rest, folder))
    if where.endswith(SUFFIXES):
        return FileOutcomes(_path(where, folder))
    reason = (
        f"{where!r} is no source of outcomes: name a file that ends with .csv, .jsonl or .ndjson, "
        "or a prediction store: jsonl:PATH, sqlite:PATH, postgresql://…"
    )
    raise SpecError([Fault(path="outcomes", reason=reason)])


def _path(text: str, folder: Path | None) -> Path:
    path = Path(os.path.expanduser(text.removeprefix("//")))
    return path if folder is None else folder / path
