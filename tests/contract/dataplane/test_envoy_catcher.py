"""Connections that come while Envoy is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.contract.dataplane.rigs import envoy_rig
from tests.contract.dataplane.support import EnvoyProcess, Users, envoy_process, eventually

from sluice.agent.catcher import Catcher
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.nouns import BP_TOTAL, Arm, Fragment, RevisionId, Routing

V1 = RevisionId("v1")


@asynccontextmanager
async def catching(envoy: EnvoyProcess, *, patience_s: float = 5.0) -> AsyncIterator[None]:
    async with EnvoyAdmin(envoy.settings.layout.admin_socket) as admin:
        task = asyncio.create_task(
            Catcher(envoy.settings.listen, admin, patience_s=patience_s).run()
        )
        await asyncio.sleep(0.3)  # it is bound, or has failed
        assert not task.done(), task
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def listens(envoy: EnvoyProcess) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", envoy.settings.traffic_port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_requests_that_come_while_envoy_is_away_are_answered_when_it_is_back() -> None:
    with envoy_process() as envoy:
        async with envoy_rig(envoy) as rig, catching(envoy):
            arms = (Arm(revision=V1, weight_bp=BP_TOTAL),)
            routing = Routing(release="caught", generation=1, arms=arms, hosts=("caught.test",))
            endpoints = {V1: await rig.endpoints("v1")}
            await rig.plane.apply(Fragment(routing=routing, endpoints=endpoints))
            for _ in range(2):  # and again after it was back
                envoy.kill()
                await eventually(lambda: listens(envoy), bool)
                users = Users(envoy.settings.traffic_port)
                waiting = [asyncio.create_task(users.ask("caught.test")) for _ in range(20)]
                await asyncio.to_thread(envoy.start)
                replies = await asyncio.gather(*waiting)
                assert {reply.status for reply in replies} == {200}
                assert {reply.headers.get("connection") for reply in replies} == {"close"}
                # What comes now is Envoy's own.
                reply = await users.ask("caught.test")
                assert (reply.status, reply.headers.get("connection")) == (200, None)
                await users.close()


async def test_an_envoy_that_stays_away_is_not_waited_for_for_ever() -> None:
    with envoy_process() as envoy:
        async with catching(envoy, patience_s=0.5):
            envoy.kill()
            await eventually(lambda: listens(envoy), bool)
            reader, writer = await asyncio.open_connection("127.0.0.1", envoy.settings.traffic_port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            async with asyncio.timeout(5):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()
            assert not await listens(envoy)


async def test_with_envoy_there_nobody_else_takes_a_connection(envoy: EnvoyProcess) -> None:
    async with envoy_rig(envoy) as rig, catching(envoy):
        for _ in range(50):
            users = Users(envoy.settings.traffic_port)
            assert (await users.ask("nobody.test")).status == 404
            await users.close()
        assert rig.envoy is envoy


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HT", id="half-a-line"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="another-protocol"),
        pytest.param(b"x" * 200_000, id="a-line-without-end"),
    ],
)
async def test_a_caught_connection_that_makes_no_sense_ends_alone(sent: bytes) -> None:
    with envoy_process() as envoy:
        async with envoy_rig(envoy) as rig, catching(envoy):
            envoy.kill()
            await eventually(lambda: listens(envoy), bool)
            _, writer = await asyncio.open_connection("127.0.0.1", envoy.settings.traffic_port)
            writer.write(sent)
            await asyncio.to_thread(envoy.start)
            writer.close()
            assert (await rig.users.ask("nobody.test")).status == 404
