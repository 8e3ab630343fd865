"""A router as a pod: it starts from status.routing, is probed, drained, and lags behind others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.contract.dataplane.rigs import envoy_rig
from tests.contract.dataplane.support import (
    TOKEN,
    EnvoyProcess,
    Upstream,
    Users,
    agent_of,
    envoy_process,
    eventually,
    free_port,
    serving,
)

from sluice.agent.drain import drain
from sluice.agent.launch import agent_env
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.codec import encode_ack, routing_record
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.errors import RoutingRefused, TransientError
from sluice.kube.kinds import ENDPOINT_SLICE, RELEASE
from sluice.nouns import BP_TOTAL, Ack, Arm, Fragment, RevisionId, Routing
from sluice.testing.kube import MemoryApi
from sluice_router.main import main

V1 = RevisionId("v1")
SECRET = SecretStr(TOKEN)


def routing(release: str, *, generation: int = 1) -> Routing:
    host = f"{release.replace('/', '.')}.test"
    return Routing(
        release=release,
        generation=generation,
        arms=(Arm(revision=V1, weight_bp=BP_TOTAL),),
        hosts=(host,),
    )


# --- several routers -----------------------------------------------------------------------------


@asynccontextmanager
async def router_that(does: str) -> AsyncIterator[str]:
    """An agent that is away, hangs, or acknowledges what it served before."""
    port = free_port()
    gone = asyncio.Event()

    async def answer(_: Request) -> Response:
        if does == "hangs":
            await gone.wait()
        return Response(encode_ack(Ack(router="router-1", release="pair", generation=1)))

    if does == "is-away":
        yield f"http://127.0.0.1:{port}"
        return
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["PUT"])])
    async with serving(app, port):
        yield f"http://127.0.0.1:{port}"
        gone.set()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("is-away", r"router-1 cannot be reached"),
        ("hangs", r"router-1 cannot be reached: ReadTimeout"),
        ("lags", r"router-1 acknowledged generation 1 of pair, not 2"),
    ],
)
async def test_the_router_that_lags_is_named_and_the_other_serves_already(
    envoy: EnvoyProcess, does: str, said: str
) -> None:
    async with envoy_rig(envoy) as rig, router_that(does) as url:
        agents = [
            AgentAddress(name="router-0", url=f"http://127.0.0.1:{envoy.settings.port}"),
            AgentAddress(name="router-1", url=url),
        ]
        async with AgentDataPlane(lambda: agents, token=SECRET, timeout_s=2.0) as plane:
            endpoints = {V1: await rig.endpoints("v1")}
            value = routing("pair", generation=2)
            with pytest.raises(TransientError, match=said) as error:
                await plane.apply(Fragment(routing=value, endpoints=endpoints))
            assert "router-0" not in str(error.value)
        assert (await rig.users.ask("pair.test")).headers["x-sluice-generation"] == "2"


async def test_a_controller_whose_time_is_over_is_refused_by_every_router(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        here = AgentAddress(name="router-0", url=f"http://127.0.0.1:{envoy.settings.port}")
        endpoints = {V1: await rig.endpoints("v1")}

        def plane(epoch: int) -> AgentDataPlane:
            return AgentDataPlane(lambda: [here], token=SECRET, epoch=lambda: epoch)

        async with plane(2) as leader, plane(1) as old:
            await leader.apply(Fragment(routing=routing("led"), endpoints=endpoints))
            late = Fragment(routing=routing("led", generation=2), endpoints=endpoints)
            with pytest.raises(RoutingRefused, match="epoch 1 is over"):
                await old.apply(late)
            with pytest.raises(RoutingRefused, match="epoch 1 is over"):
                await old.remove("led")
            assert [ack.generation for ack in await old.acks()] == [1]


# --- a pod ---------------------------------------------------------------------------------------


async def publish(api: MemoryApi, value: Routing, *upstreams: Upstream) -> None:
    client = api.client()
    namespace, name = value.release.split("/")
    await client.apply(RELEASE.new(name, namespace, spec={}), manager="test")
    status = {"status": {"routing": routing_record(value)}}
    await client.patch(RELEASE, name, namespace, status, subresource="status")
    labels = {"kubernetes.io/service-name": f"{name}-v1", "sluice.dev/revision": "v1"}
    ports = [{"name": "http", "port": upstreams[0].port}]
    found = [{"addresses": ["127.0.0.1"], "targetRef": {"name": upstreams[0].name}}]
    piece = ENDPOINT_SLICE.new(f"{name}-v1-x", namespace, endpoints=found, ports=ports)
    piece["metadata"]["labels"] = labels
    await client.apply(piece | {"addressType": "IPv4"}, manager="test")


async def test_a_new_router_serves_status_routing_and_follows_pods_without_a_controller() -> None:
    with envoy_process(cluster=True) as envoy:
        async with AsyncExitStack() as stack:
            upstreams = [Upstream("v1-0"), Upstream("v1-1")]
            for upstream in upstreams:
                await upstream.start()
                stack.push_async_callback(upstream.stop)
            api = MemoryApi()
            await publish(api, routing("ml/taxi", generation=7), upstreams[0])
            url = await stack.enter_async_context(agent_of(envoy.settings, api.client()))
            agent = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
            users = Users(envoy.settings.traffic_port)
            stack.push_async_callback(users.close)

            async def ready() -> int:
                return (await agent.get("/readyz")).status_code

            await eventually(ready, lambda status: status == 200)
            reply = await users.ask("ml.taxi.test")
            assert (reply.status, reply.headers["x-sluice-generation"]) == (200, "7")
            assert len(upstreams[0].seen) == 1

            await publish(api, routing("ml/taxi", generation=7), upstreams[1])

            async def moved() -> int:
                await users.ask("ml.taxi.test")
                return len(upstreams[1].seen)

            await eventually(moved, bool)


async def test_a_router_of_a_cluster_is_not_ready_before_it_has_read_the_releases() -> None:
    with envoy_process(cluster=True) as envoy:
        api = MemoryApi()
        api.unreachable = "it is down"
        async with (
            agent_of(envoy.settings, api.client()) as url,
            httpx.AsyncClient(base_url=url) as agent,
        ):

            async def reason() -> str:
                return str((await agent.get("/readyz")).json()["detail"])

            await eventually(reason, lambda text: "it is down" in text)


Command = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of the router's image: its exit code, and what it said."""

    async def run(envoy: EnvoyProcess, *words: str) -> tuple[int, str]:
        for name, value in agent_env(envoy.settings, {}).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = await asyncio.to_thread(main, list(words))
        return code, capsys.readouterr().err

    return run


async def test_a_pod_is_probed_and_drained_by_commands_and_loses_no_request(
    command: Command,
) -> None:
    with envoy_process() as envoy:
        code, said = await command(envoy, "ready")
        assert (code, "does not answer" in said) == (1, True), "no agent yet"
        async with envoy_rig(envoy) as rig:
            endpoints = {V1: await rig.endpoints("v1")}
            await rig.plane.apply(Fragment(routing=routing("pod"), endpoints=endpoints))
            assert await command(envoy, "ready") == (0, "")
            assert await command(envoy, "alive") == (0, "")
            rig.behave("v1", "slow:3000")
            waiting = asyncio.create_task(rig.users.ask("pod.test"))

            async def arrived() -> int:
                return len(rig.upstreams["v1"][0].seen)

            await eventually(arrived, bool)
            assert await command(envoy, "drain", "--wait-s", "0.1", "--cap-s", "20") == (0, "")
            assert waiting.done()
            assert (await waiting).status == 200
            code, said = await command(envoy, "ready")
            assert (code, "draining" in said) == (1, True)
            assert await command(envoy, "alive") == (0, ""), "a draining Envoy must not be killed"
        envoy.kill()
        code, said = await command(envoy, "alive")
        assert (code, "Envoy does not answer" in said) == (1, True)
        code, said = await command(envoy, "drain")
        assert (code, "Envoy does not answer" in said) == (69, True)


async def test_a_client_that_never_ends_does_not_hold_a_drain_beyond_its_cap(
    command: Command,
) -> None:
    with envoy_process() as envoy:
        async with envoy_rig(envoy) as rig:
            endpoints = {V1: await rig.endpoints("v1")}
            await rig.plane.apply(Fragment(routing=routing("cap"), endpoints=endpoints))
            rig.behave("v1", "slow:3000")
            waiting = asyncio.create_task(rig.users.ask("cap.test"))

            async def arrived() -> int:
                return len(rig.upstreams["v1"][0].seen)

            await eventually(arrived, bool)
            code, said = await command(envoy, "drain", "--wait-s", "0.1", "--cap-s", "0.5")
            assert (code, "1 requests still under way after 0.5 s" in said) == (0, True)
            assert (await waiting).status == 200


async def test_a_drain_waits_until_nobody_comes_any_more() -> None:
    with envoy_process() as envoy:
        async with (
            envoy_rig(envoy) as rig,
            EnvoyAdmin(envoy.settings.layout.admin_socket) as admin,
        ):
            endpoints = {V1: await rig.endpoints("v1")}
            await rig.plane.apply(Fragment(routing=routing("quiet"), endpoints=endpoints))
            task = asyncio.create_task(drain(admin, wait_s=0.0, cap_s=60.0, quiet_s=1.0))
            for _ in range(10):
                await asyncio.sleep(0.2)
                assert (await rig.users.ask("quiet.test")).status == 200
                assert not task.done()
            assert await task == 0
