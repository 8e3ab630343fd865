"""Capturing at a real router: users neither wait for it nor see it, whatever happens behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial

import pytest
from pydantic import SecretStr
from tests.contract.dataplane.rigs import EnvoyRig, envoy_rig, fragment
from tests.contract.dataplane.support import (
    TOKEN,
    EnvoyProcess,
    Reply,
    Upstream,
    Users,
    agent_of,
    envoy_process,
    eventually,
)
from tests.contract.dataplane.test_pairs_contract import V1, V2, begin, captured, shadowed

from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.nouns import Endpoint, Match, PairBatch, Purpose, Routing, Sticky

BOUND = 1_000


@pytest.fixture(scope="module")
def small_envoy() -> Iterator[EnvoyProcess]:
    """A router with narrow bounds: they are reached in a test."""
    with envoy_process(
        capture_body_bytes=BOUND, capture_per_s=20, mirror_requests=8, mirror_timeout_ms=300
    ) as process:
        yield process


@pytest.fixture
async def small(small_envoy: EnvoyProcess) -> AsyncIterator[EnvoyRig]:
    async with envoy_rig(small_envoy) as rig:
        yield rig


async def read_until(rig: EnvoyRig, routing: Routing, start: PairBatch, alone: int) -> PairBatch:
    """Read on until so many answers were found alone."""
    seen, batch = 0, start
    pairs: tuple[object, ...] = ()

    async def look() -> int:
        nonlocal seen, batch, pairs
        batch = await rig.pairs.read(routing.release, batch.cursors)
        seen, pairs = seen + batch.alone, (*pairs, *batch.pairs)
        return seen

    await eventually(look, lambda count: count >= alone)
    assert not pairs
    return replace(batch, alone=seen)


@pytest.mark.parametrize("mode", ["hang", "reset", "slow:900", "gone"])
async def test_users_never_meet_a_broken_shadow(small: EnvoyRig, mode: str) -> None:
    routing = shadowed(f"broken-{mode.partition(':')[0]}")
    start = await begin(small, routing)
    (shadow,) = small.upstreams["v2"]
    if mode == "gone":
        await shadow.stop()
    else:
        small.behave("v2", mode)
    answers = await asyncio.wait_for(small.send(routing, 60), 5)
    assert {(answer.status, answer.revision) for answer in answers} == {(200, "v1")}
    batch = await read_until(small, routing, start, 1)
    assert 1 <= batch.alone <= 60


async def test_a_body_over_the_bound_is_marked_and_reaches_its_user(small: EnvoyRig) -> None:
    routing = shadowed("long")
    start = await begin(small, routing)
    body = b'"' + b"x" * (BOUND - 1) + b'"'
    small.answers("v1", body)
    small.answers("v2", body[:-2] + b'"')
    reply = await small.users.ask("long.ml")
    assert reply.body.encode() == body
    (pair,) = await captured(small, routing, start, 1)
    assert (pair.primary.cut, pair.primary.body) == (True, b"")
    assert (pair.shadow.cut, len(pair.shadow.body)) == (False, BOUND)


async def test_a_captured_answer_streams_as_it_comes(small: EnvoyRig) -> None:
    """The user has the first half while the second is not even sent."""
    routing = shadowed("stream")
    start = await begin(small, routing)
    gate = asyncio.Event()
    for upstream in small.upstreams["v1"]:
        upstream.body, upstream.stream = b"first-second", gate
    reader, writer = await asyncio.open_connection("127.0.0.1", small.users.port)
    writer.write(b"POST /predict HTTP/1.1\r\nhost: stream.ml\r\ncontent-length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(6), 5) == b"first-"
    gate.set()
    assert await asyncio.wait_for(reader.readexactly(6), 5) == b"second"
    writer.close()
    (pair,) = await captured(small, routing, start, 1)
    assert pair.primary.body == b"first-second"


async def test_what_must_not_be_repeated_is_neither_mirrored_nor_captured(small: EnvoyRig) -> None:
    routing = replace(shadowed("once"), no_mirror=(Match(header="x-once", value="1"),))
    start = await begin(small, routing)
    ask = partial(small.users.ask, "once.ml")
    replies = await small.users.ask_all(
        [
            partial(ask, headers={"x-once": "1"}),
            partial(ask, method="GET"),
            partial(ask, method="PUT"),
            partial(ask, path="/feedback"),
        ]
    )
    assert {reply.status for reply in replies} == {200}
    await ask()
    assert len(await captured(small, routing, start, 1)) == 1
    (shadow,) = small.upstreams["v2"]
    assert len(shadow.seen) == 1
    assert "x-sluice-shadow: 1" in shadow.seen[0]


async def test_requests_beyond_the_rate_are_mirrored_and_not_captured(small: EnvoyRig) -> None:
    routing = shadowed("rate")
    start = await begin(small, routing)
    began = asyncio.get_running_loop().time()
    await small.send(routing, 300)
    seconds = int(asyncio.get_running_loop().time() - began) + 2
    await small.counts("rate", "v1", Purpose.LIVE, 300)
    batch = await small.pairs.read("rate", start.cursors)
    assert 1 <= len(batch.pairs) <= 20 * seconds < 300


async def test_captured_requests_keep_their_user_and_their_shield(small: EnvoyRig) -> None:
    """Sticky users meet the same revision on both routes; the cookie is issued on both."""
    sticky = Sticky(header="x-user", cookie="uid", salt="s:1")
    routing = replace(shadowed("sticky", mirror_bp=5_000, candidate_bp=3_000), sticky=sticky)
    await begin(small, routing)
    users = [f"user-{number}" for number in range(60)]
    first, second, third = [await small.send(routing, users=users) for _ in range(3)]
    for answers in (second, third):
        assert [a.revision for a in answers] == [a.revision for a in first]
    assert {a.revision for a in first} == {"v1", "v2"}
    replies = await small.users.ask_all([partial(small.users.ask, "sticky.ml")] * 20)
    assert all("uid=" in reply.headers["set-cookie"] for reply in replies)


async def test_users_do_not_need_the_agent(small_envoy: EnvoyProcess) -> None:
    """With the agent gone there is nobody to take captured answers."""
    async with contextlib.AsyncExitStack() as stack:
        upstreams = {V1: Upstream("v1-0"), V2: Upstream("v2-0")}
        for upstream in upstreams.values():
            await upstream.start()
            stack.push_async_callback(upstream.stop)
        endpoints = {
            str(revision): (Endpoint(name=item.name, host="127.0.0.1", port=item.port),)
            for revision, item in upstreams.items()
        }
        async with agent_of(small_envoy.settings) as url:
            address = AgentAddress(name="router-0", url=url)
            async with AgentDataPlane(lambda: [address], token=SecretStr(TOKEN)) as plane:
                await plane.apply(fragment(shadowed("orphan"), endpoints))
        users = Users(small_envoy.settings.traffic_port)
        stack.push_async_callback(users.close)
        replies: list[Reply] = await users.ask_all([partial(users.ask, "orphan.ml")] * 100)
        assert {reply.status for reply in replies} == {200}
        async with agent_of(small_envoy.settings) as url:
            address = AgentAddress(name="router-0", url=url)
            async with AgentDataPlane(lambda: [address], token=SecretStr(TOKEN)) as plane:
                await plane.remove("orphan")
