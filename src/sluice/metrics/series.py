"""Counters of Prometheus series: what they grew by, whatever restarts, comes and goes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_SERIES = 1_000
"""Of one query: more are a slip, and would fill the memory."""

Labels = frozenset[tuple[str, str]]
Series = Mapping[Labels, float]


class NotCounters(Exception):  # noqa: N818  # what is the case, said in the field's word
    """An answer without counters that can be used; the text says why and what to do."""


def parse_vector(content: Mapping[str, Any]) -> Series:
    """Value of each series in an answer of ``/api/v1/query``.

    Raises:
        NotCounters: it is an error, no instant vector, or a value is no count.
    """
    if content.get("status") != "success":
        why = content.get("error") or content.get("status") or "nothing that it should"
        raise NotCounters(f"Prometheus answered: {why}")
    data = content.get("data")
    kind = data.get("resultType") if isinstance(data, dict) else None
    if not isinstance(data, dict) or kind != "vector":
        raise NotCounters(f"the query gives a {kind}: write one that gives counters at a moment")
    found: dict[Labels, float] = {}
    try:
        for item in data["result"]:
            labels = frozenset((str(name), str(value)) for name, value in item["metric"].items())
            found[labels] = float(item["value"][1])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise NotCounters("Prometheus answered what no instant vector looks like") from error
    if len(found) > MOST_SERIES:
        raise NotCounters(f"the query gives {len(found)} series: narrow it, at most {MOST_SERIES}")
    if any(not math.isfinite(value) or value < 0 for value in found.values()):
        raise NotCounters("the query gives values that are no counts: use counters, without rate()")
    return found


@dataclass(slots=True)
class Grown:
    """How much the series of one query have grown since they were first looked at."""

    total: float = 0.0
    _last: dict[Labels, float] | None = None

    def take(self, series: Series) -> None:
        """Take in one reading.

        What was there at the first reading does not count. A series that comes later began at
        zero, and so did one with labels that fell: its replica started again. A sum without labels
        that fell has lost a replica; nothing of it counts until it grows again.
        """
        first = self._last is None
        last = self._last or {}
        for labels, value in series.items():
            before = last.get(labels)
            if before is None:
                self.total += 0.0 if first else value
            elif value >= before:
                self.total += value - before
            elif labels:
                self.total += value
        self._last = {**last, **series}


@dataclass(slots=True)
class Counted:
    """(events, bad events) of one objective on one revision, as they are given out."""

    published: tuple[int, int] = (0, 0)
    """Both only grow, and never more bad ones than events between two values."""
    _total: Grown = field(default_factory=Grown)
    _bad: Grown = field(default_factory=Grown)

    def take(self, total: Series, bad: Series) -> str:
        """Take in both readings of a moment; why they do not fit together, empty: they do."""
        self._total.take(total)
        self._bad.take(bad)
        events, failures = int(self._total.total), int(self._bad.total)
        more, worse = events - self.published[0], failures - self.published[1]
        if worse > more:
            return (
                f"{failures} bad events of {events} since the pass began: "
                "both queries must count the same requests"
            )
        self.published = (events, failures)
        return ""
