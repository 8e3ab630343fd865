"""The model API's prediction log as JSON lines: predictions and feedback in one file."""

import asyncio
import json
from pathlib import Path
from typing import Any

from sluice.errors import Fault, SpecError
from sluice.nouns import OutcomePage, OutcomeRow
from sluice.outcomes.predictions import exposure, outcomes
from sluice.outcomes.tail import cursor_of, read_on


class JsonlPredictions:
    """One file; feedback is joined to its prediction by id, whichever comes first.

    Args:
        path: What ``MODEL_API_PREDICTIONS_URL=jsonl:PATH`` names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cursor = ""
        self._made: dict[str, tuple[str, str]] = {}
        """(user, revision) by prediction id."""
        self._waiting: dict[str, list[tuple[int, Any]]] = {}
        """Feedback whose prediction is not written yet."""

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        """See ``sluice.ports.Outcomes``."""
        return await asyncio.to_thread(self._read, cursor, until)

    async def close(self) -> None:
        """Nothing is held open."""

    def _read(self, cursor: str, until: str) -> OutcomePage:
        if cursor != self._cursor:
            self._learn(cursor)
        piece = read_on(self._path, cursor, until)
        rows: list[OutcomeRow] = []
        faults: list[Fault] = []
        nameless = 0
        for line, text in piece.lines:
            try:
                nameless += self._take(json.loads(text), rows)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                reason = f"is no row of a prediction log ({type(error).__name__}: {error})"
                faults.append(Fault(path="record", reason=reason, file=str(self._path), line=line))
        if faults:
            raise SpecError(faults)
        self._cursor = cursor_of(piece.place)
        return OutcomePage(
            rows=tuple(rows), cursor=self._cursor, more=piece.more, nameless=nameless
        )

    def _learn(self, cursor: str) -> None:
        """Know the predictions before a cursor: feedback behind it may belong to them."""
        self._made.clear()
        self._waiting.clear()
        self._cursor = ""
        more = bool(cursor)
        while more:
            more = self._read(self._cursor, cursor).more
        self._cursor = cursor

    def _take(self, record: dict[str, Any], rows: list[OutcomeRow]) -> int:
        """Add what a line says; returns 1 when it names no user."""
        name = str(record["prediction_id"])
        if "outcome" in record:
            self._waiting.setdefault(name, []).append((int(record["ts_ms"]), record["outcome"]))
            made = self._made.get(name)
        else:
            user = str(record.get("user_id") or "")
            if not user:
                return 1
            made = user, str(record.get("revision") or "")
            self._made[name] = made
            rows.append(exposure(*made, int(record["ts_ms"])))
        if made is not None:
            for ts_ms, outcome in self._waiting.pop(name, ()):
                rows.extend(outcomes(*made, ts_ms, outcome))
        return 0
