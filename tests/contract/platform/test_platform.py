"""What every platform does, whatever it runs revisions with."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from tests.support import kube, local

from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.local import LocalPlatform, StateFolder
from sluice.platforms.memory import MemoryPlatform
from sluice.ports import Platform
from sluice.testing.clock import VirtualClock


class Rig(Protocol):
    """A platform, and how to make it do what a test needs."""

    platform: Platform

    def workload(
        self, revision: str, *, release: str = "taxi", never_ready: bool = False
    ) -> Workload: ...

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None: ...


class MemoryRig:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.platform = MemoryPlatform(self.clock, ready_after_s=1.0, drain_s=0.5)

    def workload(
        self, revision: str, *, release: str = "taxi", never_ready: bool = False
    ) -> Workload:
        if never_ready:
            self.platform.ready_after(RevisionId(revision), None)
        return Workload(release=release, revision=RevisionId(revision), template={})

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(100):
            if await condition():
                return
            await self.clock.advance(0.1)
        pytest.fail("it never came true")


class LocalRig:
    def __init__(self, platform: LocalPlatform, unready: Path) -> None:
        self.platform = platform
        self.unready = unready
        unready.touch()

    def workload(
        self, revision: str, *, release: str = "taxi", never_ready: bool = False
    ) -> Workload:
        env = {"UNREADY": str(self.unready)} if never_ready else {}
        return local.workload(revision, release=release, env=env)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        await local.until(self.platform, condition)


class KubeRig:
    """Deployments on an API server in memory; watches catch up between two calls of a test."""

    def __init__(self, world: kube.World) -> None:
        self.world = world
        self.platform = Settled(world)

    def workload(
        self, revision: str, *, release: str = "taxi", never_ready: bool = False
    ) -> Workload:
        if never_ready:
            self.world.never_ready(revision, release)
        return kube.workload(revision, release=release)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(100):
            if await condition():
                return
            await self.world.clock.advance(0.1)
        pytest.fail("it never came true")


class Settled:
    """Names of releases without a namespace, and watches that have caught up."""

    def __init__(self, world: kube.World) -> None:
        self._world = world

    async def scale(self, workload: Workload, replicas: int) -> None:
        await self._world.platform.scale(workload, replicas)
        await self._world.settle()

    async def observe(self, release: str) -> Sequence[Replicas]:
        await self._world.settle()
        return await self._world.platform.observe(kube.key(release))

    async def replace(self, release: str, revision: RevisionId, endpoint: str) -> None:
        await self._world.platform.replace(kube.key(release), revision, endpoint)
        await self._world.settle()

    async def remove(self, release: str) -> None:
        await self._world.platform.remove(kube.key(release))
        await self._world.settle()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder.claim(tmp_path / "state") as folder:
        yield folder


@pytest.fixture(params=["memory", "local", "kubernetes"])
async def rig(request: pytest.FixtureRequest, folder: StateFolder) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    if request.param == "kubernetes":
        world = kube.World()
        await world.start()
        yield KubeRig(world)
        await world.stop()
        return
    platform = await LocalPlatform.open(folder, options=local.options(folder.path))
    yield LocalRig(platform, folder.path / "unready")
    await platform.close(stop=True)


async def see(rig: Rig, revision: str, release: str = "taxi") -> Replicas | None:
    found = await rig.platform.observe(release)
    return next((item for item in found if item.revision == revision), None)


async def until_ready(rig: Rig, revision: str, count: int) -> Replicas:
    async def so_many() -> bool:
        seen = await see(rig, revision)
        return seen is not None and len(seen.ready) == count

    await rig.until(so_many)
    seen = await see(rig, revision)
    assert seen is not None
    return seen


async def until_gone(rig: Rig, revision: str) -> None:
    async def gone() -> bool:
        return await see(rig, revision) is None

    await rig.until(gone)


async def test_a_revision_becomes_ready_at_the_size_that_was_asked_for(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 2)
    seen = await until_ready(rig, "v1", 2)
    assert (seen.desired, seen.running, seen.restarts, seen.message) == (2, 2, 0, "")
    assert len({endpoint.name for endpoint in seen.ready}) == 2
    assert len({endpoint.address for endpoint in seen.ready}) == 2
    assert seen.ready_since_ms.keys() == {endpoint.name for endpoint in seen.ready}


async def test_a_size_is_on_record_before_anything_is_ready(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1", never_ready=True), 1)
    seen = await see(rig, "v1")
    assert seen is not None
    assert (seen.desired, seen.ready) == (1, ())
    assert re.match(r"taxi-v1-\w+: ", seen.message)


async def test_asking_again_for_the_same_size_changes_nothing(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 1)
    before = await until_ready(rig, "v1", 1)
    await rig.platform.scale(work, 1)
    assert await see(rig, "v1") == before


async def test_scaling_up_keeps_the_replicas_that_are_there(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 1)
    before = await until_ready(rig, "v1", 1)
    await rig.platform.scale(work, 2)
    after = await until_ready(rig, "v1", 2)
    assert before.ready[0] in after.ready
    assert after.ready_since_ms[before.ready[0].name] == before.ready_since_ms[before.ready[0].name]


async def test_a_replica_that_must_go_leaves_ready_at_once(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 2)
    await until_ready(rig, "v1", 2)
    await rig.platform.scale(work, 1)
    seen = await see(rig, "v1")
    assert seen is not None
    assert (seen.desired, len(seen.ready), seen.running) == (1, 1, 2)
    assert seen.message == ""


async def test_a_replaced_replica_drains_and_another_takes_its_place(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 2)
    before = await until_ready(rig, "v1", 2)
    sick, well = before.ready[0], before.ready[1]
    await rig.platform.replace("taxi", RevisionId("v1"), sick.name)
    seen = await see(rig, "v1")
    assert seen is not None
    assert (seen.desired, seen.ready) == (2, (well,))
    after = await until_ready(rig, "v1", 2)
    assert well in after.ready
    assert sick.name not in {endpoint.name for endpoint in after.ready}
    await rig.platform.replace("taxi", RevisionId("v1"), sick.name)
    assert (await until_ready(rig, "v1", 2)).ready == after.ready


async def test_replacing_what_is_not_there_changes_nothing(rig: Rig) -> None:
    await rig.platform.replace("taxi", RevisionId("v1"), "taxi-v1-0")
    assert await rig.platform.observe("taxi") == []
    await rig.platform.scale(rig.workload("v1"), 1)
    before = await until_ready(rig, "v1", 1)
    await rig.platform.replace("taxi", RevisionId("v1"), "taxi-v1-7")
    assert (await until_ready(rig, "v1", 1)).ready == before.ready


async def test_size_zero_drains_the_revision_until_nothing_is_to_be_seen(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 1)
    await until_ready(rig, "v1", 1)
    await rig.platform.scale(work, 0)
    seen = await see(rig, "v1")
    assert seen is not None
    assert (seen.desired, seen.ready, seen.running) == (0, (), 1)
    await until_gone(rig, "v1")


async def test_size_zero_of_an_unknown_revision_is_no_revision(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 0)
    assert await rig.platform.observe("taxi") == []


async def test_a_revision_can_come_back_while_it_drains(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 1)
    before = await until_ready(rig, "v1", 1)
    await rig.platform.scale(work, 0)
    await rig.platform.scale(work, 1)
    after = await until_ready(rig, "v1", 1)
    assert after.ready != before.ready, "a replica that was told to go does not come back"


async def test_releases_do_not_see_each_other(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.platform.scale(rig.workload("v1", release="bus"), 1)
    await until_ready(rig, "v1", 1)
    await rig.platform.remove("bus")
    assert len(await rig.platform.observe("taxi")) == 1
    assert await rig.platform.observe("nobody") == []


async def test_revisions_of_a_release_stand_side_by_side(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.platform.scale(rig.workload("v2"), 1)
    first, second = await until_ready(rig, "v1", 1), await until_ready(rig, "v2", 1)
    assert first.ready[0].address != second.ready[0].address
    assert first.ready[0].name != second.ready[0].name


async def test_removing_a_release_drains_all_of_it(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.platform.scale(rig.workload("v2"), 1)
    await until_ready(rig, "v1", 1)
    await rig.platform.remove("taxi")
    assert all(not item.ready for item in await rig.platform.observe("taxi"))
    await until_gone(rig, "v1")
    await until_gone(rig, "v2")
    await rig.platform.remove("taxi")
