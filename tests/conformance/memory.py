"""The world in memory: a second is a turn of the real loop, and a story takes milliseconds.

Platform, router and journal are the public twins; users, faults and kills are played here.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from tests.conformance.papers import RELEASE, Papers
from tests.conformance.world import LATE_MS, Fits, Sums, brief

from sluice import spec
from sluice.dataplanes.memory import MemoryDataPlane, Pick
from sluice.engine import events
from sluice.errors import RefusedError, UnknownRelease
from sluice.metrics.memory import MemoryMetricSource
from sluice.nouns import RevisionId, Routing
from sluice.platforms.memory import MemoryPlatform
from sluice.reports.model import ReleaseStatus
from sluice.runtime.loop import Loop
from sluice.testing.clock import VirtualClock
from sluice.testing.journal import MemoryJournal

READY_S = 1.0
"""From the start of a replica to its first answer."""
AGENT_DOWN_S = 3.0
"""How long a killed agent is away before it is started again."""
USERS = 500


@dataclass(kw_only=True)
class Faults:
    """How a version misbehaves; see ``World.faults``."""

    error_rate: float = 0.0
    pod_error_rate: float = 0.0
    wrong_rate: float = 0.0
    latency_ms: float = 20.0
    slow_rate: float = 1.0
    cold_s: float = 0.0
    start_s: float = READY_S


@dataclass(kw_only=True)
class MemoryWorld:
    """See ``World``."""

    name: str = "memory"
    seed: int = 7
    clock: VirtualClock = field(default_factory=VirtualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    revisions: dict[str, RevisionId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.runner = asyncio.Runner()
        self.platform = MemoryPlatform(self.clock, ready_after_s=READY_S)
        self.plane = MemoryDataPlane(self.clock)
        self.loop: Loop | None = self._controller()
        self._sums = Sums()
        self._faults: dict[RevisionId, Faults] = {}
        self._told: dict[str, Faults] = {}
        self._rps = 0.0
        self._carry = 0.0
        self._agent_back_ms = 0
        self._running: list[tuple[float, int, Callable[[], None]]] = []
        """(end, order, what to count then) of requests under way."""
        self._ends = 0
        self._ready_ms: dict[str, int] = {}
        """When each endpoint that answers became ready, by name."""

    def close(self) -> None:
        """End the event loop."""
        self.runner.close()

    def _controller(self) -> Loop:
        return Loop(
            platform=self.platform,
            dataplane=self.plane,
            metrics=MemoryMetricSource(self.plane.snapshots),
            journal=self.journal,
            clock=self.clock,
        )

    # --- what people do ---

    def deploy(self, papers: Papers, version: str) -> None:
        """See ``World``."""
        documents = spec.from_objects(papers.documents(version, ["serve", version], {}))
        release = documents.releases[0]
        policy = documents.policy_of(release)
        workload = spec.workload_of(release)
        self.revisions[version] = workload.revision
        self._misbehave(version)
        self.runner.run(
            self._loop.deploy(
                workload,
                spec.to_plan(release, policy, self.plane.capabilities),
                spec.analysis_settings(release, policy, documents.slos),
            )
        )

    def verb(self, verb: str, *words: str) -> str:
        """See ``World``."""
        try:
            if verb == "delete":
                self.runner.run(self._loop.delete(RELEASE, by="story"))
            else:
                self.runner.run(self._loop.command(RELEASE, lambda at: _event(verb, words, at)))
        except (RefusedError, UnknownRelease) as error:
            return str(error)
        return ""

    def traffic(self, rps: float) -> None:
        """See ``World``."""
        self._rps = rps

    def faults(self, version: str, faults: Mapping[str, float]) -> None:
        """See ``World``."""
        self._told[version] = Faults(**faults)
        self._misbehave(version)

    def _misbehave(self, version: str) -> None:
        revision = self.revisions.get(version)
        if revision is not None and version in self._told:
            self._faults[revision] = self._told[version]
            self.platform.ready_after(revision, self._told[version].start_s)

    # --- what breaks ---

    def kill(self, what: str) -> None:
        """See ``World``."""
        match what:
            case "controller":
                self.loop = None
            case "agent":
                self.plane.reachable = False
                self._agent_back_ms = self.clock.now_ms() + round(AGENT_DOWN_S * 1000)
            case "router":
                self.plane.restart()
            case _:
                self.platform.crash(self.revisions[what], first=1)

    def restart(self) -> None:
        """See ``World``."""
        self.loop = self._controller()
        self.runner.run(self.loop.load())

    @property
    def _loop(self) -> Loop:
        assert self.loop is not None, "the story's controller is dead"
        return self.loop

    # --- time ---

    def status(self) -> ReleaseStatus | None:
        """See ``World``."""
        if self.loop is None or RELEASE not in self.loop.releases:
            return None
        return self.loop.status(RELEASE)

    def now_s(self) -> float:
        """See ``World``."""
        return self.clock.now_ms() / 1000

    def until(self, fits: Fits, *, within_s: float, what: str) -> ReleaseStatus:
        """See ``World``."""
        end_s = self.now_s() + within_s
        while True:
            status = self.status()
            if status is not None and fits(status):
                return status
            assert self.now_s() < end_s, f"waited {within_s:g} s for {what}; {brief(status)}"
            self._second()

    def after(self, seconds: float) -> None:
        """See ``World``."""
        for _ in range(round(seconds)):
            self._second()

    def sums(self) -> Sums:
        """See ``World``."""
        if self._rps:
            self.after(3)
            self._rps = 0.0
        return self._sums

    def _second(self) -> None:
        self.runner.run(self._turn())

    async def _turn(self) -> None:
        if self._agent_back_ms and self.clock.now_ms() >= self._agent_back_ms:
            self.plane.reachable, self._agent_back_ms = True, 0
        self._carry += self._rps
        requests, self._carry = int(self._carry), self._carry % 1.0
        self._ready_ms = {
            name: since_ms
            for item in await self.platform.observe(RELEASE)
            for name, since_ms in item.ready_since_ms.items()
        }
        routing = self._routing()
        if routing is None:
            self._sums.unknown += requests
        else:
            for _ in range(requests):
                self._request(routing)
        await self.clock.advance(1.0)
        while self._running and self._running[0][0] <= self.clock.now_ms():
            heapq.heappop(self._running)[2]()
        if self.loop is not None:
            await self.loop.turn(poll=True)

    # --- users ---

    def _routing(self) -> Routing | None:
        fragment = self.plane.fragment(RELEASE)
        return fragment.routing if fragment is not None else None

    def _request(self, routing: Routing) -> None:
        user = f"user-{self.random.randrange(USERS)}" if routing.sticky else None
        for copy in self.plane.mirrors(RELEASE, rng=self.random):
            self._count(copy, *self._answer(copy))
        pick = self._pick(user)
        status, took_ms = self._answer(pick)
        self._sums.requests += 1
        if routing.shield is not None and pick.revision != routing.fallback:
            limit_ms = routing.shield.per_try_timeout_ms
            if took_ms > limit_ms or status >= 500:
                code = None if took_ms > limit_ms else status
                self._count(pick, code, min(took_ms, limit_ms), shielded=True)
                return
        self._count(pick, status, took_ms)
        if took_ms >= LATE_MS:
            self._sums.late[pick.revision] = self._sums.late.get(pick.revision, 0) + 1
        if status >= 500:
            by = pick.revision if self._lives(pick) else ""
            self._sums.bad[by] = self._sums.bad.get(by, 0) + 1

    def _count(
        self, pick: Pick, status: int | None, took_ms: float, *, shielded: bool = False
    ) -> None:
        """The router counts a request when it has ended."""
        self._ends += 1
        ended_ms = self.clock.now_ms() + took_ms
        record = partial(
            self.plane.record, RELEASE, pick, status=status, duration_ms=took_ms, shielded=shielded
        )
        heapq.heappush(self._running, (ended_ms, self._ends, record))

    def _pick(self, user: str | None) -> Pick:
        """Who answers; what could not be connected is tried once more, on another endpoint."""
        pick = self.plane.pick(RELEASE, user=user, rng=self.random)
        if self._lives(pick):
            return pick
        fragment = self.plane.fragment(RELEASE)
        known = fragment.endpoints.get(pick.revision, ()) if fragment else ()
        others = [item for item in known if item != pick.endpoint]
        if not others:
            return pick
        return replace(pick, endpoint=self.random.choice(others))

    def _lives(self, pick: Pick) -> bool:
        return pick.endpoint is not None and pick.endpoint.name in self._ready_ms

    def _answer(self, pick: Pick) -> tuple[int, float]:
        """Code and time of an answer, milliseconds; a router that finds nobody says 503."""
        if pick.endpoint is None or not self._lives(pick):
            return 503, 1.0
        faults = self._faults.get(pick.revision, Faults())
        pod_rate = faults.pod_error_rate if pick.endpoint.name.endswith("-0") else 0.0
        bad = self.random.random() < max(faults.error_rate, pod_rate)
        slow = self.random.random() < faults.slow_rate
        age_ms = self.clock.now_ms() - self._ready_ms[pick.endpoint.name]
        slow = slow and (not faults.cold_s or age_ms < faults.cold_s * 1000)
        return (500 if bad else 200), (faults.latency_ms if slow else Faults().latency_ms)


def _event(verb: str, words: tuple[str, ...], at_ms: int) -> events.Event:
    match verb:
        case "promote":
            return events.Promote(at_ms=at_ms, full="--full" in words)
        case "approve":
            return events.Approve(at_ms=at_ms, gate=words[0])
        case "undo":
            return events.Undo(at_ms=at_ms)
        case "pause":
            return events.Pause(at_ms=at_ms)
        case "resume":
            return events.Resume(at_ms=at_ms)
        case "abort":
            return events.Abort(at_ms=at_ms)
        case "retry":
            return events.Retry(at_ms=at_ms)
        case _:
            raise AssertionError(f"no verb {verb}")


@contextmanager
def memory_world() -> Iterator[MemoryWorld]:
    """A world of its own for each story."""
    world = MemoryWorld()
    try:
        yield world
    finally:
        world.close()
