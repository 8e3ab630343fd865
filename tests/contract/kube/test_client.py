"""What the API server does for us, in memory and in a cluster."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.cluster import reach

from sluice.errors import RefusedError, SpecError
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict, NotThere
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD
from sluice.testing.kube import MemoryApi

LABEL = {"sluice.dev/tests": "true"}


@dataclass(frozen=True, kw_only=True)
class Rig:
    client: KubeClient
    namespace: str

    def config(self, name: str, data: dict[str, str], **metadata: Any) -> dict[str, Any]:
        obj = CONFIG_MAP.new(name, self.namespace, data=data)
        obj["metadata"] |= {"labels": dict(LABEL)} | metadata
        return obj

    def deployment(self, name: str, **spec: Any) -> dict[str, Any]:
        labels = {"app": name}
        container = {"name": "main", "image": "nowhere/nothing:1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template} | spec
        return DEPLOYMENT.new(name, self.namespace, spec=spec)


@pytest.fixture(params=["memory", pytest.param("cluster", marks=pytest.mark.cluster)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    client = MemoryApi().client() if request.param == "memory" else await reach()
    await client.create(NAMESPACE.new(name))
    yield Rig(client=client, namespace=name)
    await client.delete(NAMESPACE, name, None)
    await client.close()


async def test_what_was_applied_can_be_read(rig: Rig) -> None:
    made = await rig.client.apply(rig.config("a", {"x": "1"}), manager="tests")
    found = await rig.client.get(CONFIG_MAP, "a", rig.namespace)
    assert found is not None
    assert (found["data"], found["metadata"]["uid"]) == ({"x": "1"}, made["metadata"]["uid"])
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


async def test_what_is_not_there_is_none(rig: Rig) -> None:
    assert await rig.client.get(CONFIG_MAP, "nobody", rig.namespace) is None
    assert await rig.client.delete(CONFIG_MAP, "nobody", rig.namespace) is False
    with pytest.raises(NotThere, match="nobody"):
        await rig.client.patch(CONFIG_MAP, "nobody", rig.namespace, {"data": {"x": "1"}})
    with pytest.raises(NotThere, match="nobody"):
        await rig.client.logs("nobody", rig.namespace)


async def test_applying_the_same_again_changes_nothing(rig: Rig) -> None:
    first = await rig.client.apply(rig.config("a", {"x": "1"}), manager="tests")
    again = await rig.client.apply(rig.config("a", {"x": "1"}), manager="tests")
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


async def test_fields_applied_no_more_go_and_those_of_others_stay(rig: Rig) -> None:
    await rig.client.apply(rig.config("a", {"x": "1", "y": "1"}), manager="tests")
    await rig.client.patch(CONFIG_MAP, "a", rig.namespace, {"data": {"theirs": "1"}})
    after = await rig.client.apply(rig.config("a", {"x": "2"}), manager="tests")
    assert after["data"] == {"x": "2", "theirs": "1"}


async def test_a_field_of_another_is_taken_only_by_force(rig: Rig) -> None:
    await rig.client.apply(rig.config("a", {"x": "1"}), manager="tests")
    with pytest.raises(Conflict, match="tests"):
        await rig.client.apply(rig.config("a", {"x": "2"}), manager="others", force=False)
    after = await rig.client.apply(rig.config("a", {"x": "2"}), manager="others")
    assert after["data"] == {"x": "2"}


async def test_a_dry_run_changes_nothing(rig: Rig) -> None:
    asked = await rig.client.apply(rig.config("a", {"x": "1"}), manager="tests", dry_run=True)
    assert asked["data"] == {"x": "1"}
    assert await rig.client.get(CONFIG_MAP, "a", rig.namespace) is None


async def test_a_name_is_made_once(rig: Rig) -> None:
    await rig.client.create(rig.config("a", {}))
    with pytest.raises(Conflict, match="already exists"):
        await rig.client.create(rig.config("a", {}))


async def test_a_merge_patch_sets_and_takes_away(rig: Rig) -> None:
    await rig.client.create(rig.config("a", {"x": "1", "y": "1"}))
    after = await rig.client.patch(CONFIG_MAP, "a", rig.namespace, {"data": {"x": None, "z": "1"}})
    assert after["data"] == {"y": "1", "z": "1"}


async def test_replacing_what_has_changed_since_is_a_conflict(rig: Rig) -> None:
    read = await rig.client.create(rig.config("a", {"x": "1"}))
    await rig.client.patch(CONFIG_MAP, "a", rig.namespace, {"data": {"x": "2"}})
    with pytest.raises(Conflict, match="modified"):
        await rig.client.replace({**read, "data": {"x": "3"}})
    now = await rig.client.get(CONFIG_MAP, "a", rig.namespace)
    assert now is not None
    after = await rig.client.replace({**now, "data": {"x": "3"}})
    assert after["data"] == {"x": "3"}


async def test_status_is_written_beside_the_rest(rig: Rig) -> None:
    made = await rig.client.apply(rig.deployment("d", replicas=0), manager="tests")
    status = {"status": {"observedGeneration": 7}, "spec": {"paused": True}}
    after = await rig.client.patch(DEPLOYMENT, "d", rig.namespace, status, subresource="status")
    assert not after["spec"].get("paused")
    assert after["metadata"]["generation"] == made["metadata"]["generation"]


async def test_generation_counts_changes_of_the_spec(rig: Rig) -> None:
    first = await rig.client.apply(rig.deployment("d"), manager="tests")
    after = await rig.client.apply(rig.deployment("d", paused=True), manager="tests")
    assert after["metadata"]["generation"] > first["metadata"]["generation"]


async def test_listing_chooses_by_label(rig: Rig) -> None:
    await rig.client.create(rig.config("a", {}, labels={"team": "one"}))
    await rig.client.create(rig.config("b", {}, labels={"team": "two"}))
    await rig.client.create(rig.config("c", {}, labels={"team": "two", "old": "yes"}))

    async def names(labels: str) -> list[str]:
        found = await rig.client.list(CONFIG_MAP, rig.namespace, labels=labels)
        assert all(item["kind"] == "ConfigMap" for item in found)
        return [item["metadata"]["name"] for item in found]

    assert await names("team=two") == ["b", "c"]
    assert await names("team=two,!old") == ["b"]
    assert await names("team in (one, three)") == ["a"]
    assert await names("team,team!=one,old") == ["c"]


async def test_all_namespaces_are_listed_together(rig: Rig) -> None:
    await rig.client.create(rig.config("a", {}, labels={"mark": rig.namespace}))
    found = await rig.client.list(CONFIG_MAP, labels=f"mark={rig.namespace}")
    assert [item["metadata"]["namespace"] for item in found] == [rig.namespace]


async def test_what_is_wrong_comes_as_faults(rig: Rig) -> None:
    with pytest.raises(SpecError) as caught:
        await rig.client.apply(rig.config("Not_A_Name", {}), manager="tests")
    assert "metadata.name" in [fault.path for fault in caught.value.faults]


async def test_a_kind_that_is_not_installed_is_refused(rig: Rig) -> None:
    strange = type(CONFIG_MAP)(group="nobody.example", version="v1", plural="things", kind="Thing")
    with pytest.raises(RefusedError, match="not there"):
        await rig.client.list(strange, rig.namespace)


async def test_what_a_deleted_object_owned_goes_too(rig: Rig) -> None:
    owner = await rig.client.create(rig.config("owner", {}))
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    await rig.client.create(rig.config("owned", {}, ownerReferences=[reference]))
    assert await rig.client.delete(CONFIG_MAP, "owner", rig.namespace) is True
    async with rig.client.watch(CONFIG_MAP, rig.namespace) as seen, asyncio.timeout(60):
        await seen.wait_synced()
        while (rig.namespace, "owned") in seen.objects():
            await seen.wait_change(seen.version)


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(rig: Rig) -> None:
    await rig.client.create(rig.config("a", {}, finalizers=["sluice.dev/release"]))
    assert await rig.client.delete(CONFIG_MAP, "a", rig.namespace) is True
    held = await rig.client.get(CONFIG_MAP, "a", rig.namespace)
    assert held is not None
    assert held["metadata"]["deletionTimestamp"]
    await rig.client.patch(CONFIG_MAP, "a", rig.namespace, {"metadata": {"finalizers": None}})
    assert await rig.client.get(CONFIG_MAP, "a", rig.namespace) is None


async def test_a_watch_holds_what_there_is_and_follows(rig: Rig) -> None:
    client, labels = rig.client, "sluice.dev/tests=true"
    await client.create(rig.config("a", {"x": "1"}))
    async with client.watch(CONFIG_MAP, rig.namespace, labels=labels) as seen, asyncio.timeout(30):
        await seen.wait_synced()
        assert list(seen.objects()) == [(rig.namespace, "a")]
        assert "managedFields" not in seen.objects()[rig.namespace, "a"]["metadata"]
        assert seen.age_s < 30

        version = seen.version
        await client.create(rig.config("b", {}))
        version = await seen.wait_change(version)
        assert (rig.namespace, "b") in seen.objects()

        await client.patch(CONFIG_MAP, "a", rig.namespace, {"data": {"x": "2"}})
        version = await seen.wait_change(version)
        assert seen.objects()[rig.namespace, "a"]["data"] == {"x": "2"}

        await client.patch(
            CONFIG_MAP, "a", rig.namespace, {"metadata": {"labels": {"sluice.dev/tests": "no"}}}
        )
        version = await seen.wait_change(version)
        assert list(seen.objects()) == [(rig.namespace, "b")], "it is not chosen any more"

        await client.delete(CONFIG_MAP, "b", rig.namespace)
        await seen.wait_change(version)
        assert seen.objects() == {}


async def test_a_stopped_watch_holds_what_it_saw(rig: Rig) -> None:
    seen = rig.client.watch(POD, rig.namespace).start()
    await seen.wait_synced()
    async with asyncio.timeout(5):
        await seen.stop()
    assert seen.objects() == {}
