"""The end of a release: routing first, then replicas, then the object."""

from pydantic import SecretStr
from tests.unit.cluster.world import KEY, NAME, NAMESPACE, World, release

from sluice.cluster.settings import Settings
from sluice.kube.kinds import RELEASE


async def test_routing_goes_first_then_replicas_then_the_object() -> None:
    world = World()
    await world.stable()
    assert (await world.object())["metadata"]["finalizers"] == ["sluice.dev/release"]
    world.plane.reachable = False
    await world.delete()
    await world.seconds(3)
    assert await world.client.get(RELEASE, NAME, NAMESPACE) is not None
    assert await world.platform.observe(KEY)
    world.plane.reachable = True
    await world.seconds(3)
    assert await world.client.get(RELEASE, NAME, NAMESPACE) is None
    assert not await world.platform.observe(KEY)
    assert world.lead.loop.releases == {}
    assert world.described == {}
    assert not [ack for ack in await world.plane.acks() if ack.release == KEY]


async def test_a_deletion_goes_on_after_a_crash() -> None:
    world = World()
    await world.stable()
    world.plane.reachable = False
    await world.delete()
    world.plane.reachable = True
    await world.crash()
    await world.seconds(3)
    assert await world.client.get(RELEASE, NAME, NAMESPACE) is None


async def test_other_finalizers_stay() -> None:
    world = World()
    await world.begin()
    obj = release()
    del obj["spec"]["policyRef"]
    obj["metadata"]["finalizers"] = ["example.com/mine"]
    await world.apply(obj)
    await world.delete()
    await world.seconds(3)
    assert (await world.object())["metadata"]["finalizers"] == ["example.com/mine"]


async def test_an_object_without_our_finalizer_that_is_gone_takes_its_release_along() -> None:
    world = World()
    await world.stable()
    await world.client.patch(RELEASE, NAME, NAMESPACE, {"metadata": {"finalizers": []}})
    await world.client.delete(RELEASE, NAME, NAMESPACE)
    await world.seconds(4)
    assert world.lead.loop.releases == {}
    assert not [ack for ack in await world.plane.acks() if ack.release == KEY]


async def test_routers_let_go_of_a_release_whose_end_nobody_saw() -> None:
    world = World()
    await world.stable()
    fragment = world.lead.loop.releases[KEY].applied
    await world.client.patch(RELEASE, NAME, NAMESPACE, {"metadata": {"finalizers": []}})
    await world.client.delete(RELEASE, NAME, NAMESPACE)
    await world.crash()
    assert fragment is not None
    assert [ack.release for ack in await world.plane.acks()] == [KEY]
    await world.lead._forget_strangers()
    assert list(await world.plane.acks()) == []


async def test_releases_of_namespaces_that_are_not_watched_are_left_to_others() -> None:
    settings = Settings(token=SecretStr("t"), name="a", watch_namespaces="a, b")
    assert settings.namespaces == ("a", "b")
    world = World()
    await world.stable()
    world.settings = settings
    await world.crash()
    assert world.lead.store.releases == {}
    await world.lead._forget_strangers()
    assert [ack.release for ack in await world.plane.acks()] == [KEY]
