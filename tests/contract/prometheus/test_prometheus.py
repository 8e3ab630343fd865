"""Objectives by query, against a server in this process and, where there is one, a real Prometheus.

Debian's package ``prometheus`` has the real one; without it these tests are skipped, and say so.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
import pytest_asyncio
from tests.contract.dataplane.support import free_port
from tests.unit.hooks.servers import Got, Receiver, receiver

from sluice.errors import TransientError
from sluice.metrics.prometheus import PATIENCE_MS, PrometheusCounts, QueryTarget
from sluice.nouns import ArmCounts, Counts, Objective, Purpose, RevisionId, Snapshot
from sluice.platforms.clock import SystemClock
from sluice.testing.clock import VirtualClock

V1, V2 = RevisionId("v1"), RevisionId("v2")
FARES = Objective(
    name="fares",
    kind="query",
    target=0.99,
    query_bad='fares_total{release="$release",revision="$revision",sign="minus"}',
    query_total='fares_total{release="$release",revision="$revision"}',
)
ARM = ArmCounts(revision=V2, purpose=Purpose.LIVE, counts=Counts(total=5))
ROUTER = Snapshot(router="a", epoch="1", taken_ms=1, arms=(ARM,))


@dataclass
class Routers:
    """What routers count."""

    snapshots: dict[str, tuple[Snapshot, ...]] = field(default_factory=lambda: {"taxi": (ROUTER,)})
    fails: bool = False

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        if self.fails:
            raise TransientError("no router")
        return self.snapshots


@dataclass
class Server:
    """A Prometheus in this process: values by (metric labels), answered for any such selector."""

    receiver: Receiver
    plus: dict[tuple[str, str], float] = field(default_factory=dict)
    """By revision and pod: good events."""
    minus: dict[tuple[str, str], float] = field(default_factory=dict)
    broken: tuple[int, bytes] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Query and time."""

    def respond(self, got: Got) -> tuple[int, bytes]:
        form = parse_qs(got.body.decode())
        query = form["query"][0]
        self.asked.append((query, form["time"][0]))
        if self.broken is not None:
            return self.broken
        assert got.path == "/api/v1/query"
        result = [
            {"metric": {"pod": pod, "sign": sign}, "value": [0, str(value)]}
            for sign, values in (("plus", self.plus), ("minus", self.minus))
            for (revision, pod), value in values.items()
            if f'revision="{revision}"' in query and (sign == "minus" or "minus" not in query)
        ]
        data = {"resultType": "vector", "result": result}
        return 200, json.dumps({"status": "success", "data": data}).encode()


def target(url: str, number: int = 1, objective: Objective = FARES) -> QueryTarget:
    return QueryTarget(
        release="taxi", pass_number=number, url=url, objectives=(objective,), revisions=(V2, V1)
    )


@dataclass
class World:
    server: Server
    routers: Routers
    clock: VirtualClock
    targets: list[QueryTarget]
    source: PrometheusCounts

    async def counts(self) -> dict[RevisionId, tuple[int, int]]:
        """After one more round: (events, bad events) by revision."""
        await self.clock.advance(1.0)
        await self.source.ask(self.targets)
        snapshots = await self.source.read()
        found = {arm.revision: arm.extra for s in snapshots["taxi"] for arm in s.arms if arm.extra}
        return {revision: extra["fares"] for revision, extra in found.items()}


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with receiver() as http:
        server = Server(http)
        http.respond = server.respond
        clock, routers, targets = VirtualClock(), Routers(), [target(http.url)]
        source = PrometheusCounts(routers, lambda: targets, clock)
        yield World(server, routers, clock, targets, source)
        await source.close()


async def test_both_revisions_are_counted_from_where_the_pass_began(world: World) -> None:
    world.server.plus = {(V2, "a"): 100.0, (V1, "b"): 5_000.0}
    assert await world.counts() == {V2: (0, 0), V1: (0, 0)}
    world.server.plus = {(V2, "a"): 130.0, (V1, "b"): 5_900.0}
    world.server.minus = {(V2, "a"): 4.0}
    assert await world.counts() == {V2: (34, 4), V1: (900, 0)}


async def test_counts_stand_beside_those_of_the_routers(world: World) -> None:
    snapshots = (await world.source.read())["taxi"]
    assert snapshots[0] == ROUTER
    (extra,) = snapshots[1:]
    assert [arm.revision for arm in extra.arms] == [V2, V1]
    assert all(arm.counts == Counts() for arm in extra.arms)


async def test_placeholders_are_filled_in_and_all_queries_are_for_one_moment(world: World) -> None:
    await world.counts()
    queries = {query for query, _ in world.server.asked}
    assert 'fares_total{release="taxi",revision="v2",sign="minus"}' in queries
    assert 'fares_total{release="taxi",revision="v1"}' in queries
    first = [time for _, time in world.server.asked[:4]]
    assert len(set(first)) == 1


async def test_replica_that_starts_again_is_no_loss(world: World) -> None:
    world.server.plus = {(V2, "a"): 100.0}
    await world.counts()
    world.server.plus = {(V2, "a"): 10.0}
    assert (await world.counts())[V2] == (10, 0)


async def test_new_pass_begins_at_zero_in_an_epoch_of_its_own(world: World) -> None:
    world.server.plus = {(V2, "a"): 100.0}
    await world.counts()
    world.server.plus = {(V2, "a"): 150.0}
    assert (await world.counts())[V2] == (50, 0)
    before = (await world.source.read())["taxi"][-1].epoch
    world.targets[0] = target(world.server.receiver.url, number=2)
    assert (await world.counts())[V2] == (0, 0)
    assert (await world.source.read())["taxi"][-1].epoch != before


async def test_release_that_routers_do_not_report_is_not_invented(world: World) -> None:
    world.routers.snapshots = {}
    assert await world.source.read() == {}
    assert world.server.asked == []


async def test_routers_that_cannot_be_read_are_a_failed_reading(world: World) -> None:
    world.routers.fails = True
    with pytest.raises(TransientError, match="no router"):
        await world.source.read()


async def test_slow_server_holds_up_no_reading(world: World) -> None:
    world.server.broken = (-1, b"")
    async with asyncio.timeout(2):
        for _ in range(3):
            assert len((await world.source.read())["taxi"]) == 2
    await world.server.receiver.wait(1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param((0, b""), "cannot be reached", id="breaks-off"),
        pytest.param((502, b"<html>"), "answered 502 without JSON", id="proxy"),
        pytest.param((200, b"[]"), "nothing that it should", id="list"),
        pytest.param(
            (400, b'{"status": "error", "error": "parse error"}'), "parse error", id="query"
        ),
    ],
)
async def test_fault_is_said_once_it_lasts_and_gone_when_it_is_over(
    world: World, broken: tuple[int, bytes], said: str
) -> None:
    world.server.plus = {(V2, "a"): 100.0}
    await world.counts()
    world.server.broken = broken
    await world.counts()
    assert world.source.faults("taxi") == ()
    await world.clock.advance(PATIENCE_MS / 1000)
    assert (await world.counts())[V2] == (0, 0)
    (fault,) = world.source.faults("taxi")
    assert fault.startswith("objective fares: ")
    assert said in fault
    world.server.broken = None
    world.server.plus = {(V2, "a"): 160.0}
    assert (await world.counts())[V2] == (60, 0)
    assert world.source.faults("taxi") == ()


async def test_dry_run_that_cannot_be_counted_is_a_hint(world: World) -> None:
    world.targets[0] = target(world.server.receiver.url, objective=replace(FARES, dry_run=True))
    world.server.broken = (502, b"")
    await world.counts()
    await world.clock.advance(PATIENCE_MS / 1000)
    await world.counts()
    assert world.source.faults("taxi") == ()
    assert "502" in world.source.hints("taxi")[0]


async def test_query_that_finds_nothing_is_a_hint_and_no_fault(world: World) -> None:
    await world.counts()
    await world.clock.advance(PATIENCE_MS / 1000)
    await world.counts()
    assert world.source.faults("taxi") == ()
    assert "no series" in world.source.hints("taxi")[0]
    world.server.plus = {(V2, "a"): 1.0}
    await world.counts()
    assert world.source.hints("taxi") == ()


# --- the real one ---


@asynccontextmanager
async def prometheus(folder: Path, scrape: str) -> AsyncIterator[str]:
    """A real server that scrapes one address every 100 ms."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
        f"scrape_configs: [{{job_name: taxi, static_configs: [{{targets: ['{scrape}']}}]}}]\n"
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def scraped(url: str) -> None:
    """Return when the server has a first value."""
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                answer = await client.get(f"{url}/api/v1/query", params={"query": "fares_total"})
                if answer.json()["data"]["result"]:
                    return
            except (httpx.HTTPError, ValueError):
                pass  # not up yet
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="no prometheus on this machine: apt-get install prometheus",
)
async def test_real_prometheus_counts_what_was_scraped(tmp_path: Path) -> None:
    good, bad = 10, 0

    def metrics(_: Got) -> tuple[int, bytes]:
        lines = [
            "# TYPE fares_total counter",
            f'fares_total{{release="taxi",revision="v2",sign="plus"}} {good}',
            f'fares_total{{release="taxi",revision="v2",sign="minus"}} {bad}',
        ]
        return 200, ("\n".join(lines) + "\n").encode()

    async with receiver(headers="content-type: text/plain\r\n") as app:
        app.respond = metrics
        async with prometheus(tmp_path, app.url.removeprefix("http://")) as url:
            targets = [target(url)]
            source = PrometheusCounts(Routers(), lambda: targets, SystemClock())

            await scraped(url)

            async def until(events: tuple[int, int]) -> None:
                async with asyncio.timeout(30):
                    while True:
                        await source.ask(targets)
                        arms = (await source.read())["taxi"][-1].arms
                        if arms[0].extra.get("fares") == events:
                            return
                        await asyncio.sleep(0.05)

            await until((0, 0))
            good, bad = 110, 7
            await until((107, 7))
            assert source.faults("taxi") == ()
            await source.close()
