"""Every decision is told once, to the receivers of the policy, after the journal has it."""

from dataclasses import replace
from typing import Any

from tests.unit.runtime.world import NAME, V1, V2, World

from sluice.hooks.memory import MemoryNotifier
from sluice.metrics.memory import MemoryMetricSource
from sluice.nouns import Notify, Phase
from sluice.runtime.loop import Loop

TO = (Notify(kind="webhook", url="https://one.example"), Notify(kind="slack", url_env="CHAT"))


class Told(World):
    """A world with somebody who listens."""

    def _controller(self) -> Loop:
        self.notifier = MemoryNotifier()
        return Loop(
            platform=self.platform,
            dataplane=self.plane,
            metrics=MemoryMetricSource(lambda: self.counters()),
            journal=self.journal,
            clock=self.clock,
            notifier=self.notifier,
        )


def listens(world: World) -> None:
    core = world.loop.releases[NAME].core
    core.settings = replace(core.settings, notify=TO)


async def test_every_decision_is_told_once_to_every_receiver() -> None:
    world = Told(bad={V2: 1.0})
    await world.stable()
    listens(world)
    workload = replace(world.loop.releases[NAME].core.workloads[V1], revision=V2)
    core = world.loop.releases[NAME].core
    assert core.state.plan is not None
    await world.loop.deploy(workload, core.state.plan, core.settings)
    await world.until(Phase.ABORTED)
    history = [d for d in await world.loop.history(NAME) if d.pass_number == 2]
    for receiver in TO:
        told = [notice for to, notice in world.notifier.told if to == receiver]
        assert [(n.kind, n.at_ms) for n in told] == [(d.kind, d.at_ms) for d in history]
        assert len({notice.id for notice in told}) == len(told)


async def test_notice_has_the_decision_with_a_short_verdict() -> None:
    world = Told(bad={V2: 1.0})
    await world.stable()
    listens(world)
    core = world.loop.releases[NAME].core
    workload = replace(core.workloads[V1], revision=V2)
    assert core.state.plan is not None
    await world.loop.deploy(workload, core.state.plan, core.settings)
    await world.until(Phase.ABORTED)
    notice = next(n for _, n in world.notifier.told if n.kind == "Aborted")
    data: Any = notice.data
    assert (notice.release, notice.reason) == (NAME, "CheckFailed")
    assert (data["release"], data["revision"], data["to_bp"]) == (NAME, V2, 0)
    assert set(data["verdict"]) == {"kind", "reason", "requests", "harmed"}
    assert data["verdict"]["kind"] == "failed"


async def test_nobody_is_told_where_the_policy_names_nobody() -> None:
    world = Told()
    await world.stable()
    assert world.notifier.told == []


async def test_what_cannot_be_delivered_is_a_problem_of_the_release() -> None:
    world = Told()
    await world.stable()
    listens(world)
    world.notifier.problems = lambda _: ("notify slack CHAT: answered 500 (3 waiting)",)  # type: ignore[method-assign]
    assert "notify slack CHAT: answered 500 (3 waiting)" in world.status().problems
