"""What the platform does beyond the contract of all platforms."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.kube import World, workload

from sluice.errors import SpecError, TransientError
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, PDB, POD, RELEASE, SERVICE, Kind
from sluice.nouns import RevisionId
from sluice.platforms.kubernetes.extras import TrackedConfig

WRITES = ("PATCH", "POST", "PUT", "DELETE")


def writes(world: World) -> int:
    return sum(call.startswith(WRITES) for call in world.api.calls)


async def deployment(world: World, name: str = "taxi-v1") -> Mapping[str, Any] | None:
    return await world.client.get(DEPLOYMENT, name, "ml")


async def ready(world: World, revision: str = "v1", count: int = 2) -> None:
    await world.platform.scale(workload(revision), count)
    await world.seconds(1.5)
    seen = await world.see(revision)
    assert seen is not None
    assert len(seen.ready) == count


async def test_nobody_is_asked_when_nothing_has_changed(world: World) -> None:
    await ready(world)
    before = len(world.api.calls)
    await world.platform.scale(workload("v1"), 2)
    await world.seconds(2)
    assert len(world.api.calls) == before


async def test_new_controller_reads_what_there_is_and_writes_nothing(world: World) -> None:
    await ready(world)
    await world.stop()
    await world.start()
    before = writes(world)
    seen = await world.see("v1")
    assert seen is not None
    assert (seen.desired, len(seen.ready)) == (2, 2)
    await world.platform.scale(workload("v1"), 2)
    await world.seconds(1)
    assert writes(world) == before


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        pytest.param(DEPLOYMENT, {"spec": {"replicas": 7}}, id="size"),
        pytest.param(
            DEPLOYMENT,
            {"spec": {"template": {"metadata": {"labels": {"team": "others"}}}}},
            id="template",
        ),
        pytest.param(DEPLOYMENT, {"metadata": {"labels": {"sluice.dev/release": "x"}}}, id="label"),
        pytest.param(SERVICE, {"spec": {"selector": {"sluice.dev/revision": "v2"}}}, id="service"),
        pytest.param(PDB, {"spec": {"maxUnavailable": 2}}, id="budget"),
    ],
)
async def test_edits_of_our_objects_are_undone(
    world: World, kind: Kind, edit: dict[str, Any]
) -> None:
    await ready(world)
    before = await world.client.get(kind, "taxi-v1", "ml")
    assert before is not None
    await world.client.patch(kind, "taxi-v1", "ml", edit)
    await world.seconds(1)
    after = await world.client.get(kind, "taxi-v1", "ml")
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


@pytest.mark.parametrize("kind", [DEPLOYMENT, SERVICE, PDB])
async def test_objects_that_somebody_deleted_come_back(world: World, kind: Kind) -> None:
    await ready(world)
    await world.client.delete(kind, "taxi-v1", "ml")
    await world.seconds(2)
    assert await world.client.get(kind, "taxi-v1", "ml") is not None


async def test_fields_that_are_not_ours_stay_as_others_set_them(world: World) -> None:
    await ready(world)
    edit = {"metadata": {"annotations": {"note": "theirs"}}, "spec": {"minReadySeconds": 5}}
    await world.client.patch(DEPLOYMENT, "taxi-v1", "ml", edit)
    before = writes(world)
    await world.seconds(1)
    found = await deployment(world)
    assert found is not None
    assert found["spec"]["minReadySeconds"] == 5
    assert writes(world) == before


async def test_repair_that_is_refused_is_said_and_tried_again(world: World) -> None:
    await ready(world)
    await world.client.patch(SERVICE, "taxi-v1", "ml", {"spec": {"selector": {"a": "b"}}})
    world.api.refuse("PATCH", SERVICE, 503, "not now", times=2)
    await world.settle()
    await world.platform.observe("ml/taxi")
    await world.settle()
    assert "not now" in " ".join(world.platform.problems("ml/taxi"))
    before = writes(world)
    await world.seconds(4)
    assert writes(world) == before, "others have a share of the server too"
    await world.seconds(8)
    assert world.platform.problems("ml/taxi") == []


async def test_edit_of_an_old_revisions_size_is_to_be_seen_and_undone(world: World) -> None:
    await ready(world)
    await world.platform.scale(workload("v1"), 0)
    await world.seconds(1)
    await world.client.patch(DEPLOYMENT, "taxi-v1", "ml", {"spec": {"replicas": 2}})
    seen = await world.see("v1")
    assert seen is not None
    assert seen.desired == 2, "the loop asks for 0 again when it sees this"


async def test_shrinking_takes_the_youngest_first_and_tells_kubernetes_so(world: World) -> None:
    await ready(world, count=1)
    await ready(world, count=3)
    seen = await world.see("v1")
    assert seen is not None
    oldest = min(seen.ready_since_ms, key=lambda name: seen.ready_since_ms[name])
    await world.platform.scale(workload("v1"), 1)
    after = await world.see("v1")
    assert after is not None
    assert [endpoint.name for endpoint in after.ready] == [oldest]
    await world.seconds(1)
    pods = await world.client.list(POD, "ml")
    assert [pod["metadata"]["name"] for pod in pods] == [oldest]


async def test_pod_that_kubernetes_left_alone_comes_back(world: World) -> None:
    await ready(world, count=2)
    world.nodes.tick = lambda: None  # type: ignore[method-assign]  # controllers are down
    world.api.store.told = [told for told in world.api.store.told if "tick" not in str(told)]
    await world.platform.scale(workload("v1"), 1)
    seen = await world.see("v1")
    assert seen is not None
    assert len(seen.ready) == 1
    await world.seconds(11)
    seen = await world.see("v1")
    assert seen is not None
    assert len(seen.ready) == 2


async def test_missing_right_leaves_the_release_going_and_says_what_is_missing(
    world: World,
) -> None:
    message = (
        'deployments.apps "taxi-v1" is forbidden: User "c" cannot patch resource "deployments"'
        ' in API group "apps" in the namespace "ml"'
    )
    world.api.refuse("PATCH", DEPLOYMENT, 403, message)
    with pytest.raises(TransientError, match=r"account c may not patch deployments\.apps in"):
        await world.platform.scale(workload("v1"), 1)
    await world.platform.scale(workload("v1"), 1)


async def test_template_that_the_server_refuses_is_a_fault(world: World) -> None:
    world.api.refuse("PATCH", DEPLOYMENT, 422, "spec.template.spec.containers[0].image: Required")
    with pytest.raises(SpecError, match="image: Required"):
        await world.platform.scale(workload("v1"), 1)


async def test_release_that_nobody_describes_waits(world: World) -> None:
    world.platform._describe = lambda _: None  # what a controller does before it has listed
    with pytest.raises(TransientError, match="nothing is known of release ml/taxi"):
        await world.platform.scale(workload("v1"), 1)


async def test_unlisted_cluster_is_no_basis_for_anything(world: World) -> None:
    await world.stop()
    world.api.unreachable = "connection refused"
    with pytest.raises(Exception, match="connection refused"):
        await world.start(timeout_s=0.05)
    with pytest.raises(TransientError, match="connection refused"):
        await world.platform.observe("ml/taxi")
    world.api.unreachable = ""


# --- history ---


async def test_oldest_revisions_beyond_the_limit_go_with_all_their_objects(world: World) -> None:
    names = [RevisionId(f"v{i}") for i in range(1, 5)]
    tracked = {
        name: TrackedConfig(config_maps={"limits": {"data": {"a": name}}}, digest=name)
        for name in names
    }
    world.change(config_maps=("limits",), tracked=tracked, revision_history_limit=2)
    for revision in names:
        await ready(world, revision, 1)
    for revision in ("v2", "v1", "v3"):
        await world.platform.scale(workload(revision), 0)
        await world.seconds(1)
    await world.platform.scale(workload("v4"), 1)
    await world.settle()
    left = {item["metadata"]["name"] for item in await world.client.list(DEPLOYMENT, "ml")}
    assert left == {"taxi-v1", "taxi-v3", "taxi-v4"}, "v2 came to size 0 first"
    assert await world.client.get(SERVICE, "taxi-v2", "ml") is None
    copies = {item["metadata"]["name"] for item in await world.client.list(CONFIG_MAP, "ml")}
    assert copies == {"limits-v1", "limits-v3", "limits-v4"}


async def test_revision_that_still_drains_is_not_forgotten(world: World) -> None:
    world.change(revision_history_limit=0)
    await ready(world, "v1", 1)
    await world.platform.scale(workload("v1"), 0)
    assert await deployment(world) is not None
    await world.seconds(1)
    await world.platform.scale(workload("v2"), 1)
    assert await deployment(world) is None


async def test_nothing_is_left_of_a_removed_release(world: World) -> None:
    await ready(world)
    await ready(world, "v2", 1)
    await world.platform.remove("ml/taxi")
    await world.seconds(1)
    for kind in (DEPLOYMENT, SERVICE, PDB, POD):
        assert await world.client.list(kind, "ml") == []


async def test_releases_of_the_same_name_in_other_namespaces_stay(world: World) -> None:
    await ready(world)
    await world.platform.scale(workload("v1", release="other/taxi"), 1)
    await world.platform.remove("ml/taxi")
    await world.seconds(2)
    seen = await world.platform.observe("other/taxi")
    assert [len(item.ready) for item in seen] == [1]


async def test_objects_go_with_their_release_when_nobody_looks_after_them(world: World) -> None:
    await ready(world)
    extras = world.describe("ml/taxi")
    assert extras is not None
    await world.stop()
    await world.client.delete(RELEASE, "taxi", "ml")
    assert await deployment(world) is None
    await world.start()
