"""From Envoy's counters to counts of requests, one arm at a time. No I/O, no clock.

Why each formula is as it is: ``docs/decisions/0032-counters-without-a-logger.md`` and, for shields,
``0031-shield-by-aggregate-cluster.md``.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sluice.agent.ledger import Ledger
from sluice.agent.reading import BEGUN, CODES, COUNTERS, VECTOR, ClusterReading, Reading, Vector
from sluice.dataplanes.names import ClusterName, Use
from sluice.nouns import LATENCY_GRID_MS, ArmCounts, Counts, Purpose, RevisionId

MERGE_LAG_MS = 2_500
"""A request that ended so long ago is in Envoy's histogram: it merges every second, on the thread
that answers us."""

TIMER_EARLY_MS = 10
"""A try may be cut so much before its time: Envoy's timers count from a clock that the kernel moves
every 4 to 10 ms, and histograms cut off fractions."""

ArmKey = tuple[str, RevisionId, Purpose]
"""Release, revision, purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTally:
    """Counts of an arm, and how many of its requests nobody waited for."""

    counts: Counts = field(default_factory=Counts)
    endpoints: Mapping[str, Counts] = field(default_factory=dict)
    active: int = 0
    shielded: int = 0
    gave_up: int = 0
    """Of ``counts.errors``: the client left before an answer began."""

    def noun(self, revision: RevisionId, purpose: Purpose) -> ArmCounts:
        """The arm as the controller knows it."""
        return ArmCounts(
            revision=revision,
            purpose=purpose,
            counts=self.counts,
            endpoints=self.endpoints,
            active=self.active,
            shielded=self.shielded,
        )


@dataclass(frozen=True, slots=True)
class _Moment:
    at_ms: int
    begun: Mapping[str, int]
    ended: Mapping[ClusterName, int]


@dataclass(slots=True)
class Counting:
    """Counts of all arms of one router, over readings."""

    ledger: Ledger
    past: deque[_Moment] = field(default_factory=deque)
    hosts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(begun, given up) by host, as of the last reading."""
    began_anew: bool = False
    """Something was zero again at the last reading: what came before is only in the ledger."""

    def take(
        self,
        reading: Reading,
        *,
        at_ms: int,
        shield_ms: Mapping[tuple[str, RevisionId], int],
    ) -> dict[ArmKey, ArmTally]:
        """Count one more reading.

        Args:
            reading: What Envoy says.
            at_ms: When, on a clock that only moves forward, milliseconds.
            shield_ms: Time that a candidate has for its own try, by release and revision.

        Returns:
            Every arm that this Envoy has ever counted, by release, revision and purpose.
        """
        if reading.epoch != self.ledger.epoch:
            self.past.clear()
            self.hosts.clear()
        vectors = {str(name): cluster.vector for name, cluster in reading.clusters.items()}
        vectors |= self._host_vectors(reading)
        self.began_anew = self.ledger.update(reading.epoch, vectors)
        arms: dict[ArmKey, ArmTally] = {}
        begun: dict[str, int] = {}
        ended: dict[ClusterName, int] = {}
        hosts = self._host_counts()
        for name in self._names():
            cluster = reading.clusters.get(name, ClusterReading())
            purpose = name.use.purpose
            if purpose is None:
                continue
            by_host = hosts.get(name, {})
            if name.use is Use.GUARDED:
                cut_ms = shield_ms.get((name.release, name.revision), 0)
                tally = self._guarded(name, cluster, begun, cut_ms, by_host)
            else:
                tally = self._plain(name, cluster, begun, by_host)
                ended[name] = tally.counts.total
                tally = self._timed(name, tally, at_ms)
            key = (name.release, name.revision, purpose)
            arms[key] = _sum(arms[key], tally) if key in arms else tally
        self._remember(_Moment(at_ms, begun, ended))
        return arms

    def _names(self) -> Iterable[ClusterName]:
        parsed = (ClusterName.parse(key) for key in self.ledger.entries if "\n" not in key)
        return sorted(name for name in parsed if name is not None)

    def _remember(self, moment: _Moment) -> None:
        self.past.append(moment)
        while len(self.past) > 1 and self.past[1].at_ms <= moment.at_ms - MERGE_LAG_MS:
            self.past.popleft()

    def _gave_up(self, key: str, begun: int, known: int, moments: dict[str, int]) -> int:
        """Requests that neither run nor were answered: the client left.

        What had begun at the reading before, less what runs or has ended now. Both sides of the
        difference move while they are read, and this order can only find too few, for a moment.
        """
        moments[key] = begun
        before = self.past[-1].begun.get(key, 0) if self.past else 0
        return self.ledger.floor(f"gave-up {key}", before - known)

    def _plain(
        self,
        name: ClusterName,
        cluster: ClusterReading,
        begun: dict[str, int],
        hosts: Mapping[str, Counts],
    ) -> ArmTally:
        counters, _ = self._split(str(name))
        codes = sum(counters[code] for code in CODES)
        known = codes + counters["retry"] + cluster.active
        gave_up = self._gave_up(str(name), _begun(counters), known, begun)
        return ArmTally(
            counts=Counts(
                total=codes + gave_up,
                errors=counters["5xx"] + gave_up,
                client_errors=counters["4xx"],
            ),
            endpoints=hosts,
            active=cluster.active + cluster.pending,
            gave_up=gave_up,
        )

    def _timed(self, name: ClusterName, tally: ArmTally, at_ms: int) -> ArmTally:
        """With latencies: those answered are in the histogram, the others slow at any threshold.

        Who was not answered is known only once the histogram must hold all who were.
        """
        _, buckets = self._split(str(name))
        old = [moment for moment in self.past if moment.at_ms <= at_ms - MERGE_LAG_MS]
        ended = old[-1].ended.get(name, 0) if old else 0
        unanswered = self.ledger.floor(f"unanswered {name}", ended - buckets[-1])
        timed = buckets[-1] + unanswered
        slow = tuple(timed - in_time for in_time in buckets[:-1])
        return replace(tally, counts=replace(tally.counts, timed=timed, slow=slow))

    def _guarded(
        self,
        name: ClusterName,
        cluster: ClusterReading,
        begun: dict[str, int],
        cut_ms: int,
        hosts: Mapping[str, Counts],
    ) -> ArmTally:
        """A candidate behind a shield: its own tries, whatever the user saw.

        Codes, times and retries are charged to the aggregate; only what has begun, and what was
        cut short, to the member.
        """
        counters, _ = self._split(str(name))
        outer, buckets = self._split(str(_use(name, Use.SHIELD)))
        rescue, _ = self._split(str(_use(name, Use.RESCUE)))
        retries, rescued = outer["retry"], outer["retry_success"]
        # With no candidate host, the aggregate goes to stable at once: not the candidate's.
        direct = self.ledger.floor(f"direct {name}", _begun(rescue) - retries)
        answered = sum(outer[code] for code in CODES)
        success = self.ledger.floor(f"success {name}", answered - outer["5xx"] - rescued - direct)
        # A body too large to be sent twice, or the whole time used up: failed and not retried.
        shown = self.ledger.floor(f"shown {name}", outer["5xx"] - (retries - rescued))
        failed = retries + shown
        gave_up = self._gave_up(
            str(name), _begun(counters), success + failed + cluster.active, begun
        )
        errors = failed + gave_up
        # A shield that is gone has still cut what it has cut.
        cut_ms = self.ledger.floor(f"cut {name}", cut_ms)
        late = _late_or_cut(buckets, gave_up, counters["max_duration_reached"], cut_ms)
        timed, *slow = self.ledger.settled(f"slow {name}", (buckets[-1] + gave_up, *late))
        return ArmTally(
            counts=Counts(
                total=success + errors,
                errors=errors,
                client_errors=min(outer["4xx"], success),
                timed=timed,
                slow=tuple(slow),
            ),
            endpoints=hosts,
            active=cluster.active + cluster.pending,
            shielded=min(rescued, errors),
            gave_up=gave_up,
        )

    def _split(self, key: str) -> tuple[dict[str, int], Vector]:
        vector = self.ledger.total(key, VECTOR)
        counters = dict(zip(COUNTERS, vector[: len(COUNTERS)], strict=True))
        return counters, vector[len(COUNTERS) :]

    def _host_counts(self) -> dict[ClusterName, dict[str, Counts]]:
        """Tries by endpoint: a try that was repeated elsewhere is an error here."""
        counts: dict[ClusterName, dict[str, Counts]] = {}
        for key in self.ledger.entries:
            text, separator, host = key.partition("\n")
            name = ClusterName.parse(text) if separator else None
            if name is None:
                continue
            success, error, gave_up = self.ledger.total(key, 3)
            errors = error + gave_up
            counts.setdefault(name, {})[host] = Counts(total=success + errors, errors=errors)
        return counts

    def _host_vectors(self, reading: Reading) -> dict[str, Vector]:
        """(answered, failed, given up) by host, from the day this host was added.

        A host that leaves takes its running requests with it, so what is open then is nobody's
        fault; a host whose count fell has been added anew.
        """
        vectors: dict[str, Vector] = {}
        before, self.hosts = self.hosts, {}
        for name, cluster in reading.clusters.items():
            for host, now in cluster.hosts.items():
                key = f"{name}\n{host}"
                total, gave_up = before.get(key, (0, 0))
                if now.total < total:
                    total, gave_up = 0, 0
                gave_up = max(gave_up, total - now.active - now.success - now.error)
                self.hosts[key] = (now.total, gave_up)
                vectors[key] = (now.success, now.error, gave_up)
        return vectors


def _begun(counters: Mapping[str, int]) -> int:
    return sum(counters[item] for item in BEGUN)


def _late_or_cut(buckets: Vector, gave_up: int, cut: int, cut_ms: int) -> tuple[int, ...]:
    """Slower than each threshold; a try that was cut is slow at all of them.

    The histogram has the user's time, in which stable may have answered fast enough.
    """
    timed = buckets[-1] + gave_up
    slow = []
    at_most, at_least = timed, min(timed, cut + gave_up)
    for threshold, in_time in zip(LATENCY_GRID_MS, buckets[:-1], strict=True):
        late = min(at_most, timed - in_time + (cut if threshold > cut_ms else 0))
        if threshold <= cut_ms - TIMER_EARLY_MS:
            # Whoever was cut took longer than this, and is here already.
            at_least = min(at_least, late)
        else:
            late = max(at_least, late)
        slow.append(late)
        at_most = late
    return tuple(slow)


def _use(name: ClusterName, use: Use) -> ClusterName:
    return replace(name, use=use)


def _sum(left: ArmTally, right: ArmTally) -> ArmTally:
    names = [*left.endpoints, *(name for name in right.endpoints if name not in left.endpoints)]
    zero = Counts()
    return ArmTally(
        counts=left.counts + right.counts,
        endpoints={
            name: left.endpoints.get(name, zero) + right.endpoints.get(name, zero) for name in names
        },
        active=left.active + right.active,
        shielded=left.shielded + right.shielded,
        gave_up=left.gave_up + right.gave_up,
    )
