"""The same story for every source of outcomes."""

import csv
import json
from pathlib import Path
from typing import Any, Protocol

from sluice.nouns import OutcomeRow
from sluice.outcomes.memory import MemoryOutcomes
from sluice.outcomes.sources import open_outcomes
from sluice.ports import Outcomes
from sluice_model_api.predictions.stores import open_store


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


class StoreRig:
    """A prediction store as the model API writes it; each user has one prediction, ``p-USER``.

    Args:
        url: What ``MODEL_API_PREDICTIONS_URL`` and ``outcomes`` both say.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = open_store(url)
        self.source = open_outcomes(url)

    def exposed(self, user: str, at_ms: int) -> None:
        row = (f"p-{user}", "", "taxi", "2", "web", "f00d", '{"y":1.5}', "r", at_ms, user, "v2")
        self.store.write([row])

    def outcome(self, user: str, value: object, at_ms: int) -> None:
        self.store.feedback(f"p-{user}", value, at_ms)
