"""Routers, and the door that leads to them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.kube import World

from sluice.connections import AgentAddress
from sluice.errors import TransientError
from sluice.kube.kinds import ENDPOINT_SLICE, POD, SERVICE
from sluice.platforms.kubernetes.front import FrontDoor
from sluice.platforms.kubernetes.routers import RouterPods

SYSTEM = "sluice-system"
LABELS = {"app.kubernetes.io/name": "sluice", "app.kubernetes.io/component": "router"}
RUNNING = {"running": {}}


def router(
    name: str,
    ip: str | None,
    *,
    ready: bool = True,
    agent: dict[str, Any] | None = RUNNING,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    status: dict[str, Any] = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [{"name": "envoy", "ready": True, "state": RUNNING}],
    }
    if agent is not None:
        status["containerStatuses"].append({"name": "agent", "ready": True, "state": agent})
    if ip is not None:
        status["podIP"] = ip
    pod = POD.new(name, SYSTEM, spec={"nodeName": "node-1", "containers": []}, status=status)
    pod["metadata"]["labels"] = LABELS if labels is None else labels
    return pod


def put(world: World, pod: dict[str, Any]) -> None:
    world.api.store.put(POD, pod, {})


@pytest.fixture
async def routers(world: World) -> AsyncIterator[RouterPods]:
    # No controller of Deployments runs these pods.
    world.api.store.told.remove(world.nodes.tick)
    routers = RouterPods(world.client, namespace=SYSTEM)
    await routers.start(5)
    yield routers
    await routers.stop()


@pytest.fixture
async def door(world: World, routers: RouterPods) -> AsyncIterator[FrontDoor]:
    door = FrontDoor(
        world.client, routers=routers.ready, router_namespace=SYSTEM, describe=world.describe
    )
    await door.start(5)
    yield door
    await door.stop()


async def watched(world: World) -> None:
    for _ in range(60):
        await world.clock.sleep(0)


async def addresses(world: World, name: str = "taxi") -> list[str]:
    found = await world.client.get(ENDPOINT_SLICE, f"{name}-routers", "ml")
    assert found is not None
    return [endpoint["addresses"][0] for endpoint in found["endpoints"]]


async def test_agents_are_those_that_can_be_spoken_to(world: World, routers: RouterPods) -> None:
    put(world, router("r-1", "10.0.0.1"))
    put(world, router("r-2", "10.0.0.2", ready=False))
    put(world, router("r-3", None))
    put(world, router("r-4", "10.0.0.4", agent={"waiting": {"reason": "CrashLoopBackOff"}}))
    put(world, router("r-5", "10.0.0.5", agent=None))
    put(world, router("r-6", "10.0.0.6", labels={"app.kubernetes.io/name": "other"}))
    put(world, router("r-7", "10.0.0.7"))
    await world.client.delete(POD, "r-7", SYSTEM)
    await watched(world)
    assert routers.agents() == [
        AgentAddress(name="r-1", url="http://10.0.0.1:9901"),
        AgentAddress(name="r-2", url="http://10.0.0.2:9901"),
    ]
    lines = routers.unreachable()
    assert [line.partition(":")[0] for line in lines] == ["router r-3", "router r-4", "router r-5"]
    assert "crashes again and again" in lines[1]
    assert "no running container 'agent'" in lines[2]
    assert [item.name for item in routers.ready()] == ["r-1", "r-4", "r-5"]


async def test_routers_that_were_never_listed_are_not_no_routers(world: World) -> None:
    unlisted = RouterPods(world.client, namespace=SYSTEM)
    for ask in (unlisted.agents, unlisted.ready):
        with pytest.raises(TransientError, match="not listed yet"):
            ask()
    assert unlisted.unreachable() == ["router pods are not listed yet"]


async def test_door_leads_to_ready_routers(world: World, door: FrontDoor) -> None:
    put(world, router("r-1", "10.0.0.1"))
    put(world, router("r-2", "10.0.0.2", ready=False))
    await watched(world)
    await door.keep("ml/taxi")
    service = await world.client.get(SERVICE, "taxi", "ml")
    assert service is not None
    assert "selector" not in service["spec"]
    ports = [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]]
    assert ports == [(80, 8080)]
    found = await world.client.get(ENDPOINT_SLICE, "taxi-routers", "ml")
    assert found is not None
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "taxi"
    assert found["addressType"] == "IPv4"
    assert [port["port"] for port in found["ports"]] == [8080]
    assert await addresses(world) == ["10.0.0.1"]


async def test_door_follows_routers_and_asks_nobody_otherwise(
    world: World, door: FrontDoor
) -> None:
    put(world, router("r-1", "10.0.0.1"))
    await watched(world)
    await door.keep("ml/taxi")
    await watched(world)
    before = len(world.api.calls)
    await door.keep("ml/taxi")
    assert len(world.api.calls) == before
    put(world, router("r-2", "10.0.0.2"))
    await world.client.delete(POD, "r-1", SYSTEM)
    await watched(world)
    await door.keep("ml/taxi")
    assert await addresses(world) == ["10.0.0.2"]


async def test_door_keeps_the_last_routers_while_none_is_ready(
    world: World, door: FrontDoor
) -> None:
    put(world, router("r-1", "10.0.0.1"))
    await watched(world)
    await door.keep("ml/taxi")
    put(world, router("r-1", "10.0.0.1", ready=False))
    await watched(world)
    await door.keep("ml/taxi")
    assert await addresses(world) == ["10.0.0.1"]


async def test_edits_of_the_door_are_undone(world: World, door: FrontDoor) -> None:
    put(world, router("r-1", "10.0.0.1"))
    await watched(world)
    await door.keep("ml/taxi")
    await world.client.patch(ENDPOINT_SLICE, "taxi-routers", "ml", {"endpoints": []})
    await watched(world)
    await door.keep("ml/taxi")
    assert await addresses(world) == ["10.0.0.1"]
    await world.client.delete(SERVICE, "taxi", "ml")
    await watched(world)
    await door.keep("ml/taxi")
    assert await world.client.get(SERVICE, "taxi", "ml") is not None


async def test_service_of_somebody_else_is_left_alone(world: World, door: FrontDoor) -> None:
    theirs = SERVICE.new("taxi", "ml", spec={"selector": {"app": "taxi"}})
    await world.client.create(theirs)
    with pytest.raises(TransientError, match="Service ml/taxi is there and is not Sluice's"):
        await door.keep("ml/taxi")
    found = await world.client.get(SERVICE, "taxi", "ml")
    assert found is not None
    assert found["spec"] == theirs["spec"]


async def test_door_of_a_removed_release_is_gone(world: World, door: FrontDoor) -> None:
    await door.keep("ml/taxi")
    await door.remove("ml/taxi")
    assert await world.client.get(SERVICE, "taxi", "ml") is None
    assert await world.client.get(ENDPOINT_SLICE, "taxi-routers", "ml") is None
    await door.remove("ml/taxi")
