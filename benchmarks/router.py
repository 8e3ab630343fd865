"""What the router costs, and how fast a decision takes effect.

``python -m benchmarks.router [--quick]`` prints a table, then one JSON line per figure.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.routerlab import (
    TOKEN,
    RouterUnderTest,
    bare_config,
    body_length,
    closed_load,
    cpu_seconds,
    free_port,
    our_router,
    prediction,
    static_envoy,
    upstream_config,
)
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.codec import encode_fragment
from sluice.metrics.routers import RouterCounters
from sluice.nouns import BP_TOTAL, Arm, Endpoint, Fragment, RevisionId, Routing, Sticky

V1, V2 = RevisionId("v1"), RevisionId("v2")
CONNECTIONS = 16
RATIO_GOAL, EFFECT_GOAL_MS = 1.1, 50.0


def fragment(generation: int, weight_bp: int, ports: tuple[int, int], *, sticky: bool) -> Fragment:
    """Two revisions of one release."""
    routing = Routing(
        release="taxi",
        generation=generation,
        arms=(
            Arm(revision=V2, weight_bp=weight_bp),
            Arm(revision=V1, weight_bp=BP_TOTAL - weight_bp),
        ),
        hosts=("taxi.bench",),
        lease_ms=60_000,
    )
    if sticky:
        routing = replace(routing, sticky=Sticky(header="x-user-id", salt="taxi:1"))
    endpoints = {
        revision: (Endpoint(name=f"{revision}-0", host="127.0.0.1", port=port),)
        for revision, port in zip((V2, V1), ports, strict=True)
    }
    return Fragment(routing=routing, endpoints=endpoints)


async def _poll(counters: RouterCounters) -> None:
    while True:
        await counters.read()
        await asyncio.sleep(1.0)


async def cpu_rounds(
    ours: RouterUnderTest, bare: tuple[int, int], ports: tuple[int, int], *, rounds: int, size: int
) -> list[tuple[float, float]]:
    """(ours, bare) CPU of Envoy per request in each round, microseconds; order alternates."""
    bare_port, bare_pid = bare
    agents = [AgentAddress(name="router", url=ours.url)]
    readers = [AgentAddress(name="router", url=ours.url)]
    async with (
        AgentDataPlane(lambda: agents, token=TOKEN) as plane,
        RouterCounters(lambda: readers, token=TOKEN) as counters,
    ):
        await plane.apply(fragment(1, 1_000, ports, sticky=True))
        polling = asyncio.create_task(_poll(counters))

        async def measure(port: int, pid: int) -> float:
            await closed_load(port, requests=size // 10, connections=CONNECTIONS, users=5_000)
            begin = cpu_seconds(pid)
            await closed_load(port, requests=size, connections=CONNECTIONS, users=5_000)
            return (cpu_seconds(pid) - begin) / size * 1e6

        found = []
        for number in range(rounds):
            if number % 2:
                other = await measure(bare_port, bare_pid)
                mine = await measure(ours.port, ours.pid)
            else:
                mine = await measure(ours.port, ours.pid)
                other = await measure(bare_port, bare_pid)
            found.append((mine, other))
        polling.cancel()
    return found


async def effects(ours: RouterUnderTest, ports: tuple[int, int], *, aborts: int) -> list[float]:
    """Time from an abort's PUT to the last request that the candidate got, milliseconds each."""
    sent: list[tuple[float, bool]] = []
    stop = asyncio.Event()

    async def user(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        while not stop.is_set():
            begin = time.perf_counter()
            writer.write(prediction(f"user-{number}"))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(body_length(head))
            sent.append((begin, b"x-sluice-version: v2" in head))
            await asyncio.sleep(0.004)
        writer.close()

    headers = {"authorization": f"Bearer {TOKEN.get_secret_value()}"}
    delays = []
    with httpx.Client(base_url=ours.url, headers=headers, trust_env=False, timeout=30) as agent:

        def put(generation: int, weight_bp: int) -> float:
            content = encode_fragment(fragment(generation, weight_bp, ports, sticky=False))
            begin = time.perf_counter()
            agent.put("/v1/releases/taxi", content=content).raise_for_status()
            return begin

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(user(number))
            for abort in range(aborts):
                # In a thread, so that users go on while the decision is under way.
                await asyncio.to_thread(put, 10 + 2 * abort, 5_000)
                await asyncio.sleep(0.05)
                sent.clear()
                begin = await asyncio.to_thread(put, 11 + 2 * abort, 0)
                await asyncio.sleep(0.05)
                last = max((at for at, candidate in sent if candidate), default=begin)
                delays.append(max(0.0, last - begin) * 1e3)
            stop.set()
    return delays


def line(
    figure: str, unit: str, goal: float | None, against: str, values: tuple[float, ...]
) -> str:
    """One figure as JSON; ``values`` are value, low, high. Without a goal it is only stated."""
    value, low, high = (round(item, 4) for item in values)
    return json.dumps(
        {
            "figure": figure,
            "value": value,
            "low": low,
            "high": high,
            "unit": unit,
            "goal": goal,
            "against": against,
            "holds": goal is None or value <= goal,
        }
    )


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    quick = parser.parse_args().quick
    rounds, size, aborts = (12, 1_500, 20) if quick else (100, 1_500, 200)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-")))
        ports = (free_port(), free_port())
        stack.enter_context(static_envoy(folder, "upstream", upstream_config(ports)))
        bare_port = free_port()
        shares = (("candidate", ports[0], 1_000), ("stable", ports[1], 9_000))
        bare_pid = stack.enter_context(static_envoy(folder, "bare", bare_config(bare_port, shares)))
        ours = stack.enter_context(our_router(folder / "router"))
        pairs = asyncio.run(
            cpu_rounds(ours, (bare_port, bare_pid), ports, rounds=rounds, size=size)
        )
        delays = asyncio.run(effects(ours, ports, aborts=aborts))
    ratios = [mine / other for mine, other in pairs]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    p50, p99 = statistics.median(delays), _quantile(delays, 0.99)
    print(f"{'':32}{'router':>10}{'bare':>10}")
    print(f"{'Envoy CPU per request, us':32}{mine:10.1f}{other:10.1f}")
    print(f"{'decision to effect, ms':32}{'p50':>10}{'p99':>10}")
    print(f"{'':32}{p50:10.1f}{p99:10.1f}")
    ratio = (statistics.median(ratios), _quantile(ratios, 0.1), _quantile(ratios, 0.9))
    against = "bare weighted Envoy, same run"
    print(line("router_cpu_ratio", "ratio", RATIO_GOAL, against, ratio))
    effect = (p99, p50, max(delays))
    print(line("decision_to_effect_p99_ms", "ms", EFFECT_GOAL_MS, "limit", effect))
    return 0 if ratio[0] <= RATIO_GOAL and p99 <= EFFECT_GOAL_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
