"""A router that learns from the API server, and when it keeps out of the controller's way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.fakes import V1, V2, Now, RecordingSink, fragment

from sluice.agent.callers import Callers
from sluice.agent.cluster import PATIENCE_S, PAUSE_S, SILENCE_S, ClusterWatch
from sluice.agent.core import Agent
from sluice.dataplanes.codec import routing_record
from sluice.kube.client import KubeClient
from sluice.kube.kinds import ENDPOINT_SLICE, RELEASE
from sluice.nouns import RevisionId, Routing
from sluice.testing.kube import MemoryApi

pytestmark = pytest.mark.looptime

KEY = "ml/taxi"


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
def client(api: MemoryApi) -> KubeClient:
    return api.client()


@pytest.fixture
def callers(tmp_path: Path, now: Now) -> Callers:
    return Callers(tmp_path / "epoch", now)


@pytest.fixture
async def watch(
    agent: Agent, callers: Callers, client: KubeClient, now: Now
) -> AsyncIterator[ClusterWatch]:
    made = ClusterWatch(agent, callers, client, now_s=now)
    yield made
    await client.close()


@pytest.fixture
async def run(watch: ClusterWatch) -> AsyncIterator[Callable[[], None]]:
    tasks: list[asyncio.Task[None]] = []
    yield lambda: tasks.append(asyncio.create_task(watch.run()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def routing(generation: int, weight_bp: int = 2_000) -> Routing:
    return fragment(KEY, generation=generation, weight_bp=weight_bp).routing


async def publish(client: KubeClient, value: Routing | None, name: str = "taxi") -> None:
    if await client.get(RELEASE, name, "ml") is None:
        await client.create(RELEASE.new(name, "ml", spec={}))
    status = {} if value is None else {"routing": routing_record(value)}
    await client.patch(RELEASE, name, "ml", {"status": status}, subresource="status")


async def pods(client: KubeClient, revision: RevisionId, *hosts: str) -> None:
    name = f"taxi-{revision}"
    await client.apply(
        {
            "apiVersion": ENDPOINT_SLICE.api_version,
            "kind": ENDPOINT_SLICE.kind,
            "metadata": {
                "name": f"{name}-x7",
                "namespace": "ml",
                "labels": {
                    "kubernetes.io/service-name": name,
                    "sluice.dev/revision": str(revision),
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": [host], "targetRef": {"name": f"{name}-{host[-1]}"}} for host in hosts
            ],
        },
        manager="test",
    )


def hosts(agent: Agent, revision: RevisionId) -> list[str]:
    found = agent.fragment(KEY)
    assert found is not None
    return [endpoint.host for endpoint in found.endpoints[revision]]


async def settle() -> None:
    await asyncio.sleep(2 * PAUSE_S)


async def test_a_new_router_serves_what_the_releases_say(
    agent: Agent, client: KubeClient, watch: ClusterWatch, run: Callable[[], None]
) -> None:
    await publish(client, routing(7))
    await pods(client, V1, "10.0.0.1", "10.0.0.2")
    await pods(client, V2, "10.0.0.3")
    assert "not been read" in watch.waiting_for
    run()
    await settle()
    assert watch.waiting_for == ""
    (ack,) = agent.acks()
    assert (ack.release, ack.generation) == (KEY, 7)
    assert (hosts(agent, V1), hosts(agent, V2)) == (["10.0.0.1", "10.0.0.2"], ["10.0.0.3"])


async def test_a_cluster_without_releases_makes_an_empty_router_ready(
    watch: ClusterWatch, client: KubeClient, run: Callable[[], None]
) -> None:
    await publish(client, None)
    run()
    await settle()
    assert watch.waiting_for == ""


async def test_an_older_generation_than_what_is_served_is_left_alone(
    agent: Agent, client: KubeClient, run: Callable[[], None]
) -> None:
    await agent.put(replace(fragment(KEY), routing=routing(9)))
    await publish(client, routing(8))
    run()
    await settle()
    assert agent.acks()[0].generation == 9


async def test_pods_that_come_and_go_are_followed_while_nobody_speaks(
    agent: Agent, client: KubeClient, run: Callable[[], None]
) -> None:
    await publish(client, routing(7))
    await pods(client, V1, "10.0.0.1")
    await pods(client, V2, "10.0.0.3")
    run()
    await settle()
    await pods(client, V1, "10.0.0.2")
    await settle()
    assert hosts(agent, V1) == ["10.0.0.2"]
    await publish(client, routing(8, weight_bp=0))
    await settle()
    assert agent.acks()[0].generation == 8, "the record of a controller that cannot reach us"


async def test_while_a_controller_speaks_its_pushes_decide(
    agent: Agent, client: KubeClient, callers: Callers, now: Now, run: Callable[[], None]
) -> None:
    await publish(client, routing(7))
    await pods(client, V1, "10.0.0.1")
    callers.heard()
    run()
    await settle()
    assert hosts(agent, V1) == ["10.0.0.1"], "what is there at the start is taken all the same"
    await pods(client, V1, "10.0.0.2")
    await publish(client, routing(8))
    await settle()
    assert hosts(agent, V1) == ["10.0.0.1"]
    assert agent.acks()[0].generation == 7
    now.seconds += SILENCE_S
    await settle()
    assert hosts(agent, V1) == ["10.0.0.2"]
    assert agent.acks()[0].generation == 8


async def test_following_endpoints_renews_no_lease(
    agent: Agent, client: KubeClient, now: Now, sink: RecordingSink, run: Callable[[], None]
) -> None:
    await publish(client, replace(routing(7), lease_ms=30_000))
    await pods(client, V1, "10.0.0.1")
    await pods(client, V2, "10.0.0.3")
    run()
    await settle()
    now.seconds += 29.0
    await pods(client, V1, "10.0.0.2")
    await settle()
    now.seconds += 2.0
    await agent.expire_leases()
    assert agent.acks()[0].lease_expired
    await pods(client, V1, "10.0.0.4")
    await settle()
    assert agent.acks()[0].lease_expired
    assert sink.weights(KEY) == {f"{KEY}/v2/live": 0, f"{KEY}/v1/live": 10_000}


async def test_a_service_that_is_not_there_takes_no_endpoints_away(
    agent: Agent, client: KubeClient, run: Callable[[], None]
) -> None:
    await agent.put(fragment(KEY, generation=7))
    await publish(client, routing(7))
    await pods(client, V2)
    run()
    await settle()
    assert hosts(agent, V1) == ["127.0.0.1"], "no slice of it: nothing is known"
    assert hosts(agent, V2) == [], "an empty slice: nobody is there"


async def test_without_an_api_server_the_router_goes_on_with_what_it_has(
    agent: Agent,
    api: MemoryApi,
    watch: ClusterWatch,
    now: Now,
    run: Callable[[], None],
) -> None:
    api.unreachable = "it is down"
    await agent.put(fragment(KEY, generation=7))
    run()
    await settle()
    assert "it is down" in watch.waiting_for
    now.seconds += PATIENCE_S
    assert watch.waiting_for == ""
    assert agent.acks()[0].generation == 7


async def test_without_an_api_server_an_empty_router_never_gets_ready(
    api: MemoryApi, watch: ClusterWatch, now: Now, run: Callable[[], None]
) -> None:
    api.unreachable = "it is down"
    run()
    await settle()
    now.seconds += 100 * PATIENCE_S
    assert watch.waiting_for != ""


async def test_an_api_server_that_comes_back_is_followed_again(
    agent: Agent, api: MemoryApi, client: KubeClient, run: Callable[[], None]
) -> None:
    await publish(client, routing(7))
    await pods(client, V1, "10.0.0.1")
    run()
    await settle()
    api.unreachable = "it restarts"
    api.break_watches()
    await settle()
    assert hosts(agent, V1) == ["10.0.0.1"]
    api.unreachable = ""
    await pods(client, V1, "10.0.0.2")
    await asyncio.sleep(20)
    assert hosts(agent, V1) == ["10.0.0.2"]


async def test_envoy_that_is_away_is_asked_again(
    agent: Agent,
    client: KubeClient,
    sink: RecordingSink,
    watch: ClusterWatch,
    run: Callable[[], None],
) -> None:
    await publish(client, routing(7))
    sink.away = True
    run()
    await settle()
    assert watch.waiting_for != ""
    sink.away = False
    await settle()
    assert watch.waiting_for == ""
    assert agent.acks()[0].generation == 7


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"release": KEY, "generation": 0}, id="nonsense"),
        pytest.param(routing_record(fragment("ml/other").routing), id="another-release"),
    ],
)
async def test_a_record_that_cannot_be_used_leaves_the_others_alone(
    agent: Agent,
    client: KubeClient,
    watch: ClusterWatch,
    run: Callable[[], None],
    record: dict[str, object],
) -> None:
    await publish(client, fragment("ml/bikes", generation=3).routing, name="bikes")
    await publish(client, None)
    await client.patch(RELEASE, "taxi", "ml", {"status": {"routing": record}}, subresource="status")
    run()
    await settle()
    assert [ack.release for ack in agent.acks()] == ["ml/bikes"]
    assert watch.waiting_for == ""


async def test_a_host_that_another_release_has_is_refused_once(
    agent: Agent, client: KubeClient, sink: RecordingSink, run: Callable[[], None]
) -> None:
    await publish(client, routing(7))
    other = replace(fragment("ml/bikes").routing, hosts=routing(7).hosts)
    await publish(client, other, name="bikes")
    run()
    await settle()
    served = {ack.release: (ack.generation, ack.error) for ack in agent.acks()}
    refused = [release for release, (_, error) in served.items() if "belongs to" in error]
    assert len(served) == 2
    assert len(refused) == 1
    pushes = sink.pushes
    await pods(client, V1, "10.0.0.1")
    await settle()
    assert sink.pushes <= pushes + 1


async def test_only_the_namespaces_that_are_named_are_read(
    agent: Agent, callers: Callers, client: KubeClient, now: Now
) -> None:
    await publish(client, routing(7))
    watch = ClusterWatch(agent, callers, client, namespaces=["shop"], now_s=now)
    task = asyncio.create_task(watch.run())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert watch.waiting_for == ""
    assert agent.acks() == ()
