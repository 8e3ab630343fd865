"""The platform in memory: replicas that exist on a clock and do what a test tells them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.nouns import Endpoint, Replicas, RevisionId, Workload
from sluice.ports import Clock


@dataclass(slots=True, kw_only=True)
class _Replica:
    index: int
    endpoint: Endpoint
    started_ms: int
    drained_ms: int | None = None


class _Revision:
    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.desired = 0
        self.restarts = 0
        self.replicas: list[_Replica] = []


class MemoryPlatform:
    """``ports.Platform`` without processes; the same contract suite as the laptop's.

    Nothing happens between two calls: what is to be seen follows from the clock.
    """

    def __init__(self, clock: Clock, *, ready_after_s: float = 0.0, drain_s: float = 0.0) -> None:
        """Args:
        clock: Time.
        ready_after_s: From the start of a replica to its first answer, seconds.
        drain_s: How long a replica runs on after it left ``ready``, seconds.
        """
        self._clock = clock
        self._ready_after_s = ready_after_s
        self._drain_s = drain_s
        self._delays_s: dict[RevisionId, float | None] = {}
        self._crashing: dict[RevisionId, str] = {}
        self._releases: dict[str, dict[RevisionId, _Revision]] = {}
        self._next_port = 20_000

    def ready_after(self, revision: RevisionId, seconds: float | None) -> None:
        """From the start of this revision's replicas to their first answer; None: never."""
        self._delays_s[revision] = seconds

    def crash(self, revision: RevisionId, *, first: int | None = None) -> None:
        """Replicas of a revision, all or the ``first`` so many, end once and are started again."""
        for item in self._of(revision):
            ended = item.replicas[:first]
            item.restarts += len(ended)
            for replica in ended:
                replica.started_ms = self._clock.now_ms()

    def crash_always(self, revision: RevisionId, reason: str = "exited with status 1") -> None:
        """Replicas of a revision end whenever they are started, until :meth:`recover`."""
        for item in self._of(revision):
            item.restarts += len(item.replicas)
        self._crashing[revision] = reason

    def recover(self, revision: RevisionId) -> None:
        """Replicas of a revision start well again, from now."""
        self._crashing.pop(revision, None)
        for item in self._of(revision):
            for replica in item.replicas:
                replica.started_ms = self._clock.now_ms()

    async def scale(self, workload: Workload, replicas: int) -> None:
        """See ``ports.Platform``."""
        known = self._releases.setdefault(workload.release, {})
        revision = known.get(workload.revision)
        if revision is None:
            if replicas == 0:
                return
            revision = known[workload.revision] = _Revision(workload)
        revision.desired = replicas
        staying = [item for item in revision.replicas if item.drained_ms is None]
        for replica in staying[replicas:]:
            replica.drained_ms = self._clock.now_ms()
        self._sweep(workload.release)
        for _ in range(replicas - len(staying)):
            revision.replicas.append(self._start(revision))

    async def observe(self, release: str) -> Sequence[Replicas]:
        """See ``ports.Platform``."""
        self._sweep(release)
        return [self._look(item) for item in self._releases.get(release, {}).values()]

    async def remove(self, release: str) -> None:
        """See ``ports.Platform``."""
        for revision in list(self._releases.get(release, {}).values()):
            await self.scale(revision.workload, 0)

    def _start(self, revision: _Revision) -> _Replica:
        used = {replica.index for replica in revision.replicas}
        index = next(i for i in range(len(used) + 1) if i not in used)
        self._next_port += 1
        workload = revision.workload
        name = f"{workload.release}-{workload.revision}-{index}"
        endpoint = Endpoint(name=name, host="127.0.0.1", port=self._next_port)
        return _Replica(index=index, endpoint=endpoint, started_ms=self._clock.now_ms())

    def _look(self, revision: _Revision) -> Replicas:
        name = revision.workload.revision
        ready = {
            replica.endpoint: since
            for replica in revision.replicas
            if replica.drained_ms is None
            and (since := self._ready_since_ms(name, replica)) is not None
        }
        waiting = [
            replica.endpoint.name
            for replica in revision.replicas
            if replica.drained_ms is None and replica.endpoint not in ready
        ]
        reason = self._crashing.get(name) or "readiness probe: no answer yet"
        crashing = name in self._crashing
        return Replicas(
            revision=name,
            desired=revision.desired,
            ready=tuple(ready),
            ready_since_ms={endpoint.name: since for endpoint, since in ready.items()},
            running=0 if crashing else len(revision.replicas),
            restarts=revision.restarts,
            message=f"{waiting[0]}: {reason}" if waiting else "",
        )

    def _ready_since_ms(self, revision: RevisionId, replica: _Replica) -> int | None:
        delay_s = self._delays_s.get(revision, self._ready_after_s)
        if delay_s is None or revision in self._crashing:
            return None
        since_ms = replica.started_ms + round(delay_s * 1000)
        return since_ms if since_ms <= self._clock.now_ms() else None

    def _sweep(self, release: str) -> None:
        """Drop replicas that have drained, and revisions without any."""
        known = self._releases.get(release, {})
        now_ms, drain_ms = self._clock.now_ms(), round(self._drain_s * 1000)
        for name, revision in list(known.items()):
            revision.replicas = [
                replica
                for replica in revision.replicas
                if replica.drained_ms is None or now_ms < replica.drained_ms + drain_ms
            ]
            if revision.desired == 0 and not revision.replicas:
                del known[name]

    def _of(self, revision: RevisionId) -> list[_Revision]:
        return [known[revision] for known in self._releases.values() if revision in known]
