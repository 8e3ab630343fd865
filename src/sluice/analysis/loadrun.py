"""What a load test counted: raw counts by time slice and answering version, nothing judged."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sluice.analysis.latency import slower_than
from sluice.nouns import Objective

FORMAT = "sluice.dev/load-run/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Requests that were due in one time slice and got their answer from one version."""

    slice: int
    """0-based number of the slice."""
    version: str = ""
    """``x-sluice-version`` of the answer; empty: it had none, or there was no answer."""
    total: int = 0
    """Requests, those never sent (``dropped``) among them."""
    errors: int = 0
    """Of ``total``: all but answers below 500, and answers that the test itself called wrong."""
    client_errors: int = 0
    """Of ``total``: answers 400 to 499."""
    lost: int = 0
    """Of ``errors``: no HTTP answer, or the router's own 503: no replica served it."""
    dropped: int = 0
    """Of ``errors``: never sent, because every slot waited for an answer."""
    buckets: Mapping[int, int] = field(default_factory=dict)
    """Answered requests by bucket of their latency, counted from the time they were due."""

    def bad(self, objective: Objective) -> int:
        """Requests that were bad for an objective; no answer is bad for every objective."""
        if objective.threshold_ms is None:
            return self.errors
        unanswered = self.total - sum(self.buckets.values())
        return unanswered + slower_than(self.buckets, objective.threshold_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadEvent:
    """Something that happened to the system under test while the load ran."""

    at_s: float
    """Seconds after the first arrival was possible."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """Raw counts of one load test, of all its processes together."""

    format: str = FORMAT
    url: str
    profile: str
    """Name of the traffic profile and its arrivals, for people."""
    started_ms: int
    """UTC milliseconds at which slice 0 began."""
    duration_s: float
    """Time in which requests were due."""
    slice_s: float
    """Length of a slice, seconds."""
    asked: float
    """Requests that the profile asks for on average."""
    processes: int = 1
    lateness: Mapping[int, int] = field(default_factory=dict)
    """Arrivals by bucket of how late the generator began them: its own fault, not the server's."""
    cpu: Mapping[int, float] = field(default_factory=dict)
    """By slice: share of one core that the busiest generator process used."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """Answers by HTTP status; ``0``: no answer."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Requests without an answer, by reason."""
    cells: tuple[Cell, ...] = ()
    events: tuple[LoadEvent, ...] = ()

    @property
    def slices(self) -> int:
        """Number of slices in which requests were due."""
        return max(1, round(self.duration_s / self.slice_s))

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions that answered, without the empty one."""
        return tuple(sorted({cell.version for cell in self.cells} - {""}))

    def only(self, version: str) -> "LoadRun":
        """The run as far as one version answered it."""
        return replace(self, cells=tuple(c for c in self.cells if c.version == version))

    def between(self, from_s: float, to_s: float) -> "LoadRun":
        """The part of the run in which requests were due from one second to another."""
        first = max(0, round(from_s / self.slice_s))
        last = max(first + 1, min(self.slices, round(to_s / self.slice_s)))
        share = (last - first) / self.slices
        return replace(
            self,
            started_ms=self.started_ms + round(first * self.slice_s * 1000),
            duration_s=(last - first) * self.slice_s,
            asked=self.asked * share,
            cpu={at - first: cpu for at, cpu in self.cpu.items() if first <= at < last},
            cells=tuple(
                replace(c, slice=c.slice - first) for c in self.cells if first <= c.slice < last
            ),
            events=tuple(
                replace(event, at_s=event.at_s - first * self.slice_s)
                for event in self.events
                if from_s <= event.at_s <= to_s
            ),
        )

    def whole(self) -> Cell:
        """All cells as one."""
        return summed(self.cells)

    def series(self, objective: Objective) -> list[tuple[int, int]]:
        """(requests, bad requests) of every slice, empty slices included."""
        found = [[0, 0] for _ in range(self.slices)]
        for cell in self.cells:
            at = min(max(cell.slice, 0), self.slices - 1)
            found[at][0] += cell.total
            found[at][1] += cell.bad(objective)
        return [(n, k) for n, k in found]


def summed(cells: Sequence[Cell]) -> Cell:
    """Counts of several cells as one, of no slice and version."""
    buckets: Counter[int] = Counter()
    for cell in cells:
        buckets.update(cell.buckets)
    return Cell(
        slice=0,
        total=sum(cell.total for cell in cells),
        errors=sum(cell.errors for cell in cells),
        client_errors=sum(cell.client_errors for cell in cells),
        lost=sum(cell.lost for cell in cells),
        dropped=sum(cell.dropped for cell in cells),
        buckets=dict(buckets),
    )
