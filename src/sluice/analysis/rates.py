"""How many requests arrive and how often somebody looks: what bounds the harm of a weight."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.nouns import Purpose, RevisionId, Snapshot

_WINDOW_MS = 60_000
_SHORTEST_MS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Live requests of one revision on one router when it was last read."""

    router: str
    revision: RevisionId
    epoch: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What came in between two readings."""

    ended_ms: int
    length_s: float
    rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Traffic of one release over the last 60 s, kept over all passes."""

    routers: frozenset[str] = frozenset()
    """Routers that were read before."""
    totals: tuple[Total, ...] = ()
    intervals: tuple[Interval, ...] = ()
    """Oldest first."""
    read_ms: int | None = None

    @property
    def highest_rps(self) -> float | None:
        """Highest rate of all live arms in the last 60 s, requests per second; None: unknown."""
        return max((interval.rps for interval in self.intervals), default=None)

    @property
    def longest_interval_s(self) -> float:
        """Longest time between two used readings in the last 60 s, seconds; 0.0: unknown."""
        return max((interval.length_s for interval in self.intervals), default=0.0)


def update(rates: Rates, taken_ms: int, snapshots: Sequence[Snapshot]) -> Rates:
    """The rates after one reading.

    A router seen for the first time only sets a mark: how long its counts took is unknown. One in
    a new epoch began again at zero. Readings closer than 0.2 s, or back in time, are not used: one
    request in a millisecond is no rate.

    Args:
        rates: What the last call returned.
        taken_ms: UTC milliseconds of the reading.
        snapshots: One per router; empty changes nothing.
    """
    if not snapshots:
        return rates
    if rates.read_ms is not None and taken_ms - rates.read_ms < _SHORTEST_MS:
        return rates
    known = {(total.router, total.revision): total for total in rates.totals}
    came = 0
    for snapshot in snapshots:
        for arm in snapshot.arms:
            if arm.purpose is not Purpose.LIVE:
                continue
            key = (snapshot.router, arm.revision)
            before = known.get(key)
            requests = arm.counts.total
            known[key] = Total(
                router=snapshot.router,
                revision=arm.revision,
                epoch=snapshot.epoch,
                requests=requests,
            )
            if before is not None and before.epoch == snapshot.epoch:
                came += max(0, requests - before.requests)
            elif snapshot.router in rates.routers:
                came += requests
    intervals = tuple(
        interval for interval in rates.intervals if interval.ended_ms > taken_ms - _WINDOW_MS
    )
    if rates.read_ms is not None:
        length_s = (taken_ms - rates.read_ms) / 1000.0
        intervals += (Interval(ended_ms=taken_ms, length_s=length_s, rps=came / length_s),)
    return Rates(
        routers=rates.routers | {snapshot.router for snapshot in snapshots},
        totals=tuple(known.values()),
        intervals=intervals,
        read_ms=taken_ms,
    )
