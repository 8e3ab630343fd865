"""What happened to the requests: counts by answering revision and second, and latencies."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

# Bucket i of the histogram ends at _FIRST_MS * _GROWTH ** i: quantiles are within 5%.
_FIRST_MS = 0.05
_GROWTH = 1.05


class Outcome(StrEnum):
    """How a request ended, as its user saw it."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    LOST = "lost"
    """No HTTP answer at all, or the router's own 503: no replica served it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request that has ended."""

    index: int
    """0-based number of the request."""
    due_s: float
    """When it was meant to begin, seconds since the load began."""
    latency_s: float
    """From then to the end."""
    outcome: Outcome
    status: int
    """HTTP status; 0 without an answer."""
    revision: str
    """``x-sluice-version`` of the answer; empty when it has none. The router's own 503 names the
    revision that should have answered."""
    reason: str = ""
    """Why it was lost."""


class Histogram:
    """Latencies in buckets that grow by 5%."""

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self._buckets = Counter(dict(buckets or {}))

    def add(self, milliseconds: float) -> None:
        """Count one."""
        ratio = max(1.0, milliseconds / _FIRST_MS)
        self._buckets[math.ceil(math.log(ratio) / math.log(_GROWTH))] += 1

    def quantile_ms(self, q: float) -> float:
        """Upper end of the bucket that holds the q-quantile, milliseconds; NaN without data."""
        left = q * self._buckets.total()
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return _FIRST_MS * _GROWTH**bucket
        return math.nan

    def over(self, milliseconds: float) -> int:
        """How many took longer, to within a bucket."""
        return sum(
            count
            for bucket, count in self._buckets.items()
            if _FIRST_MS * _GROWTH**bucket > milliseconds
        )

    def to_json(self) -> dict[str, int]:
        """Counts by bucket number."""
        return {str(bucket): count for bucket, count in sorted(self._buckets.items())}


class Report:
    """All counts of a load; live while it runs."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.sent = 0
        """Requests that have begun."""
        self.reconnects = 0
        """Requests sent again because the server had closed an idle connection; none was lost."""
        self.outcomes: dict[str, Counter[Outcome]] = {}
        """By answering revision (empty: nobody's answer)."""
        self.seconds: dict[int, dict[str, Counter[Outcome]]] = {}
        """The same, by the second in which the request was due."""
        self.lost_by: Counter[str] = Counter()
        """Lost requests by reason."""
        self.latency: dict[str, Histogram] = {}
        """Latency of answers by revision, from the time they were due."""
        self.lateness = Histogram()
        """How late requests were begun: large values are the load generator's own fault."""

    def add(self, answer: Answer) -> None:
        """Count one request that has ended."""
        revision, outcome = answer.revision, answer.outcome
        self.outcomes.setdefault(revision, Counter())[outcome] += 1
        second = self.seconds.setdefault(int(answer.due_s), {})
        second.setdefault(revision, Counter())[outcome] += 1
        if outcome is Outcome.LOST:
            self.lost_by[answer.reason] += 1
        else:
            self.latency.setdefault(revision, Histogram()).add(answer.latency_s * 1000)

    def count(self, *outcomes: Outcome, revision: str | None = None) -> int:
        """Requests that ended so: any outcome when none is named, all revisions by default."""
        return sum(
            number
            for name, counts in self.outcomes.items()
            for outcome, number in counts.items()
            if (revision is None or name == revision) and (not outcomes or outcome in outcomes)
        )

    @property
    def done(self) -> int:
        """Requests that have ended."""
        return self.count()

    @property
    def lost(self) -> int:
        """Requests that no replica served."""
        return self.count(Outcome.LOST)

    def harmed(self, revision: str) -> int:
        """Bad answers of a revision that users saw: 5xx, and the router's 503 in its stead."""
        return self.count(Outcome.SERVER_ERROR, Outcome.LOST, revision=revision)

    def summary(self) -> dict[str, Any]:
        """The counts of this moment, JSON-ready: one line of progress."""
        return {
            "elapsed_s": round(self.elapsed_s, 3),
            "sent": self.sent,
            "done": self.done,
            "lost": self.lost,
            "timeouts": self.count(Outcome.TIMEOUT),
            "reconnects": self.reconnects,
            "late_p99_ms": _rounded(self.lateness.quantile_ms(0.99)),
            "revisions": {
                revision: {
                    **{str(outcome): counts[outcome] for outcome in Outcome if counts[outcome]},
                    **self._latencies(revision),
                }
                for revision, counts in sorted(self.outcomes.items())
            },
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready; see :meth:`from_json`."""
        return {
            "summary": self.summary(),
            "elapsed_s": self.elapsed_s,
            "sent": self.sent,
            "reconnects": self.reconnects,
            "outcomes": self.outcomes,
            "seconds": self.seconds,
            "lost_by": self.lost_by,
            "latency": {name: item.to_json() for name, item in self.latency.items()},
            "lateness": self.lateness.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The report that :meth:`to_json` wrote."""
        self = cls()
        self.elapsed_s = value["elapsed_s"]
        self.sent = value["sent"]
        self.reconnects = value["reconnects"]
        self.outcomes = {name: _counter(item) for name, item in value["outcomes"].items()}
        self.seconds = {
            int(second): {name: _counter(item) for name, item in by.items()}
            for second, by in value["seconds"].items()
        }
        self.lost_by = Counter(value["lost_by"])
        self.latency = {name: _histogram(item) for name, item in value["latency"].items()}
        self.lateness = _histogram(value["lateness"])
        return self

    def _latencies(self, revision: str) -> dict[str, float | None]:
        histogram = self.latency.get(revision)
        if histogram is None:
            return {}
        return {
            f"p{percent}_ms": _rounded(histogram.quantile_ms(percent / 100))
            for percent in (50, 95, 99)
        }


def _counter(value: Mapping[str, int]) -> Counter[Outcome]:
    return Counter({Outcome(name): number for name, number in value.items()})


def _histogram(value: Mapping[str, int]) -> Histogram:
    return Histogram({int(bucket): number for bucket, number in value.items()})


def _rounded(milliseconds: float) -> float | None:
    return None if math.isnan(milliseconds) else round(milliseconds, 2)
