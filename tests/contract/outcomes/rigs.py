"""The same story for every source of outcomes."""

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import psycopg

from sluice.nouns import OutcomeRow
from sluice.outcomes.memory import MemoryOutcomes
from sluice.outcomes.sources import open_outcomes
from sluice.ports import Outcomes

TABLES = (
    "CREATE TABLE predictions (prediction_id TEXT, entity_id TEXT, model TEXT, version TEXT,"
    " route TEXT, features_hash TEXT, y TEXT, request_id TEXT, ts_ms BIGINT, user_id TEXT,"
    " revision TEXT, PRIMARY KEY (prediction_id, model, version))",
    "CREATE TABLE feedback (prediction_id TEXT PRIMARY KEY, outcome TEXT, ts_ms BIGINT,"
    " times BIGINT)",
)
"""As docs/reference/model-api.md says it."""


class Rig(Protocol):
    source: Outcomes

    def exposed(self, user: str, at_ms: int) -> None:
        """He was served by revision v2."""
        ...

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        """... and this became of it; again: in its place."""
        ...


class MemoryRig:
    def __init__(self) -> None:
        self.memory = MemoryOutcomes(page=3)
        self.source: Outcomes = self.memory

    def exposed(self, user: str, at_ms: int) -> None:
        self.memory.add(OutcomeRow(user=user, revision="v2", at_ms=at_ms))

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        self.memory.add(OutcomeRow(user=user, revision="v2", at_ms=at_ms, value=value))


class CsvRig:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "outcomes.csv"
        self.path.write_text("user,outcome,at,revision\n")
        self.source = open_outcomes(str(self.path))

    def _line(self, *cells: object) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(cells)

    def exposed(self, user: str, at_ms: int) -> None:
        self._line(user, "", at_ms, "v2")

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        self._line(user, value, at_ms, "v2")


class JsonlRig:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "outcomes.jsonl"
        self.path.touch()
        self.source = open_outcomes(self.path.name, folder=folder)

    def _line(self, **record: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def exposed(self, user: str, at_ms: int) -> None:
        self._line(user=user, at=at_ms, revision="v2")

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        self._line(user=user, at=at_ms, revision="v2", outcome=value)


class StoreJsonlRig:
    """The model API's log; each user has one prediction, with his name as its id."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "predictions.log"
        self.path.touch()
        self.source = open_outcomes(f"jsonl:{self.path}")

    def line(self, **record: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def exposed(self, user: str, at_ms: int) -> None:
        self.line(prediction_id=f"p-{user}", user_id=user, revision="v2", ts_ms=at_ms, y={"y": 1})

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        self.line(prediction_id=f"p-{user}", outcome=value, ts_ms=at_ms)


class SqliteRig:
    mark = "?"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "predictions.db"
        with sqlite3.connect(self.path) as database:
            for table in TABLES:
                database.execute(table)
        database.close()
        self.source = open_outcomes(f"sqlite:{self.path}")

    def run(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as database:
            database.execute(statement, values)
        database.close()

    def exposed(self, user: str, at_ms: int) -> None:
        names = "prediction_id, model, version, user_id, revision, ts_ms"
        marks = ", ".join([self.mark] * 6)
        self.run(
            f"INSERT INTO predictions ({names}) VALUES ({marks})",  # noqa: S608  # constants
            *(f"p-{user}", "taxi", "2", user, "v2", at_ms),
        )

    def outcome(self, user: str, value: float, at_ms: int) -> None:
        m = self.mark
        self.run(
            "INSERT INTO feedback (prediction_id, outcome, ts_ms, times) "  # noqa: S608  # constants
            f"VALUES ({m}, {m}, {m}, 1) ON CONFLICT (prediction_id) DO UPDATE SET "
            "outcome = excluded.outcome, ts_ms = excluded.ts_ms",
            *(f"p-{user}", json.dumps(value), at_ms),
        )


class PostgresRig(SqliteRig):
    mark = "%s"

    def __init__(self, url: str) -> None:
        self.url = url
        for table in ("predictions", "feedback"):
            self.run(f"DROP TABLE IF EXISTS {table}")
        for table in TABLES:
            self.run(table)
        self.source = open_outcomes(url)

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.url, autocommit=True) as database:
            database.execute(statement.encode(), values)
