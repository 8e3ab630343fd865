"""The agent and its Envoy: refusals, restarts, draining, callers that err."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig, fragment
from tests.contract.dataplane.support import (
    TOKEN,
    EnvoyProcess,
    agent_of,
    envoy_process,
    eventually,
    free_port,
    serving,
)

from sluice.agent.rendering import Renderer
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.dataplanes.envoyfiles import EnvoyFiles, XdsConfig
from sluice.errors import RoutingRefused, TransientError
from sluice.metrics.codec import encode_snapshots
from sluice.metrics.routers import RouterCounters
from sluice.nouns import (
    BP_TOTAL,
    Ack,
    Arm,
    ArmCounts,
    Counts,
    Fragment,
    Purpose,
    RevisionId,
    Routing,
    Snapshot,
)

V1, V2 = RevisionId("v1"), RevisionId("v2")
SECRET = SecretStr(TOKEN)


def routing(release: str, *, generation: int = 1, lease_ms: int | None = None) -> Routing:
    return Routing(
        release=release,
        generation=generation,
        arms=(Arm(revision=V2, weight_bp=BP_TOTAL), Arm(revision=V1)),
        hosts=(f"{release}.test",),
        lease_ms=lease_ms,
    )


async def both(rig: EnvoyRig, value: Routing) -> Fragment:
    return fragment(value, {"v1": await rig.endpoints("v1"), "v2": await rig.endpoints("v2")})


async def revision(rig: EnvoyRig, release: str) -> str:
    reply = await rig.users.ask(f"{release}.test")
    return reply.headers.get("x-sluice-version", str(reply.status))


# --- refusals ------------------------------------------------------------------------------------


async def test_a_configuration_that_envoy_refuses_is_taken_back_with_its_reason(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        await rig.plane.apply(await both(rig, routing("good")))
        layout = envoy.settings.layout
        async with EnvoyAdmin(layout.admin_socket) as admin:
            files = EnvoyFiles(layout, admin)
            before = files.current
            routes = {**before.routes, "virtual_hosts": [*before.routes["virtual_hosts"], BAD_HOST]}
            with pytest.raises(RoutingRefused, match="unknown cluster 'nowhere'"):
                await files.push(replace(before, routes=routes))
            assert files.current == before
        assert await revision(rig, "good") == "v2"
        # And the next change is accepted as ever.
        await rig.plane.apply(await both(rig, routing("good", generation=2)))


BAD_HOST = {
    "name": "bad",
    "domains": ["bad.test"],
    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "nowhere"}}],
}


async def test_a_cluster_that_envoy_refuses_is_taken_back(envoy: EnvoyProcess) -> None:
    layout = envoy.settings.layout
    renderer = Renderer(eds_dir=str(layout.endpoints))
    value = routing("cds")
    rendered = renderer.release(Fragment(routing=value, endpoints={V1: (), V2: ()}))
    config = renderer.router([rendered], ())
    name = next(iter(config.clusters))
    broken = dict(config.clusters) | {name: {**config.clusters[name], "no_such_field": 1}}
    async with EnvoyAdmin(layout.admin_socket) as admin:
        files = EnvoyFiles(layout, admin)
        before = files.current
        with pytest.raises(RoutingRefused, match="no_such_field"):
            await files.push(XdsConfig(clusters=broken, routes=before.routes))
        assert files.current == before
        await files.push(config)
        await files.push(before)


async def test_an_unknown_host_is_answered_with_the_hosts_that_are_known(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        await rig.plane.apply(await both(rig, routing("known")))
        reply = await rig.users.ask("other.test")
        assert reply.status == 404
        assert reply.headers["content-type"] == "application/problem+json"
        assert "known.test" in reply.body


async def test_inbound_headers_of_ours_never_reach_the_model(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        await rig.plane.apply(await both(rig, routing("strip")))
        headers = {"x-sluice-shadow": "1", "x-sluice-version": "2", "x-other": "3"}
        await rig.users.ask("strip.test:1234", headers=headers)
        head = rig.upstreams["v2"][0].seen[-1]
        assert "x-sluice" not in head
        assert "x-other: 3" in head


# --- restarts ------------------------------------------------------------------------------------


async def test_traffic_goes_on_without_an_agent_and_a_new_one_takes_over(
    envoy: EnvoyProcess,
) -> None:
    async with envoy_rig(envoy) as rig:
        await rig.plane.apply(await both(rig, routing("kept", generation=4)))
        before = await rig.counts("kept", "v2", Purpose.LIVE, 0)
        assert before.counts.total == 0
        await rig.users.ask("kept.test")
        await rig.counts("kept", "v2", Purpose.LIVE, 1)
        async with another_agent(envoy) as (plane, metrics):

            async def acknowledged() -> list[Ack]:
                return [ack for ack in await plane.acks() if ack.generation == 4]

            await eventually(acknowledged, bool)
            assert await revision(rig, "kept") == "v2"

            async def total() -> int:
                arm = (await metrics.read())["kept"][0].arm(V2)
                return arm.counts.total if arm else 0

            await eventually(total, lambda count: count == 2)


@asynccontextmanager
async def another_agent(
    envoy: EnvoyProcess,
) -> AsyncIterator[tuple[AgentDataPlane, RouterCounters]]:
    settings = envoy.settings.model_copy(update={"port": free_port()})
    async with (
        agent_of(settings) as url,
        AgentDataPlane(lambda: [AgentAddress(name="router-0", url=url)], token=SECRET) as plane,
        RouterCounters(lambda: [AgentAddress(name="router-0", url=url)], token=SECRET) as counts,
    ):
        yield plane, counts


async def test_a_restarted_envoy_serves_the_same_and_begins_a_new_epoch() -> None:
    with envoy_process() as envoy:
        async with envoy_rig(envoy) as rig:
            await rig.plane.apply(await both(rig, routing("again", generation=2)))
            await rig.users.ask("again.test")
            arm = await rig.counts("again", "v2", Purpose.LIVE, 1)
            assert arm.counts.total == 1
            old = (await rig.metrics.read())["again"][0]
            envoy.kill()
            with pytest.raises(TransientError):
                await rig.metrics.read()
            with pytest.raises(TransientError):
                await rig.plane.apply(await both(rig, routing("again", generation=3)))
            await asyncio.to_thread(envoy.start)
            assert await revision(rig, "again") == "v2"
            new = (await rig.metrics.read())["again"][0]
            assert new.epoch != old.epoch
            found = new.arm(V2)
            assert found is not None
            assert found.counts.total <= 1
            await rig.plane.apply(await both(rig, routing("again", generation=3)))


async def test_a_router_is_ready_only_once_envoy_accepted_clusters_and_routes() -> None:
    with envoy_process() as envoy:
        async with (
            agent_of(envoy.settings) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as api,
        ):

            async def ready() -> int:
                return (await api.get("/readyz")).status_code

            await eventually(ready, lambda status: status == 200)
            envoy.kill()
            assert await ready() == 503


async def test_a_drained_router_loses_no_request() -> None:
    with envoy_process() as envoy:
        async with (
            envoy_rig(envoy) as rig,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{envoy.settings.port}", trust_env=False
            ) as api,
        ):
            await rig.plane.apply(await both(rig, routing("drain")))
            rig.behave("v2", "slow:1000")
            waiting = [asyncio.create_task(rig.users.ask("drain.test")) for _ in range(5)]

            async def arrived() -> int:
                return len(rig.upstreams["v2"][0].seen)

            await eventually(arrived, lambda count: count == 5)
            answer = await api.post(
                "/v1/drain?wait_s=0.05&cap_s=10", headers={"authorization": f"Bearer {TOKEN}"}
            )
            assert answer.json() == {"active": 0}
            replies = await asyncio.gather(*waiting)
            assert {reply.status for reply in replies} == {200}
            assert {reply.headers.get("connection") for reply in replies} == {"close"}
            assert (await api.get("/readyz")).status_code == 503


# --- several routers, and callers that err -------------------------------------------------------


async def test_a_refusal_of_one_router_names_it(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig, fake_agent(409, b'{"detail": "too old"}') as url:
        agents = [
            AgentAddress(name="router-0", url=f"http://127.0.0.1:{envoy.settings.port}"),
            AgentAddress(name="router-1", url=url),
        ]
        async with AgentDataPlane(lambda: agents, token=SECRET) as plane:
            with pytest.raises(RoutingRefused, match=r"router-1: 409: too old"):
                await plane.apply(await both(rig, routing("pair")))


async def test_a_wrong_token_is_said_so(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        agents = [AgentAddress(name="router-0", url=f"http://127.0.0.1:{envoy.settings.port}")]
        async with AgentDataPlane(lambda: agents, token=SecretStr("wrong")) as plane:
            with pytest.raises(TransientError, match=r"router-0: 401: .*token"):
                await plane.apply(await both(rig, routing("token")))


@asynccontextmanager
async def fake_agent(status: int, *bodies: bytes) -> AsyncIterator[str]:
    """An agent that answers these bodies in turn, the last one for ever."""
    left = list(bodies)

    async def answer(_: Request) -> Response:
        body = left.pop(0) if len(left) > 1 else left[0]
        return Response(body, status_code=status)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "POST"])])
    port = free_port()
    async with serving(app, port):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"acks": [1]}'], ids=["empty", "html", "object", "list"]
)
async def test_an_agent_that_answers_nonsense_is_an_error(body: bytes) -> None:
    async with fake_agent(200, body) as url:
        agents = [AgentAddress(name="router-0", url=url)]
        async with AgentDataPlane(lambda: agents, token=SECRET) as plane:
            with pytest.raises(TransientError, match="router-0 answers nonsense"):
                await plane.acks()
            with pytest.raises(TransientError, match="router-0 answers nonsense"):
                await plane.apply(Fragment(routing=routing("x"), endpoints={V1: (), V2: ()}))
        readers = [AgentAddress(name="router-0", url=url)]
        async with RouterCounters(lambda: readers, token=SECRET) as metrics:
            with pytest.raises(TransientError, match="router-0 answers nonsense"):
                await metrics.read()


def counters(total: int, errors: int, *, epoch: str = "a") -> bytes:
    arm = ArmCounts(
        revision=V2, purpose=Purpose.LIVE, counts=Counts(total=total, errors=errors, timed=total)
    )
    snapshot = Snapshot(router="router-0", epoch=epoch, taken_ms=1, arms=(arm,))
    return encode_snapshots("router-0", {"taxi": snapshot})


async def test_counters_that_fall_within_an_epoch_are_an_error() -> None:
    bodies = (counters(10, 2), counters(9, 2), counters(1, 0, epoch="b"), counters(2, 0, epoch="b"))
    async with fake_agent(200, *bodies) as url:
        readers = [AgentAddress(name="router-0", url=url)]
        async with RouterCounters(lambda: readers, token=SECRET) as metrics:
            await metrics.read()
            with pytest.raises(TransientError, match="fell from 10 requests"):
                await metrics.read()
            # A new epoch may begin anywhere.
            await metrics.read()
            await metrics.read()


async def test_a_router_that_is_away_does_not_hide_the_others() -> None:
    async with fake_agent(200, counters(10, 2)) as url:
        away = AgentAddress(name="router-1", url=f"http://127.0.0.1:{free_port()}")
        readers = [AgentAddress(name="router-0", url=url), away]
        async with RouterCounters(lambda: readers, token=SECRET) as metrics:
            assert len((await metrics.read())["taxi"]) == 1
        async with RouterCounters(lambda: [away], token=SECRET) as metrics:
            with pytest.raises(TransientError, match="router-1 cannot be reached"):
                await metrics.read()


async def test_leases_are_renewed_where_a_router_can_be_reached(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig:
        await rig.plane.apply(await both(rig, routing("leased", lease_ms=60_000)))
        here = AgentAddress(name="router-0", url=f"http://127.0.0.1:{envoy.settings.port}")
        away = AgentAddress(name="router-1", url=f"http://127.0.0.1:{free_port()}")
        async with AgentDataPlane(lambda: [here, away], token=SECRET) as plane:
            await plane.renew(["leased"])
            with pytest.raises(TransientError, match="router-1 cannot be reached"):
                await plane.apply(await both(rig, routing("leased", generation=2)))
        async with AgentDataPlane(lambda: [away], token=SECRET) as plane:
            with pytest.raises(TransientError):
                await plane.renew(["leased"])
