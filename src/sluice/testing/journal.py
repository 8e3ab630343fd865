"""The journal in memory, for tests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.errors import StateError


class MemoryJournal:
    """``ports.Journal`` that keeps what JSON keeps, and can be told to fail."""

    def __init__(self) -> None:
        self.fault: str | None = None
        """While set, every method raises StateError with this text."""
        self._checkpoints: dict[str, str] = {}
        self._logs: dict[str, list[str]] = {}

    async def load(self) -> Mapping[str, Mapping[str, Any]]:
        """See ``ports.Journal``."""
        self._check()
        return {release: json.loads(text) for release, text in self._checkpoints.items()}

    async def checkpoint(self, release: str, record: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        self._check()
        self._checkpoints[release] = json.dumps(record)

    async def append(self, release: str, entry: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        self._check()
        self._logs.setdefault(release, []).append(json.dumps(entry))

    async def entries(self, release: str) -> Sequence[Mapping[str, Any]]:
        """See ``ports.Journal``."""
        self._check()
        return [json.loads(line) for line in self._logs.get(release, [])]

    async def forget(self, release: str) -> None:
        """See ``ports.Journal``."""
        self._check()
        self._checkpoints.pop(release, None)

    def _check(self) -> None:
        if self.fault is not None:
            raise StateError(self.fault)
