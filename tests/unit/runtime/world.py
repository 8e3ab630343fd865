"""The whole loop in memory on a virtual clock: platform, router, counters and journal."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sluice.dataplanes.memory import MemoryDataPlane
from sluice.engine.canary import Step, canary_stage
from sluice.engine.events import Abort, Event, Pause, Promote, Resume, Retry, Undo
from sluice.engine.plan import OnInconclusive, Plan, Ramp
from sluice.errors import UnknownRelease
from sluice.metrics.memory import MemoryMetricSource, MemoryPairs
from sluice.nouns import Objective, Phase, RevisionId, Snapshot, Workload
from sluice.platforms.memory import MemoryPlatform
from sluice.reports.model import ReleaseStatus
from sluice.runtime.loop import Loop
from sluice.runtime.shadow import ShadowJudge
from sluice.spec import AnalysisSettings
from sluice.testing.clock import VirtualClock
from sluice.testing.journal import MemoryJournal

NAME = "taxi"
V1, V2, V3 = RevisionId("v1"), RevisionId("v2"), RevisionId("v3")

SETTINGS = AnalysisSettings(
    objectives=(Objective(name="availability", kind="availability", target=0.95),),
    alpha=0.001,
    beta=0.05,
    poll_ms=1_000,
    polls=600,
    warm_up_ms=0,
)

VERBS: Mapping[str, Callable[[int], Event]] = {
    "pause": lambda at: Pause(at_ms=at),
    "resume": lambda at: Resume(at_ms=at),
    "promote": lambda at: Promote(at_ms=at),
    "promote --full": lambda at: Promote(at_ms=at, full=True),
    "abort": lambda at: Abort(at_ms=at),
    "retry": lambda at: Retry(at_ms=at),
    "undo": lambda at: Undo(at_ms=at),
}


def plan(*steps: Step, release: str = NAME, deadline_ms: int = 120_000) -> Plan:
    """A canary: steps by hand or, without any, the ramp."""
    stage = canary_stage(
        steps=steps,
        ramp=Ramp(),
        deadline_ms=deadline_ms,
        on_inconclusive=OnInconclusive.HOLD,
    )
    return Plan(
        release=release,
        replicas=2,
        hosts=(release,),
        stages=(stage,),
        min_bake_ms=5_000,
        keep_warm_ms=60_000,
        progress_deadline_ms=30_000,
        lease_ms=10_000,
    )


@dataclass(kw_only=True)
class World:
    """What goes on while controllers come and go; ``loop`` is the one that lives now."""

    seed: int = 1
    clock: VirtualClock = field(default_factory=VirtualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    bad: dict[RevisionId, float] = field(default_factory=dict)
    """Share of bad answers by revision."""
    harmed: int = 0
    lost: int = 0
    """Requests that no endpoint could take."""
    routers: Callable[[], object] = lambda: None  # a field's default

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.platform = MemoryPlatform(self.clock, ready_after_s=1.0)
        self.plane = MemoryDataPlane(self.clock)
        self.pairs = MemoryPairs()
        self.counters: Callable[[], Mapping[str, tuple[Snapshot, ...]]] = self.plane.snapshots
        self.loop = self._controller()

    def _controller(self) -> Loop:
        return Loop(
            platform=self.platform,
            dataplane=self.plane,
            metrics=MemoryMetricSource(lambda: self.counters()),
            journal=self.journal,
            clock=self.clock,
            judges=(ShadowJudge(self.pairs),),
            routers=self.routers,
        )

    async def crash(self) -> None:
        """The controller is gone without a word; a new one starts from the journal."""
        self.loop = self._controller()
        await self.loop.load()

    # --- what people do ---

    async def deploy(self, revision: RevisionId, what: Plan | None = None) -> bool:
        """The spec asks for a revision."""
        what = what or plan()
        workload = Workload(release=what.release, revision=revision, template={})
        return await self.loop.deploy(workload, what, SETTINGS)

    async def stable(self, what: Plan | None = None) -> None:
        """V1 serves everything."""
        await self.deploy(V1, what)
        await self.seconds(5)
        assert self.status().phase is Phase.HEALTHY

    async def verb(self, verb: str, release: str = NAME) -> ReleaseStatus:
        """A person asks for something."""
        return await self.loop.command(release, VERBS[verb])

    # --- what happens ---

    async def second(self, rps: int = 100, releases: Sequence[str] = (NAME,)) -> None:
        """Requests come in, a second goes by, the controller looks."""
        self.traffic(rps, releases)
        await self.clock.advance(1.0)
        await self.loop.turn(poll=True)

    async def seconds(self, count: int, rps: int = 100) -> None:
        """So many of them."""
        for _ in range(count):
            await self.second(rps)

    async def until(
        self, *phases: Phase, rps: int = 100, at_most_s: int = 400, reason: str = ""
    ) -> ReleaseStatus:
        """Go on until the release is in one of these phases.

        Raises:
            AssertionError: it never was.
        """
        for _ in range(at_most_s):
            status = self.status()
            if status.phase in phases and reason in ("", status.reason):
                return status
            await self.second(rps)
        raise AssertionError(f"not {phases} {reason} after {at_most_s} s: {self.status()}")

    def traffic(self, requests: int, releases: Sequence[str] = (NAME,)) -> None:
        """Send requests to what is served now."""
        for name in releases:
            for _ in range(requests):
                try:
                    pick = self.plane.pick(name, rng=self.random)
                except UnknownRelease:
                    return
                if pick.endpoint is None:
                    self.lost += 1
                    self.plane.record(name, pick, status=503)
                    continue
                bad = self.random.random() < self.bad.get(pick.revision, 0.0)
                self.harmed += bad
                self.plane.record(name, pick, status=500 if bad else 200)

    # --- what is to be seen ---

    def status(self, release: str = NAME) -> ReleaseStatus:
        return self.loop.status(release)

    def served_bp(self, revision: RevisionId) -> int:
        """Live weight that the router serves, which need not be what was decided."""
        return self.plane.weight_bp(NAME, revision)
