"""From cumulative counters to what one poll added, across routers and their restarts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sluice.analysis.checks import Batch
from sluice.analysis.order import Order, Slower, tolerated
from sluice.analysis.pods import MOST_PODS, MOST_READINGS
from sluice.analysis.state import Mark, Poll
from sluice.nouns import ArmCounts, Objective, Purpose, RevisionId, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came in since the last used poll, all routers summed."""

    batches: tuple[Batch, ...]
    """One per objective."""
    clients: Batch
    """Answers, and those of 400 to 499."""
    slower: tuple[Slower, ...]
    """One per boundary of ``latency-order``; empty while there is none."""
    begun: Mapping[RevisionId, int]
    """Live requests that were sent to each revision."""
    pods: Mapping[str, tuple[int, int]] | None
    """(requests, bad) by endpoint of the candidate; None: not told apart."""
    shielded: int
    """Candidate failures that the user did not see."""
    users: tuple[int, int] | None
    """Sticky users with their first bad answer, candidate's and stable's; None: requests are not
    those of sticky users, or some router does not know them."""
    marks: tuple[Mark, ...]
    """Where the counters stand now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A poll that cannot be trusted; nothing of it is used."""

    reason: str


def first_marks(
    objectives: Sequence[Objective], snapshots: Sequence[Snapshot], columns: Sequence[int]
) -> tuple[Mark, ...]:
    """Where the counters stood before the pass: what they hold does not count."""
    return tuple(
        _mark(objectives, snapshot, arm, columns, pods=True)
        for snapshot in snapshots
        for arm in snapshot.arms
    )


@dataclass(slots=True)
class _Sums:
    """Adds up what arms gained, by role."""

    counts: list[list[int]]
    clients: list[int] = field(default_factory=lambda: [0, 0])
    users: int | None = 0
    slower: list[int] = field(default_factory=list)
    """As ``Mark.slower``."""

    def add(self, gained: Mark) -> None:
        for sums, (requests, bad) in zip(self.counts, gained.counts, strict=True):
            sums[0] += requests
            sums[1] += bad
        self.clients[0] += gained.total
        self.clients[1] += gained.client_errors
        if self.users is not None:
            self.users = None if gained.users is None else self.users + gained.users
        if gained.slower:
            known = self.slower or [0] * len(gained.slower)
            self.slower = [a + b for a, b in zip(known, gained.slower, strict=True)]


def difference(
    objectives: Sequence[Objective], marks: Sequence[Mark], poll: Poll, order: Order | None
) -> Reading | Unusable:
    """What the judged arm of the candidate and the live arm of stable got since ``marks``.

    A router in a new epoch, or an arm seen for the first time, began at zero. A counter that went
    backwards within an epoch, or counts that cannot be counts, make the whole poll unusable: the
    marks stay, and the next good poll covers the gap exactly. Only events that others count (an
    objective of kind ``query``) and endpoints may begin again at zero by themselves.
    """
    columns = order.columns if order is not None else ()
    known = {(mark.router, mark.revision, mark.purpose): mark for mark in marks}
    ours, theirs = (_Sums(counts=[[0, 0] for _ in objectives]) for _ in range(2))
    begun: dict[RevisionId, int] = {}
    pods: dict[str, tuple[int, int]] = {}
    shielded = 0
    told_apart = _told_apart(poll)
    for snapshot, arm in _arms(poll):
        if not arm.counts.plausible or arm.shielded > arm.counts.errors:
            return Unusable(
                reason=f"router {snapshot.router}: impossible counts for {arm.revision}"
            )
        judged = arm.revision == poll.candidate and arm.purpose is poll.purpose
        now = _mark(objectives, snapshot, arm, columns, pods=judged and told_apart)
        key = (now.router, now.revision, now.purpose)
        before = known.get(key)
        if before is not None and before.epoch != now.epoch:
            before = None
        gained = _gained(objectives, now, before)
        if gained is None:
            return Unusable(
                reason=f"router {snapshot.router}: the counters of {arm.revision} went "
                f"backwards in epoch {snapshot.epoch}"
            )
        known[key] = now
        if arm.purpose is Purpose.LIVE:
            begun[arm.revision] = begun.get(arm.revision, 0) + max(0, gained.begun)
        if judged:
            ours.add(gained)
            shielded += gained.shielded
            told_apart = told_apart and (gained.total == 0 or bool(gained.pods))
            for name, requests, bad in gained.pods:
                total = pods.get(name, (0, 0))
                pods[name] = (total[0] + requests, total[1] + bad)
        elif arm.revision == poll.stable and arm.purpose is Purpose.LIVE:
            theirs.add(gained)
    users = None
    if poll.user_share is not None and ours.users is not None and theirs.users is not None:
        users = (ours.users, theirs.users)
    return Reading(
        batches=tuple([_batch(a, b) for a, b in zip(ours.counts, theirs.counts, strict=True)]),
        clients=_batch(ours.clients, theirs.clients),
        slower=_slower(order, columns, ours.slower, theirs.slower) if order is not None else (),
        begun=begun,
        pods=pods if told_apart and pods else None,
        shielded=max(0, shielded),
        users=users,
        marks=tuple(known.values()),
    )


def _arms(poll: Poll) -> Iterator[tuple[Snapshot, ArmCounts]]:
    """Arms of revisions that have a role, live ones of every other arm of the split."""
    shared = {revision for revision, _ in poll.split.shares} if poll.split else set()
    roles = {poll.candidate, poll.stable}
    for snapshot in poll.snapshots:
        for arm in snapshot.arms:
            if arm.revision in roles or (arm.revision in shared and arm.purpose is Purpose.LIVE):
                yield snapshot, arm


def _told_apart(poll: Poll) -> bool:
    """Whether endpoints are few enough, and every router that sent requests counts them."""
    judged = [snapshot.arm(poll.candidate, poll.purpose) for snapshot in poll.snapshots]
    arms = [arm for arm in judged if arm is not None and arm.counts.total]
    readings = sum(len(arm.endpoints) for arm in arms)
    names = {name for arm in arms for name in arm.endpoints}
    return (
        len(names) <= MOST_PODS and readings <= MOST_READINGS and all(arm.endpoints for arm in arms)
    )


def _mark(
    objectives: Sequence[Objective],
    snapshot: Snapshot,
    arm: ArmCounts,
    columns: Sequence[int],
    *,
    pods: bool,
) -> Mark:
    counts = arm.counts
    timed = columns and counts.slow
    few = pods and len(arm.endpoints) <= MOST_PODS
    return Mark(
        router=snapshot.router,
        epoch=snapshot.epoch,
        revision=arm.revision,
        purpose=arm.purpose,
        counts=tuple([objective.on(arm) for objective in objectives]),
        shielded=arm.shielded,
        total=counts.total,
        client_errors=counts.client_errors,
        begun=counts.total + arm.active,
        users=arm.users_bad,
        slower=(counts.timed, *(counts.slow[i] for i in columns)) if timed else (),
        pods=tuple((name, c.total, c.errors) for name, c in arm.endpoints.items()) if few else (),
    )


def _gained(objectives: Sequence[Objective], now: Mark, before: Mark | None) -> Mark | None:
    """The difference of two marks; None: impossible. ``begun`` may be negative: what runs is seen
    a moment before or after what ended.
    """
    if before is None:
        return now
    counts = []
    for objective, (n, bad), (n_before, bad_before) in zip(
        objectives, now.counts, before.counts, strict=True
    ):
        requests, failed = n - n_before, bad - bad_before
        if objective.kind == "query" and (requests < 0 or failed < 0):
            requests, failed = n, bad
        if not 0 <= failed <= requests:
            if objective.kind != "query":
                return None
            failed = min(max(0, failed), requests)
        counts.append((requests, failed))
    total, client_errors = now.total - before.total, now.client_errors - before.client_errors
    if not 0 <= client_errors <= total:
        return None
    slower: tuple[int, ...] = ()
    if len(now.slower) == len(before.slower):
        slower = tuple([a - b for a, b in zip(now.slower, before.slower, strict=True)])
        if slower and not (min(slower) >= 0 and max(slower) == slower[0]):
            return None
    users = now.users
    if users is not None:
        # An agent that was started again begins at zero; one that did not know them, now.
        known = users if before.users is None else before.users
        users = users - known if users >= known else users
    last = {name: (requests, bad) for name, requests, bad in before.pods}
    # An arm that was not read by endpoint last time does not know what they gained since.
    readable = bool(last) or before.total == 0
    return Mark(
        router=now.router,
        epoch=now.epoch,
        revision=now.revision,
        purpose=now.purpose,
        counts=tuple(counts),
        shielded=now.shielded - before.shielded,
        total=total,
        client_errors=client_errors,
        begun=now.begun - before.begun,
        users=users,
        slower=slower,
        pods=tuple([_pod_gained(pod, last.get(pod[0], (0, 0))) for pod in now.pods if readable]),
    )


def _pod_gained(pod: tuple[str, int, int], before: tuple[int, int]) -> tuple[str, int, int]:
    name, requests, bad = pod
    if requests < before[0] or bad < before[1]:
        return pod  # a replica came back under its name and is counted anew
    return name, requests - before[0], min(bad - before[1], requests - before[0])


def _batch(candidate: Sequence[int], stable: Sequence[int]) -> Batch:
    return Batch(
        n_candidate=candidate[0],
        bad_candidate=candidate[1],
        n_stable=stable[0],
        bad_stable=stable[1],
    )


def _slower(
    order: Order, columns: Sequence[int], candidate: Sequence[int], stable: Sequence[int]
) -> tuple[Slower, ...]:
    place = {column: index + 1 for index, column in enumerate(columns)}
    return tuple(
        Slower(
            n_candidate=candidate[0] if candidate else 0,
            above_candidate=candidate[place[tolerated(i)]] if candidate else 0,
            n_stable=stable[0] if stable else 0,
            above_stable=stable[place[i]] if stable else 0,
        )
        for i in order.boundaries
    )
