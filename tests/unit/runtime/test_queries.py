"""Objectives by query in the loop: who is asked when, and what holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, World, plan

from sluice.engine.canary import Pause, SetWeight
from sluice.metrics.memory import MemoryMetricSource
from sluice.metrics.prometheus import QueryTarget
from sluice.nouns import Objective, Phase, Workload
from sluice.runtime.loop import Loop
from sluice.runtime.queries import QueryJudge, query_targets

FARES = Objective(
    name="fares", kind="query", target=0.99, query_bad='b{r="$revision"}', query_total="t"
)
ASKS = replace(
    SETTINGS,
    objectives=(*SETTINGS.objectives, FARES),
    prometheus_url="http://127.0.0.1:9090",
)
BY_HAND = plan(SetWeight(weight_bp=2_000), Pause(duration_ms=None))


@dataclass(kw_only=True)
class Asking(World):
    """A world whose policy asks a Prometheus that may be away."""

    away: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def _controller(self) -> Loop:
        return Loop(
            platform=self.platform,
            dataplane=self.plane,
            metrics=MemoryMetricSource(lambda: self.counters()),
            journal=self.journal,
            clock=self.clock,
            judges=(QueryJudge(lambda name: self.away.get(name, ())),),
            hints=lambda _: ("objective fares: no series",),
        )

    async def candidate(self) -> None:
        await self.stable(BY_HAND)
        workload = Workload(release=NAME, revision=V2, template={})
        await self.loop.deploy(workload, BY_HAND, ASKS)

    def targets(self) -> tuple[QueryTarget, ...]:
        return query_targets(item.core for item in self.loop.releases.values())


async def test_releases_are_asked_about_while_they_are_in_a_pass() -> None:
    world = Asking()
    await world.stable(BY_HAND)
    assert world.targets() == ()
    await world.candidate()
    (target,) = world.targets()
    assert (target.release, target.pass_number) == (NAME, 2)
    assert target.revisions == (V2, V1)
    assert target.objectives == (FARES,)
    await world.verb("abort")
    assert world.targets() == ()


async def test_policy_without_queries_asks_nobody() -> None:
    world = Asking()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    assert world.targets() == ()


async def test_objective_that_cannot_be_counted_holds_and_goes_on_afterwards() -> None:
    world = Asking()
    await world.candidate()
    await world.seconds(4)
    world.away = {NAME: ("objective fares: Prometheus cannot be reached: refused",)}
    await world.seconds(2)
    status = world.status()
    assert (status.phase, status.reason) == (Phase.PAUSED, "CannotMeasure")
    assert "fares: Prometheus cannot be reached" in status.message
    world.away = {}
    await world.second()
    assert world.status().reason != "CannotMeasure"


async def test_candidate_that_routers_see_fail_is_turned_back_while_prometheus_is_away() -> None:
    world = Asking(bad={V2: 1.0})
    world.away = {NAME: ("objective fares: Prometheus cannot be reached: refused",)}
    await world.candidate()
    status = await world.until(Phase.ABORTED, at_most_s=60)
    assert status.reason == "CheckFailed"


async def test_hints_are_shown_and_hold_nothing() -> None:
    world = Asking()
    await world.candidate()
    await world.seconds(3)
    assert "objective fares: no series" in world.status().problems
    assert world.status().reason != "CannotMeasure"
