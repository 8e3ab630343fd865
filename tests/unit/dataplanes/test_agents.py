"""Pushing to many routers: who is awaited, and who is only told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr

from sluice.connections import AgentAddress
from sluice.dataplanes import agents as module
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.codec import decode_fragment, encode_ack
from sluice.errors import TransientError
from sluice.nouns import BP_TOTAL, Ack, Arm, Fragment, RevisionId, Routing

V1 = RevisionId("v1")
FRAGMENT = Fragment(
    routing=Routing(
        release="ml/taxi",
        generation=7,
        arms=(Arm(revision=V1, weight_bp=BP_TOTAL),),
        hosts=("taxi",),
    ),
    endpoints={V1: ()},
)


class Routers:
    """Agents that answer in memory, but for those that hang until they are let go."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.hanging: set[str] = set()
        self.gone: set[str] = set()
        self.freed = asyncio.Event()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        self.told.append(name)
        if name in self.gone:
            raise httpx.ConnectTimeout("timed out")
        if name in self.hanging:
            await self.freed.wait()
        fragment = decode_fragment(request.content)
        routing = fragment.routing
        ack = Ack(router=name, release=routing.release, generation=routing.generation)
        return httpx.Response(200, content=encode_ack(ack))


Plane = Callable[..., AgentDataPlane]


@asynccontextmanager
async def plane(
    routers: Routers, monkeypatch: pytest.MonkeyPatch, *addresses: AgentAddress
) -> AsyncIterator[AgentDataPlane]:
    transport = httpx.MockTransport(routers.answer)
    monkeypatch.setattr(module.httpx, "AsyncHTTPTransport", lambda **_: transport)
    made = httpx.AsyncClient

    def client(**options: object) -> httpx.AsyncClient:
        return made(**{**options, "transport": transport})  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(module.httpx, "AsyncClient", client)
    async with AgentDataPlane(lambda: addresses, token=SecretStr("t")) as found:
        yield found


def address(name: str, *, awaited: bool = True) -> AgentAddress:
    return AgentAddress(name=name, url=f"http://{name}", awaited=awaited)


async def test_a_router_that_is_not_awaited_is_told_without_holding_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    routers = Routers()
    routers.hanging = {"sick"}
    async with plane(
        routers, monkeypatch, address("well"), address("sick", awaited=False)
    ) as found:
        await asyncio.wait_for(found.apply(FRAGMENT), 5)
        assert sorted(routers.told) == ["sick", "well"]
        routers.freed.set()


async def test_an_awaited_router_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    routers = Routers()
    routers.hanging = {"sick"}
    async with plane(routers, monkeypatch, address("well"), address("sick")) as found:
        push = asyncio.create_task(found.apply(FRAGMENT))
        await asyncio.sleep(0.05)
        assert not push.done()
        routers.freed.set()
        await push


async def test_without_an_awaited_router_nothing_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plane(Routers(), monkeypatch, address("sick", awaited=False)) as found:
        with pytest.raises(TransientError, match="no router to push to"):
            await found.apply(FRAGMENT)


async def test_who_lags_behind_which_generation_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    routers = Routers()
    routers.gone = {"sick"}
    async with plane(routers, monkeypatch, address("well"), address("sick")) as found:
        with pytest.raises(TransientError, match=r"router sick .*not acknowledged generation 7"):
            await found.apply(FRAGMENT)
    assert sorted(routers.told) == ["sick", "well"]


async def test_a_release_that_no_router_can_serve_is_gone_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plane(Routers(), monkeypatch) as found:
        await found.remove("ml/taxi")
