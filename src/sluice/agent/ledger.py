"""Counts that never go backwards, over clusters and hosts that come, go and come again.

Envoy begins at zero when a cluster or a host is added anew, and an agent may restart in between.
The ledger adds what was counted before, and keeps that on disk next to the epoch it belongs to.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sluice.agent.reading import Vector
from sluice.dataplanes.envoyfiles import replace_file

MAX_GONE = 10_000
"""Counters that no longer exist in Envoy and are still remembered; the oldest go first."""


def _plus(left: Vector, right: Vector) -> Vector:
    return tuple(a + b for a, b in zip(left, right, strict=True))


@dataclass(slots=True)
class _Entry:
    base: Vector
    last: Vector


@dataclass(slots=True)
class Ledger:
    """Cumulative vectors by key, for one start of Envoy."""

    path: Path
    epoch: str = ""
    entries: dict[str, _Entry] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    """Derived counts that must not fall either, by key."""
    nested: dict[str, Vector] = field(default_factory=dict)
    """Derived vectors of which each part counts a part of the one before, by key."""

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        """The ledger on disk; an empty one where there is none or it makes no sense."""
        try:
            document = orjson.loads(path.read_bytes())
            entries = {
                key: _Entry(_vector(entry["base"]), _vector(entry["last"]))
                for key, entry in document["entries"].items()
            }
            floors = {str(key): int(value) for key, value in document["floors"].items()}
            nested = {str(key): _vector(value) for key, value in document.get("nested", {}).items()}
            if all(len(entry.base) == len(entry.last) for entry in entries.values()):
                return cls(path, str(document["epoch"]), entries, floors, nested)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        return cls(path)

    def save(self) -> None:
        """Write it to disk.

        Raises:
            StateError: it cannot be written.
        """
        entries = {
            key: {"base": entry.base, "last": entry.last} for key, entry in self.entries.items()
        }
        document = {
            "epoch": self.epoch,
            "entries": entries,
            "floors": self.floors,
            "nested": self.nested,
        }
        replace_file(self.path, orjson.dumps(document), mode=0o600)

    def update(self, epoch: str, now: Mapping[str, Vector]) -> bool:
        """Take a reading in; tells whether something began anew, which is worth saving."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.entries = {key: _Entry((0,) * len(value), value) for key, value in now.items()}
            self.floors = {}
            self.nested = {}
            return True
        folded = False
        for key, value in now.items():
            entry = self.entries.get(key)
            if entry is None or len(entry.last) != len(value):
                self.entries[key] = _Entry((0,) * len(value), value)
                continue
            if any(a < b for a, b in zip(value, entry.last, strict=True)):
                entry.base = _plus(entry.base, entry.last)
                folded = True
            entry.last = value
        for key in self.entries.keys() - now.keys():
            folded = self._gone(key) or folded
        self._trim(now.keys())
        return folded

    def _gone(self, key: str) -> bool:
        entry = self.entries[key]
        if not any(entry.last):
            return False
        # Moved to the end: the front is what has been gone for longest.
        del self.entries[key]
        self.entries[key] = _Entry(_plus(entry.base, entry.last), (0,) * len(entry.last))
        return True

    def _trim(self, live: Set[str]) -> None:
        gone = [key for key in self.entries if key not in live]
        for key in gone[: max(0, len(gone) - MAX_GONE)]:
            del self.entries[key]

    def total(self, key: str, length: int) -> Vector:
        """Everything counted under a key since the epoch began."""
        entry = self.entries.get(key)
        return _plus(entry.base, entry.last) if entry else (0,) * length

    def floor(self, key: str, value: int) -> int:
        """``value``, or the largest that was seen under this key."""
        self.floors[key] = max(value, self.floors.get(key, 0))
        return self.floors[key]

    def settled(self, key: str, value: Vector) -> Vector:
        """A vector whose parts come from sources of different age, made fit to be subtracted.

        ``value[i + 1]`` counts some of what ``value[i]`` counts. Read a moment apart, a part may
        run ahead of its whole: what is new in it waits until the whole has it too.
        """
        before = self.nested.get(key, (0,) * len(value))
        settled = []
        room = max(0, value[0] - before[0])
        for old, new in zip(before, value, strict=True):
            room = min(room, max(0, new - old))
            settled.append(old + room)
        self.nested[key] = tuple(settled)
        return self.nested[key]


def _vector(value: Any) -> Vector:  # JSON from disk
    return tuple(int(item) for item in value)
