"""The model API's prediction store in SQLite or PostgreSQL, read and never written."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sluice.errors import TransientError
from sluice.nouns import OutcomePage, OutcomeRow
from sluice.outcomes.predictions import exposure, outcomes

PAGE = 20_000
OVERLAP_MS = 10_000
"""Rows so old are read again: a row may be written a little after the time it bears."""

_Place = tuple[int, str, int]
"""(time, id) of the last row before it, and the newest time that was ever seen; UTC ms."""
_START: _Place = (-1, "", -1)
_END: _Place = (0, "", 1 << 62)
_EXPOSED = (
    "SELECT ts_ms, prediction_id, user_id, revision FROM predictions "
    "WHERE (ts_ms > {m} OR (ts_ms = {m} AND prediction_id > {m})) AND ts_ms <= {m} "
    "ORDER BY ts_ms, prediction_id LIMIT {m}"
)
_SAID = (
    "SELECT f.ts_ms, f.prediction_id, p.user_id, p.revision, f.outcome "
    "FROM feedback f JOIN predictions p ON p.prediction_id = f.prediction_id "
    "WHERE (f.ts_ms > {m} OR (f.ts_ms = {m} AND f.prediction_id > {m})) AND f.ts_ms <= {m} "
    "ORDER BY f.ts_ms, f.prediction_id LIMIT {m}"
)


class _Database(Protocol):
    mark: str
    """Placeholder of a parameter."""

    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...

    def close(self) -> None: ...


class DatabasePredictions:
    """Predictions and feedback of one database.

    Args:
        database: Where they are.
    """

    def __init__(self, database: "_Database") -> None:
        self._database = database

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        """See ``sluice.ports.Outcomes``."""
        return await asyncio.to_thread(self._read, cursor, until)

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._database.close)

    def _read(self, cursor: str, until: str) -> OutcomePage:
        exposed, said = _places(cursor, _START)
        last_exposed, last_said = _places(until, _END)
        rows: list[OutcomeRow] = []
        nameless = 0
        made, exposed, more_made = self._page(_EXPOSED, exposed, last_exposed[2])
        for ts_ms, _, user, revision in made:
            if user:
                rows.append(exposure(str(user), str(revision or ""), int(ts_ms)))
            else:
                nameless += 1
        known, said, more_said = self._page(_SAID, said, last_said[2])
        for ts_ms, _, user, revision, outcome in known:
            if user:
                what = _parsed(outcome)
                rows += outcomes(str(user), str(revision or ""), int(ts_ms), what)
        return OutcomePage(
            rows=tuple(rows),
            cursor=json.dumps([exposed, said]),
            more=more_made or more_said,
            nameless=nameless,
        )

    def _page(
        self, query: str, place: _Place, newest: int
    ) -> tuple[list[tuple[Any, ...]], _Place, bool]:
        """Rows after a place, the next place, and whether there are more already."""
        values = (place[0], place[0], place[1], newest, PAGE)
        rows = self._database.select(query.format(m=self._database.mark), values)
        if not rows:
            return rows, place, False
        seen = max(place[2], int(rows[-1][0]))
        if len(rows) == PAGE:
            return rows, (int(rows[-1][0]), str(rows[-1][1]), seen), True
        return rows, (seen - OVERLAP_MS, "", seen), False


def _places(cursor: str, otherwise: _Place) -> tuple[_Place, _Place]:
    """Places in predictions and in feedback."""
    if not cursor:
        return otherwise, otherwise
    made, said = json.loads(cursor)
    return (int(made[0]), str(made[1]), int(made[2])), (int(said[0]), str(said[1]), int(said[2]))


def _parsed(outcome: object) -> object:
    try:
        return json.loads(outcome) if isinstance(outcome, str) else outcome
    except ValueError:
        return None


class SqliteDatabase:
    """One file, opened read-only for each read: the model API may rotate it away.

    Args:
        path: What ``MODEL_API_PREDICTIONS_URL=sqlite:PATH`` names.
    """

    mark = "?"

    def __init__(self, path: Path) -> None:
        self._path = path

    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            TransientError: the file is not there, or is no prediction store of this version.
        """
        url = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        try:
            connection = sqlite3.connect(url, uri=True, timeout=2.0)
            try:
                return connection.execute(query, values).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise TransientError(f"{self._path}: {error}{_hint(str(error))}") from error

    def close(self) -> None:
        """Nothing is held open."""


class PostgresDatabase:
    """A connection that is made again when it was lost.

    Args:
        url: ``postgresql://…``.
    """

    mark = "%s"

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    def select(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            TransientError: psycopg is not installed, or the database cannot be asked.
        """
        try:
            import psycopg  # only this source needs it
        except ImportError as error:
            raise TransientError(
                "outcomes in PostgreSQL need psycopg: pip install 'psycopg[binary]'"
            ) from error
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, connect_timeout=3, autocommit=True)
            found: list[tuple[Any, ...]] = self._connection.execute(
                query.encode(), list(values)
            ).fetchall()
            return found
        except psycopg.Error as error:
            self.close()
            said = " ".join(str(error).split())
            raise TransientError(f"postgresql: {said}{_hint(said)}") from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _hint(said: str) -> str:
    """What to do about an old store."""
    old = "user_id" in said or "revision" in said
    return "; written by an older model API, which does not say who was served" if old else ""
