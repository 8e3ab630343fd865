"""A release whose requests nobody counts on the way: queries alone turn back and promote."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
from tests.contract.prometheus.test_prometheus import FARES, Server
from tests.unit.hooks.servers import receiver
from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, plan

from sluice.cluster.counted import NothingCounted
from sluice.dataplanes.gateway import CAPABILITIES
from sluice.dataplanes.memory import MemoryDataPlane
from sluice.engine.canary import Pause, SetWeight
from sluice.metrics.prometheus import PrometheusCounts
from sluice.nouns import Phase, RevisionId, Workload
from sluice.platforms.memory import MemoryPlatform
from sluice.runtime.loop import Loop
from sluice.runtime.queries import QueryJudge, query_targets
from sluice.testing.clock import VirtualClock
from sluice.testing.journal import MemoryJournal


@dataclass
class World:
    server: Server
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.source = PrometheusCounts(
            NothingCounted(lambda: tuple(self.loop.releases)),
            lambda: query_targets(item.core for item in self.loop.releases.values()),
            self.clock,
        )
        self.loop = Loop(
            platform=MemoryPlatform(self.clock, ready_after_s=1.0),
            dataplane=MemoryDataPlane(self.clock, capabilities=CAPABILITIES),
            metrics=self.source,
            judges=(QueryJudge(self.source.faults),),
            journal=MemoryJournal(),
            clock=self.clock,
        )

    async def deploy(self, revision: RevisionId) -> None:
        url = self.server.receiver.url
        settings = replace(SETTINGS, objectives=(FARES,), prometheus_url=url)
        steps = plan(SetWeight(weight_bp=500), Pause(duration_ms=5_000), SetWeight(weight_bp=2_500))
        unleased = tuple(replace(stage, lease=False) for stage in steps.stages)
        workload = Workload(release=NAME, revision=revision, template={})
        await self.loop.deploy(workload, replace(steps, stages=unleased), settings)

    async def until(self, phase: Phase, *, bad: int = 0, seconds: int = 200) -> None:
        """Requests come to both revisions, and every round of queries sees them."""
        for _ in range(seconds):
            for revision, rate in ((V1, 95), (V2, 50)):
                key = (revision, "a")
                worse = bad if revision == V2 else 0
                self.server.plus[key] = self.server.plus.get(key, 0.0) + rate - worse
                self.server.minus[key] = self.server.minus.get(key, 0.0) + worse
            await self.clock.advance(1.0)
            await self.loop.turn(poll=True)
            targets = query_targets(item.core for item in self.loop.releases.values())
            await self.source.ask(targets)
            if self.loop.status(NAME).phase is phase:
                return
        raise AssertionError(f"never {phase}: {self.loop.status(NAME)}")


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with receiver() as http:
        server = Server(http)
        http.respond = server.respond
        made = World(server)
        await made.deploy(V1)
        await made.until(Phase.HEALTHY)
        yield made
        await made.source.close()


async def test_a_good_candidate_is_promoted_by_what_prometheus_counts(world: World) -> None:
    await world.deploy(V2)
    await world.until(Phase.PROGRESSING)
    await world.until(Phase.HEALTHY)
    status = world.loop.status(NAME)
    assert status.stable == V2
    promoted = [item for item in status.decisions if item.kind == "Promoted"][-1]
    assert promoted.verdict is not None
    assert promoted.verdict.requests > 200
    assert {check.objective for check in promoted.verdict.checks} >= {"fares"}


async def test_a_bad_candidate_is_turned_back_by_what_prometheus_counts(world: World) -> None:
    await world.deploy(V2)
    await world.until(Phase.ABORTED, bad=10)
    status = world.loop.status(NAME)
    assert (status.stable, status.reason, status.weight_bp) == (V1, "CheckFailed", 0)
    assert status.verdict is not None
    assert "fares" in status.verdict.reason


async def test_while_prometheus_is_away_the_release_holds(world: World) -> None:
    await world.deploy(V2)
    await world.until(Phase.PROGRESSING)
    world.server.broken = (502, b"<html>")
    with pytest.raises(AssertionError, match="never"):
        await world.until(Phase.HEALTHY, seconds=60)
    assert "without JSON" in str(world.loop.status(NAME))
    world.server.broken = None
    await world.until(Phase.HEALTHY)
    assert world.loop.status(NAME).stable == V2
