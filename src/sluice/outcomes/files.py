"""Outcomes in a file of one's own: CSV with a heading, or JSON lines.

    user,outcome,goal,covariate,at
    anna,1,,34,2026-11-21T18:00:00Z
    berta,,,41,

One line a record. A user who was exposed and has no outcome (yet) is a line without one: users who
are missing altogether bias the test, and SRM may not see it.
"""

import asyncio
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluice.errors import Fault, SpecError
from sluice.nouns import OutcomePage, OutcomeRow
from sluice.outcomes.fields import outcome_row
from sluice.outcomes.tail import Piece, cursor_of, read_on

SUFFIXES = (".csv", ".jsonl", ".ndjson")


class FileOutcomes:
    """A file that is appended to, or written anew.

    Args:
        path: Ends with one of ``SUFFIXES``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        """See ``sluice.ports.Outcomes``."""
        return await asyncio.to_thread(self._read, cursor, until)

    async def close(self) -> None:
        """Nothing is held open."""

    def _read(self, cursor: str, until: str) -> OutcomePage:
        piece = read_on(self._path, cursor, until)
        rows: list[OutcomeRow] = []
        faults: list[Fault] = []
        for line, record in self._records(piece, faults):
            found = outcome_row(record, file=str(self._path), line=line)
            if isinstance(found, OutcomeRow):
                rows.append(found)
            else:
                faults += found
        if faults:
            raise SpecError(sorted(faults, key=lambda fault: fault.line))
        return OutcomePage(rows=tuple(rows), cursor=cursor_of(piece.place), more=piece.more)

    def _records(
        self, piece: Piece, faults: list[Fault]
    ) -> Iterator[tuple[int, Mapping[str, Any]]]:
        if self._path.suffix == ".csv":
            yield from self._csv(piece, faults)
            return
        for line, text in piece.lines:
            try:
                record = json.loads(text)
            except ValueError as error:
                faults.append(self._fault(line, "record", f"is not JSON: {error}"))
                continue
            if isinstance(record, dict):
                yield line, record
            else:
                faults.append(self._fault(line, "record", "must be an object with a user"))

    def _csv(self, piece: Piece, faults: list[Fault]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        if not piece.first:
            return
        names = [name.strip() for name in _split(piece.first)]
        for need in ("user", "outcome"):
            if need not in names:
                reason = f"the heading names no column {need}; it names {', '.join(names)}"
                faults.append(self._fault(1, "heading", reason))
        if faults:
            return
        for line, text in piece.lines:
            if line == 1:
                continue
            cells = _split(text)
            if len(cells) != len(names):
                reason = f"has {len(cells)} fields, the heading {len(names)}"
                faults.append(self._fault(line, "record", reason))
                continue
            yield line, dict(zip(names, cells, strict=True))

    def _fault(self, line: int, path: str, reason: str) -> Fault:
        return Fault(path=path, reason=reason, file=str(self._path), line=line)


def _split(line: str) -> Sequence[str]:
    return next(csv.reader([line]))
