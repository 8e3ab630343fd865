"""Where predictions and their outcomes are kept: JSON lines, SQLite or PostgreSQL, by URL."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from sluice_model_api.errors import ModelApiError
from sluice_model_api.predictions.rows import COLUMNS

Row = tuple[Any, ...]

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS predictions ("
    "prediction_id TEXT, entity_id TEXT, model TEXT, version TEXT, route TEXT, "
    "features_hash TEXT, y TEXT, request_id TEXT, ts_ms BIGINT, user_id TEXT, revision TEXT, "
    "PRIMARY KEY (prediction_id, model, version))",
    "CREATE TABLE IF NOT EXISTS feedback ("
    "prediction_id TEXT PRIMARY KEY, outcome TEXT, ts_ms BIGINT, times BIGINT)",
)
_ADDED: Final = ("user_id", "revision")
"""Columns that tables made by earlier versions do not have."""
_Y: Final = COLUMNS.index("y")
_KEEP: Final = ", ".join(
    f"{name} = excluded.{name}"
    for name in COLUMNS
    if name not in ("prediction_id", "model", "version")
)


def _insert(mark: str) -> str:
    marks = ", ".join([mark] * len(COLUMNS))
    return (
        f"INSERT INTO predictions ({', '.join(COLUMNS)}) VALUES ({marks}) "  # noqa: S608  # constants
        f"ON CONFLICT (prediction_id, model, version) DO UPDATE SET {_KEEP}"
    )


def _upsert(mark: str) -> str:
    return (
        "INSERT INTO feedback (prediction_id, outcome, ts_ms, times) "  # noqa: S608  # constants
        f"VALUES ({mark}, {mark}, {mark}, 1) ON CONFLICT (prediction_id) DO UPDATE SET "
        "outcome = excluded.outcome, ts_ms = excluded.ts_ms, times = feedback.times + 1"
    )


class StoreError(ModelApiError):
    """The store did not take it; what was sent is not kept."""

    status = 503


class Store(Protocol):
    """Keeps rows; may be called from several threads."""

    def write(self, rows: Sequence[Row]) -> None:
        """Insert or replace predictions, all or none.

        Raises:
            StoreError: none is kept.
        """
        ...

    def feedback(self, prediction_id: str, outcome: object, ts_ms: int) -> None:
        """Keep what really happened; the last word for an id wins.

        Raises:
            StoreError: it is not kept.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class JsonlStore:
    """Appends lines; the file is opened for each batch, so it can be rotated away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._append(b"")

    def write(self, rows: Sequence[Row]) -> None:
        lines = []
        for row in rows:
            document = dict(zip(COLUMNS, row))  # noqa: B905  # strict costs as much as all the rest
            document["y"] = orjson.Fragment(row[_Y])
            lines.append(orjson.dumps(document))
        self._append(b"\n".join((*lines, b"")))

    def feedback(self, prediction_id: str, outcome: object, ts_ms: int) -> None:
        document = {"prediction_id": prediction_id, "outcome": outcome, "ts_ms": ts_ms}
        self._append(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Nothing is held open."""

    def _append(self, content: bytes) -> None:
        try:
            with self._lock, self._path.open("ab") as file:
                file.write(content)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error


class SqliteStore:
    """One file, several readers."""

    def __init__(self, path: Path) -> None:
        import sqlite3  # 2 MB that only this store needs

        self._sqlite3 = sqlite3
        self._path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=2.0)
            with self._db:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                for table in _TABLES:
                    self._db.execute(table)
                there = {row[1] for row in self._db.execute("PRAGMA table_info(predictions)")}
                for name in _ADDED:
                    if name not in there:
                        self._db.execute(f"ALTER TABLE predictions ADD COLUMN {name} TEXT")
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error

    def write(self, rows: Sequence[Row]) -> None:
        self._do(_insert("?"), rows)

    def feedback(self, prediction_id: str, outcome: object, ts_ms: int) -> None:
        self._do(_upsert("?"), [(prediction_id, orjson.dumps(outcome).decode(), ts_ms)])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _do(self, statement: str, rows: Sequence[Row]) -> None:
        try:
            with self._lock, self._db:
                self._db.executemany(statement, rows)
        except self._sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error


class PostgresStore:
    """A connection that is made again when it was lost."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # the extra `postgres`
        except ImportError as error:
            raise StoreError(
                "a postgresql:// log needs the extra sluice-model-api[postgres]"
            ) from error
        self._psycopg = psycopg
        self._url = url
        self._lock = threading.Lock()
        self._db: psycopg.Connection[Any] | None = None
        more = [f"ALTER TABLE predictions ADD COLUMN IF NOT EXISTS {name} TEXT" for name in _ADDED]
        self._execute([(statement, [()]) for statement in (*_TABLES, *more)])

    def write(self, rows: Sequence[Row]) -> None:
        self._execute([(_insert("%s"), rows)])

    def feedback(self, prediction_id: str, outcome: object, ts_ms: int) -> None:
        row = (prediction_id, orjson.dumps(outcome).decode(), ts_ms)
        self._execute([(_upsert("%s"), [row])])

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()

    def _execute(self, statements: Sequence[tuple[str, Sequence[Row]]]) -> None:
        with self._lock:
            try:
                if self._db is None or self._db.closed:
                    # No prepared statements: poolers that hand out connections by transaction,
                    # and the tables' own ALTER, take them away between two writes.
                    self._db = self._psycopg.connect(
                        self._url, connect_timeout=3, prepare_threshold=None
                    )
                with self._db.transaction(), self._db.cursor() as cursor:
                    for statement, rows in statements:
                        cursor.executemany(statement.encode(), map(_without_nul, rows))
                self._db.commit()
            except self._psycopg.Error as error:
                if self._db is not None:
                    self._db.close()
                raise StoreError(f"postgresql: {' '.join(str(error).split())}") from error


def _without_nul(row: Row) -> Row:
    """PostgreSQL's text cannot hold NUL: a caller's id with one would cost all rows beside it."""
    return tuple(
        value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
        for value in row
    )


def open_store(url: str) -> Store:
    """The store behind a URL.

    Args:
        url: ``jsonl:PATH``, ``sqlite:PATH`` or ``postgresql://…``.

    Raises:
        StoreError: unknown kind, or it cannot be opened.
    """
    kind, _, rest = url.partition(":")
    path = Path(os.path.expanduser(rest.removeprefix("//")))
    match kind:
        case "jsonl" if rest:
            return JsonlStore(path)
        case "sqlite" if rest:
            return SqliteStore(path)
        case "postgresql" | "postgres":
            return PostgresStore(url)
        case _:
            raise StoreError(
                "MODEL_API_PREDICTIONS_URL must be jsonl:PATH, sqlite:PATH or postgresql://…"
            )
