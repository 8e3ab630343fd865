"""Two controllers of which one leads: taking over, giving back, seeing another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from tests.unit.cluster.world import KEY, STEPS, World, release, slos
from tests.unit.cluster.world import POLICY as POLICY_OBJECT

from sluice.cluster.controller import Controller
from sluice.cluster.leading import Leadership
from sluice.cluster.parts import Parts
from sluice.cluster.settings import Settings
from sluice.errors import TransientError
from sluice.kube.kinds import LEASE


@dataclass(kw_only=True)
class Pair:
    """Two controllers over one world, each in a task of its own."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.controllers = {name: self.controller(name) for name in ("a", "b")}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.broken: set[str] = set()

    def controller(self, name: str) -> Controller:
        @asynccontextmanager
        async def parts(_: Callable[[], int | None]) -> AsyncIterator[Parts]:
            yield self.world.parts()

        async def watch(leadership: Leadership) -> None:
            while True:
                await self.world.clock.sleep(1)
                if name in self.broken:
                    raise TransientError("the watch cannot go on")
                if not self.world.api.unreachable:
                    await leadership.list_all()

        return Controller(
            Settings(token=SecretStr("t"), name=name),
            self.world.clock,
            lease=self.world.client,
            parts=parts,
            watch=watch,
        )

    def start(self, name: str) -> None:
        self.tasks[name] = asyncio.create_task(self.controllers[name].run())

    async def stop(self, name: str) -> None:
        self.controllers[name].stop()
        await self.seconds(1)
        await self.tasks.pop(name)

    def kill(self, name: str) -> None:
        self.tasks.pop(name).cancel()

    async def seconds(self, count: int, rps: int = 20) -> None:
        for _ in range(count):
            leader = self.controllers.get(self.leader() or "")
            if leader is not None and leader.leadership is not None:
                self.world.lead = leader.leadership
                self.world.traffic(rps)
            await self.world.clock.advance(1)

    def leader(self) -> str | None:
        leaders = [name for name, item in self.controllers.items() if item.leadership]
        assert len(leaders) <= 1
        return leaders[0] if leaders else None

    async def close(self) -> None:
        for name in list(self.tasks):
            self.controllers[name].stop()
        await self.seconds(1)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    found = Pair()
    try:
        yield found
    finally:
        await found.close()


async def begun(found: Pair) -> None:
    """A leads and has a candidate at 20%; B waits."""
    found.start("a")
    await found.seconds(1)
    found.start("b")
    for obj in (slos(), POLICY_OBJECT, release("1", strategy=STEPS)):
        await found.world.client.apply(obj, manager="kubectl")
    await found.seconds(5)
    await found.world.client.apply(release("2", strategy=STEPS), manager="kubectl")
    await found.seconds(6)
    assert found.leader() == "a"
    assert found.world.shown().weight_bp == 2_000


async def test_a_stand_by_is_ready_and_idle() -> None:
    async with pair() as found:
        await begun(found)
        stand_by = found.controllers["b"]
        assert (stand_by.not_alive(), stand_by.leadership) == ("", None)
        assert b"sluice_controller_leader 0.0" in stand_by.gauges.text()
        leads = found.controllers["a"].gauges.text()
        assert b"sluice_controller_leader 1.0" in leads
        assert b'sluice_releases{phase="Paused"} 1.0' in leads


async def test_the_other_takes_over_within_the_lease_when_the_leader_is_gone() -> None:
    async with pair() as found:
        await begun(found)
        # Killed: nothing is given back.
        found.controllers["a"].elector._held = None
        found.kill("a")
        await found.seconds(19)
        assert found.leader() == "b"
        await found.seconds(3)
        status = found.world.shown()
        assert (status.weight_bp, status.pass_number) == (2_000, 2)


async def test_the_other_takes_over_at_once_from_a_leader_that_is_stopped() -> None:
    async with pair() as found:
        await begun(found)
        await found.stop("a")
        await found.seconds(4)
        assert found.leader() == "b"
        await found.world.annotate(promote_full="true")
        await found.seconds(5)
        assert await found.world.holds("Promoted")


async def test_a_leader_that_sees_another_one_leaves_at_once() -> None:
    async with pair() as found:
        await begun(found)
        lease = await found.world.client.get(LEASE, "sluice-controller", "sluice-system")
        assert lease is not None
        lease["spec"]["holderIdentity"] = "somebody_else"
        await found.world.client.replace(lease)
        await found.seconds(4)
        assert found.leader() is None
        assert found.world.shown().weight_bp == 2_000


async def test_a_leader_acts_while_the_api_server_cannot_be_reached() -> None:
    async with pair() as found:
        await begun(found)
        found.world.api.unreachable = "connection refused"
        await found.seconds(40)
        assert found.leader() == "a"
        found.world.bad["2"] = 1.0
        await found.seconds(10)
        stable = found.world.lead.loop.releases[KEY].core.state.stable
        assert stable is not None
        assert found.world.plane.weight_bp(KEY, stable) == 10_000
        found.world.api.unreachable = ""
        await found.seconds(15)
        assert await found.world.holds("Aborted")


async def test_a_leadership_that_breaks_begins_anew() -> None:
    async with pair() as found:
        await begun(found)
        found.broken.add("a")
        await found.seconds(6)
        assert found.leader() == "b"
        found.broken.clear()
        await found.seconds(2)
        assert found.world.shown().weight_bp == 2_000


async def test_a_loop_that_is_stuck_is_said_to_be_dead() -> None:
    async with pair() as found:
        await begun(found)
        controller = found.controllers["a"]
        assert controller.not_alive() == ""
        leadership = controller.leadership
        assert leadership is not None
        leadership._turned_ms -= 61_000
        assert "has made no turn" in controller.not_alive()
