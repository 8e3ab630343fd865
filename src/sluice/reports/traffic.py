"""Kept polls to traffic by the second: what the charts of a pass are drawn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sluice.nouns import Purpose, RevisionId, Snapshot, Verdict
from sluice.reports.model import TrafficPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One used poll as the journal keeps it."""

    at_ms: int
    pass_number: int
    verdict: Verdict
    snapshots: tuple[Snapshot, ...]
    """One reading per router, counters cumulative."""


def traffic_of(polls: Sequence[Poll]) -> tuple[TrafficPoint, ...]:
    """Live requests and errors by second and revision.

    Args:
        polls: Of one release, oldest first.

    Returns:
        What came between two polls, spread evenly over the seconds between them. A router that
        began to count anew in between is left out of that interval.
    """
    return tuple(point for before, after in pairwise(polls) for point in _between(before, after))


def _between(before: Poll, after: Poll) -> Iterator[TrafficPoint]:
    seconds = max(1, round((after.at_ms - before.at_ms) / 1_000))
    earlier = {(snapshot.router, snapshot.epoch): snapshot for snapshot in before.snapshots}
    sums: dict[RevisionId, tuple[int, int]] = {}
    for snapshot in after.snapshots:
        base = earlier.get((snapshot.router, snapshot.epoch))
        if base is None:
            continue
        for arm in snapshot.arms:
            if arm.purpose is not Purpose.LIVE:
                continue
            known = base.arm(arm.revision)
            gained = arm.counts - known.counts if known is not None else arm.counts
            if gained.total < 0 or gained.errors < 0:
                continue
            total, errors = sums.get(arm.revision, (0, 0))
            sums[arm.revision] = (total + gained.total, errors + gained.errors)
    for revision, (total, errors) in sums.items():
        for second in range(seconds):
            yield TrafficPoint(
                at_ms=before.at_ms + second * 1_000,
                revision=revision,
                requests=_part(total, second, seconds),
                errors=_part(errors, second, seconds),
            )


def _part(whole: int, number: int, parts: int) -> int:
    return whole * (number + 1) // parts - whole * number // parts
