"""From cumulative counters to what one poll added, across routers and their restarts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.analysis.checks import Batch
from sluice.analysis.state import Mark, Poll
from sluice.nouns import ArmCounts, Objective, Purpose, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came in since the last used poll."""

    batches: tuple[Batch, ...]
    """One per objective, all routers summed."""
    shielded: int
    """Candidate failures that the user did not see."""
    marks: tuple[Mark, ...]
    """Where the counters stand now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A poll that cannot be trusted; nothing of it is used."""

    reason: str


def first_marks(objectives: Sequence[Objective], snapshots: Sequence[Snapshot]) -> tuple[Mark, ...]:
    """Where the counters stood before the pass: what they hold does not count."""
    return tuple(
        _mark(objectives, snapshot, arm)
        for snapshot in snapshots
        for arm in snapshot.arms
        if arm.purpose is Purpose.LIVE
    )


def difference(
    objectives: Sequence[Objective], marks: Sequence[Mark], poll: Poll
) -> Reading | Unusable:
    """What the live arms of the candidate and of stable got since ``marks``.

    A router in a new epoch, or seen for the first time, began at zero. A counter that went
    backwards within an epoch, or counts that cannot be counts, make the whole poll unusable: the
    marks stay, and the next good poll covers the gap exactly.
    """
    known = {(mark.router, mark.revision): mark for mark in marks}
    size = len(objectives)
    totals = {poll.candidate: [[0, 0] for _ in range(size)]}
    if poll.stable is not None:
        totals[poll.stable] = [[0, 0] for _ in range(size)]
    shielded = 0
    for snapshot in poll.snapshots:
        for arm in snapshot.arms:
            if arm.purpose is not Purpose.LIVE or arm.revision not in totals:
                continue
            if not arm.counts.plausible or arm.shielded > arm.counts.errors:
                return Unusable(
                    reason=f"router {snapshot.router}: impossible counts for {arm.revision}"
                )
            now = _mark(objectives, snapshot, arm)
            key = (now.router, now.revision)
            before = known.get(key)
            if before is not None and before.epoch != now.epoch:
                before = None
            known[key] = now
            sums = totals[arm.revision]
            for index, (requests, bad) in enumerate(now.counts):
                if before is not None:
                    requests -= before.counts[index][0]
                    bad -= before.counts[index][1]
                if not 0 <= bad <= requests:
                    return Unusable(
                        reason=f"router {snapshot.router}: the counters of {arm.revision} went "
                        f"backwards in epoch {snapshot.epoch}"
                    )
                sums[index][0] += requests
                sums[index][1] += bad
            if arm.revision == poll.candidate:
                shielded += now.shielded - (before.shielded if before is not None else 0)
    return Reading(
        batches=_batches(totals[poll.candidate], totals.get(poll.stable) if poll.stable else None),
        shielded=max(0, shielded),
        marks=tuple(known.values()),
    )


def _mark(objectives: Sequence[Objective], snapshot: Snapshot, arm: ArmCounts) -> Mark:
    return Mark(
        router=snapshot.router,
        epoch=snapshot.epoch,
        revision=arm.revision,
        counts=tuple([objective.bad(arm.counts) for objective in objectives]),
        shielded=arm.shielded,
    )


def _batches(
    candidate: Sequence[Sequence[int]], stable: Sequence[Sequence[int]] | None
) -> tuple[Batch, ...]:
    return tuple(
        Batch(
            n_candidate=candidate[index][0],
            bad_candidate=candidate[index][1],
            n_stable=stable[index][0] if stable is not None else 0,
            bad_stable=stable[index][1] if stable is not None else 0,
        )
        for index in range(len(candidate))
    )
