"""What mirroring costs users, and what capturing answers costs the machine.

``python -m benchmarks.shadow [--quick]`` prints two tables, then one JSON line per figure. Users
are compared with users of the same router without a mirror, in rounds of the same run.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks.router import line
from benchmarks.routerlab import (
    TOKEN,
    RouterUnderTest,
    body_length,
    closed_load,
    cpu_seconds,
    free_port,
    our_router,
    prediction,
    process,
    static_envoy,
    upstream_config,
)
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.nouns import BP_TOTAL, Arm, Capture, Endpoint, Fragment, Purpose, RevisionId, Routing

V1, V2 = RevisionId("v1"), RevisionId("v2")
NONE, HEALTHY, DEAD, SLOW, HANGING = "no mirror", "healthy", "dead", "slow", "hanging"
SHADOWS = (HEALTHY, DEAD, SLOW, HANGING)
RPS, CONNECTIONS, PATIENCE_S = 200, 32, 2.0
SLOW_S = 0.5
BUNDLE = Path(__file__).parent.parent / ".artifacts" / "models" / "taxi-duration" / "1"
TRIP = (
    b'{"pickup_datetime": "2019-03-25T08:30:00",'
    b' "PULocationID": 141, "DOLocationID": 233, "trip_distance": 1.6}'
)


@dataclass
class Users:
    """What users of one kind of shadow saw."""

    latencies_ms: list[float] = field(default_factory=list)
    """From the intended time of sending to the whole answer."""
    affected: int = 0
    """No 200 of stable, or none within their patience."""


def fragment(generation: int, ports: dict[str, int], shadow: str, *, capture: bool) -> Fragment:
    """Stable alone, or with every request mirrored to a shadow."""
    arms = [Arm(revision=V1, weight_bp=BP_TOTAL)]
    endpoints = {V1: (Endpoint(name="v1-0", host="127.0.0.1", port=ports["stable"]),)}
    if shadow != NONE:
        arms.append(Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=BP_TOTAL))
        # Names differ, so that no connection of another shadow is used again.
        name = f"v2-{shadow}"
        endpoints[V2] = (Endpoint(name=name, host="127.0.0.1", port=ports[shadow]),)
    routing = Routing(
        release="taxi",
        generation=generation,
        arms=tuple(arms),
        hosts=("taxi.bench",),
        capture=Capture() if capture and shadow != NONE else None,
    )
    return Fragment(routing=routing, endpoints=endpoints)


async def open_load(port: int, users: Users, *, seconds: float) -> None:
    """Requests at a constant rate, whether or not earlier ones were answered."""
    begin = time.perf_counter()
    queue: asyncio.Queue[float | None] = asyncio.Queue()

    async def clock() -> None:
        for number in range(int(RPS * seconds)):
            intended = begin + number / RPS
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            queue.put_nowait(intended)
        for _ in range(CONNECTIONS):
            queue.put_nowait(None)

    async def work(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (intended := await queue.get()) is not None:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    writer.write(prediction(f"user-{number}"))
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(body_length(head))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                users.affected += 1
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            users.latencies_ms.append((time.perf_counter() - intended) * 1e3)
            good = head.startswith(b"HTTP/1.1 200") and b"x-sluice-version: v1" in head
            users.affected += not good
        writer.close()

    await asyncio.gather(clock(), *(work(number) for number in range(CONNECTIONS)))


async def latency_rounds(
    ours: RouterUnderTest, ports: dict[str, int], *, rounds: int, seconds: float
) -> list[dict[str, Users]]:
    """What users saw with each kind of shadow, by round; every round has all, in turn."""
    agents = [AgentAddress(name="router", url=ours.url)]
    found = []
    generation = 0
    async with AgentDataPlane(lambda: agents, token=TOKEN) as plane:
        for number in range(rounds):
            kinds = [NONE, *SHADOWS]
            kinds = kinds[number % len(kinds) :] + kinds[: number % len(kinds)]
            seen: dict[str, Users] = {}
            for shadow in kinds:
                generation += 1
                await plane.apply(fragment(generation, ports, shadow, capture=True))
                await open_load(ours.port, Users(), seconds=0.3)
                seen[shadow] = Users()
                await open_load(ours.port, seen[shadow], seconds=seconds)
            found.append(seen)
    return found


async def cpu_rounds(
    ours: RouterUnderTest, ports: dict[str, int], *, rounds: int, size: int
) -> list[tuple[float, float, float, float]]:
    """CPU per request in each round, microseconds: Envoy without a mirror, with one, with one and
    capture, and the agent with capture.
    """
    agents = [AgentAddress(name="router", url=ours.url)]
    generation = 1_000_000
    found = []
    async with AgentDataPlane(lambda: agents, token=TOKEN) as plane:
        for _ in range(rounds):
            row = []
            for shadow, capture in ((NONE, False), (HEALTHY, False), (HEALTHY, True)):
                generation += 1
                await plane.apply(fragment(generation, ports, shadow, capture=capture))
                load = partial(closed_load, ours.port, connections=8, users=100)
                await load(requests=size // 10)
                before = cpu_seconds(ours.pid), cpu_seconds(ours.agent_pid)
                await load(requests=size)
                # What is still handed over belongs to these requests.
                await asyncio.sleep(0.3)
                row.append((cpu_seconds(ours.pid) - before[0]) / size * 1e6)
                agent = (cpu_seconds(ours.agent_pid) - before[1]) / size * 1e6
            found.append((row[0], row[1], row[2], agent))
    return found


async def log_rounds(servers: list[tuple[int, int]], *, rounds: int, size: int) -> list[float]:
    """CPU that the prediction log adds to a request of the model API, microseconds, by round.

    Args:
        servers: (port, pid) of the one without and of the one with a log.
        rounds: How many.
        size: Requests of each in a round.
    """

    def trip(user: str) -> bytes:
        head = (
            f"POST /predict HTTP/1.1\r\nhost: taxi\r\nx-user-id: {user}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(TRIP)}\r\n\r\n"
        )
        return head.encode() + TRIP

    found = []
    for _ in range(rounds):
        row = []
        for port, pid in servers:
            begin = cpu_seconds(pid)
            await closed_load(port, requests=size, connections=8, users=100, make=trip)
            await asyncio.sleep(0.3)
            row.append((cpu_seconds(pid) - begin) / size * 1e6)
        found.append(row[1] - row[0])
    return found


@contextmanager
def model_server(folder: Path, *, log: bool) -> Iterator[tuple[int, int]]:
    """The model API with the taxi model; its port and pid."""
    port = free_port()
    env = os.environ | {
        "MODEL_API_BUNDLE": str(BUNDLE),
        "MODEL_API_PORT": str(port),
        "MODEL_API_PREDICTIONS_URL": f"jsonl:{folder / 'predictions.jsonl'}" if log else "",
    }
    with process([sys.executable, "-m", "sluice_model_api", "serve"], env=env) as pid:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", trust_env=False)
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield port, pid


async def bad_server(kind: str, port: int) -> None:
    """A shadow that answers late or never."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(body_length(head))
                await asyncio.sleep(SLOW_S if kind == SLOW else 3_600)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    await server.serve_forever()


def quantile(values: list[float], share: float) -> float:
    """A quantile that occurred."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report_users(rounds: list[dict[str, Users]]) -> bool:
    """Print what users saw; whether none was affected."""
    print(f"{'users, every request mirrored':32}{'p50 ms':>10}{'p99 ms':>10}{'affected':>10}")
    lines, affected = [], 0
    total = sum(len(seen[kind].latencies_ms) for seen in rounds for kind in SHADOWS)
    for kind in (NONE, *SHADOWS):
        every = [value for seen in rounds for value in seen[kind].latencies_ms]
        bad = sum(seen[kind].affected for seen in rounds)
        print(f"{kind:32}{quantile(every, 0.5):10.2f}{quantile(every, 0.99):10.2f}{bad:10}")
        if kind == NONE:
            continue
        affected += bad
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            added = [
                quantile(seen[kind].latencies_ms, share) - quantile(seen[NONE].latencies_ms, share)
                for seen in rounds
            ]
            middle = (statistics.median(added), quantile(added, 0.1), quantile(added, 0.9))
            figure = f"mirror_{kind}_added_{name}_ms"
            lines.append(line(figure, "ms", None, "no mirror, same run", middle))
    figure = "mirror_users_affected"
    lines.append(line(figure, f"of {total} requests", 0, "limit", (affected,) * 3))
    print("\n".join(lines))
    return affected == 0


def report_cpu(rows: list[tuple[float, float, float, float]], logged: list[float]) -> None:
    """Print what capturing costs, and what a log in the model API would."""
    plain, mirrored, captured, agent = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    added = [with_ - without + desk for _, without, with_, desk in rows]
    both = [2 * value for value in logged]
    print(f"{'CPU per mirrored request, us':40}{'median':>10}")
    print(f"{'Envoy, no mirror':40}{plain:10.1f}")
    print(f"{'Envoy, mirrored':40}{mirrored:10.1f}")
    print(f"{'Envoy, mirrored and captured':40}{captured:10.1f}")
    print(f"{'agent, captured':40}{agent:10.1f}")
    values = (statistics.median(added), quantile(added, 0.1), quantile(added, 0.9))
    against = "mirrored without capture, same run"
    if both:
        print(f"{'model API, log of both versions':40}{statistics.median(both):10.1f}")
        against += f"; a log in both models costs {statistics.median(both):.0f}"
    print(line("capture_cpu_us", "us", None, against, values))


def main() -> int:
    """Measure and print; 1 when a user was affected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(bad_server(asked.serve[0], int(asked.serve[1])))
        return 0
    rounds, seconds, size = (3, 1.0, 1_000) if asked.quick else (12, 2.0, 2_000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-")))
        ports = {kind: free_port() for kind in ("stable", *SHADOWS)}
        config = upstream_config((ports["stable"], ports[HEALTHY]))
        stack.enter_context(static_envoy(folder, "upstream", config))
        for kind in (SLOW, HANGING):
            argv = [sys.executable, "-m", "benchmarks.shadow", "--serve", kind, str(ports[kind])]
            stack.enter_context(process(argv))
        ours = stack.enter_context(our_router(folder / "router"))
        seen = asyncio.run(latency_rounds(ours, ports, rounds=rounds, seconds=seconds))
        eager = stack.enter_context(our_router(folder / "eager", capture_per_s=100_000))
        rows = asyncio.run(cpu_rounds(eager, ports, rounds=rounds, size=size))
        logged: list[float] = []
        if BUNDLE.exists():
            servers = [stack.enter_context(model_server(folder, log=log)) for log in (False, True)]
            logged = asyncio.run(log_rounds(servers, rounds=rounds, size=size))
        else:
            print("no model (make models): the prediction log is not measured")
    report_cpu(rows, logged)
    return 0 if report_users(seen) else 1


if __name__ == "__main__":
    raise SystemExit(main())
