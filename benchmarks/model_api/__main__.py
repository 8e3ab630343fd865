"""What a request costs, beside a bare app, MLServer and KServe: ``python -m benchmarks.model_api``.

Every server runs the same ONNX model (four features, linear) on one thread with one worker, in an
environment of its own. Cost is CPU time of the process tree by requests, which a busy machine
disturbs less than rates. Servers take turns within each round, some tenths of a second each, and
are compared within it. Tails are measured at Poisson arrivals, at a share of what one core could
do by the CPU time per request. On a machine with other work they mean something only with
``--realtime``, which lets servers and load run before everything else (needs root).
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import uvloop
from sklearn.linear_model import LinearRegression

from benchmarks.model_api.client import closed_loop, open_loop
from benchmarks.model_api.servers import RECIPES, WORK, Recipe, Server, install
from sluice_model_api.bundle.build import Recipe as BundleRecipe
from sluice_model_api.bundle.build import build_bundle
from sluice_model_api.bundle.manifest import InputSpec

CONCURRENCY = (1, 16)
TURNS = 3
"""Turns that each server has within a round."""
LOG_FLUSH_S = 0.7
LOAD = 0.7
"""Share of its own capacity at which a server's tail is measured."""
TAIL_S = 2.0
"""Length of one open-model run, seconds."""
MAX_LAG_MS = 0.5
"""Lateness of the load itself (p99) over which a tail says more of the machine than of servers."""


@dataclass
class Measured:
    """What was measured of one server."""

    cpu_ms: dict[int, list[float]] = field(default_factory=lambda: {c: [] for c in CONCURRENCY})
    rate: dict[int, list[float]] = field(default_factory=lambda: {c: [] for c in CONCURRENCY})
    ready_s: list[float] = field(default_factory=list)
    ready_cpu_s: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    p99_ms: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)


def make_model() -> tuple[Path, Path]:
    """The model file and its bundle."""
    chance = np.random.default_rng(3)
    rows = chance.uniform(0, 100, size=(500, 4)).astype(np.float32)
    estimator = LinearRegression().fit(rows, rows @ np.array([2.0, 0.1, 0.1, 1.0]))
    folder = WORK / "model"
    bundle = build_bundle(
        BundleRecipe(
            name="bench",
            version="1",
            estimator=estimator,
            feature_function="identity/1",
            inputs=[InputSpec(name="x", datatype="FP32", shape=(-1, 4))],
            output="y",
            columns={"x": rows},
        ),
        folder,
    )
    return folder / bundle.manifest.model_file, folder


def measure_starts(recipe: Recipe, model: Path, bundle: Path, into: Measured) -> None:
    """Start it once, alone, and stop it."""
    server = Server(recipe, model, bundle)
    into.ready_s.append(server.ready_s)
    into.ready_cpu_s.append(server.ready_cpu_s)
    server.stop()


def measure_requests(
    servers: Mapping[str, Server],
    requests: int,
    into: Mapping[str, Measured],
    chance: random.Random,
) -> None:
    """One round at every concurrency: all servers in turns, each in a new order."""
    for connections in CONCURRENCY:
        used = dict.fromkeys(servers, 0.0)
        for _ in range(TURNS):
            for name in chance.sample(sorted(servers), len(servers)):
                server = servers[name]
                before = server.threads_cpu_s()
                rate = uvloop.run(
                    closed_loop(server.port, connections=connections, requests=requests)
                )
                used[name] += server.threads_cpu_s() - before
                into[name].rate[connections].append(rate)
        # What is left in prediction logs belongs to these requests.
        before_flush = {name: server.threads_cpu_s() for name, server in servers.items()}
        time.sleep(LOG_FLUSH_S)
        for name, server in servers.items():
            used[name] += server.threads_cpu_s() - before_flush[name]
            into[name].cpu_ms[connections].append(used[name] * 1000 / (TURNS * requests))


def measure_tails(
    servers: Mapping[str, Server], rounds: int, into: Mapping[str, Measured], chance: random.Random
) -> None:
    """Latency at Poisson arrivals, each server at the same share of its own capacity."""
    for number in range(rounds):
        for name in chance.sample(sorted(servers), len(servers)):
            rate = LOAD * 1000 / statistics.median(into[name].cpu_ms[16])
            tail = open_loop(servers[name].port, rate=rate, seconds=TAIL_S, seed=number)
            into[name].p99_ms.append(tail.latency_quantile_ms(0.99))
            into[name].lag_ms.append(tail.lag_quantile_ms(0.99))
            time.sleep(LOG_FLUSH_S)


def ratio(ours: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of the paired ratios."""
    pairs = [a / b for a, b in zip(ours, other, strict=True)]
    return statistics.median(pairs), min(pairs), max(pairs)


def figure(
    name: str, values: tuple[float, float, float], unit: str, goal: float, against: str
) -> None:
    """One line of JSON; it holds when the middle value does."""
    value, low, high = values
    print(
        json.dumps(
            {
                "figure": name,
                "value": round(value, 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "unit": unit,
                "goal": goal,
                "against": against,
                "holds": value <= goal,
            }
        )
    )


def table(measured: dict[str, Measured]) -> None:
    """What a person reads."""
    print(
        f"{'server':22}{'ready s':>9}{'ready CPU':>11}{'RSS MB':>8}{'CPU ms c=1':>12}{'c=16':>8}"
        f"{'rps c=1':>9}{'c=16':>8}{'p99 ms':>8}"
    )
    for name, found in measured.items():
        cpu = [statistics.median(found.cpu_ms[c]) for c in CONCURRENCY]
        rate = [statistics.median(found.rate[c]) for c in CONCURRENCY]
        print(
            f"{name:22}{statistics.median(found.ready_s):9.2f}"
            f"{statistics.median(found.ready_cpu_s):11.2f}{found.rss_mb:8.1f}"
            f"{cpu[0]:12.3f}{cpu[1]:8.3f}{rate[0]:9.0f}{rate[1]:8.0f}{statistics.median(found.p99_ms):8.1f}"
        )


def figures(measured: dict[str, Measured]) -> None:
    """One line per figure of the design."""
    ours, bare = measured["ours"], measured["bare"]
    for connections in CONCURRENCY:
        name = f"model_api_cpu_ratio_c{connections}"
        pair = ratio(ours.cpu_ms[connections], bare.cpu_ms[connections])
        figure(name, pair, "ratio", 1.15, "bare Starlette + onnxruntime")
    both = [ours.cpu_ms[c] for c in CONCURRENCY], [bare.cpu_ms[c] for c in CONCURRENCY]
    pooled = ratio([sum(a) for a in zip(*both[0], strict=True)],
                   [sum(b) for b in zip(*both[1], strict=True)])  # fmt: skip
    figure("model_api_cpu_ratio", pooled, "ratio", 1.15, "bare Starlette + onnxruntime")
    if "ours, FastAPI stack" in measured:
        stack = measured["ours, FastAPI stack"]
        pair = ratio(stack.cpu_ms[1], bare.cpu_ms[1])
        figure("model_api_fastapi_stack_cpu_ratio", pair, "ratio", 1.15, "bare")
    for peer in ("mlserver", "kserve"):
        if peer in measured:
            worst = max(
                (ratio(ours.cpu_ms[c], measured[peer].cpu_ms[c]) for c in CONCURRENCY),
                key=lambda values: values[0],
            )
            figure(f"model_api_cpu_of_{peer}", worst, "ratio", 0.25, peer)
    figure("model_api_rss_mb", (ours.rss_mb,) * 3, "MB", 90, "limit")
    figure("model_api_ready_ratio", ratio(ours.ready_s, bare.ready_s), "ratio", 1.5, "bare")
    pair = ratio(ours.ready_cpu_s, bare.ready_cpu_s)
    figure("model_api_ready_cpu_ratio", pair, "ratio", 1.5, "bare")
    figure("model_api_p99_ratio", ratio(ours.p99_ms, bare.p99_ms), "ratio", 2, "bare, own capacity")
    lag_ms = statistics.median(ours.lag_ms + bare.lag_ms)
    if lag_ms > MAX_LAG_MS:
        print(
            f"the load itself was {lag_ms:.1f} ms late (p99): the tails are the machine's. "
            "Measure them on a quiet one, or with --realtime.",
            file=sys.stderr,
        )


def run_first() -> None:
    """Let this process and what it starts run before everything else on the machine.

    Round robin: the load, a server's loop and its threads share the cores as they would alone.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        sys.exit("--realtime needs root (or CAP_SYS_NICE)")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1_500, help="per turn")
    parser.add_argument("--realtime", action="store_true", help="run before all other work")
    parser.add_argument("--only", default="", help="comma-separated servers, bare and ours always")
    args = parser.parse_args(argv)
    wanted = {"bare", "ours", *filter(None, args.only.split(","))}
    recipes = [recipe for recipe in RECIPES if not args.only or recipe.name in wanted]
    WORK.mkdir(parents=True, exist_ok=True)
    for environment in {recipe.environment for recipe in recipes}:
        print(f"environment of {environment} ...", file=sys.stderr)
        install(environment)
    model, bundle = make_model()
    if args.realtime:
        run_first()
    measured = {recipe.name: Measured() for recipe in recipes}
    chance = random.Random(1)
    for _ in range(min(args.rounds, 5)):
        for recipe in chance.sample(recipes, len(recipes)):
            measure_starts(recipe, model, bundle, measured[recipe.name])
    servers = {recipe.name: Server(recipe, model, bundle) for recipe in recipes}
    try:
        for server in servers.values():
            uvloop.run(closed_loop(server.port, connections=4, requests=500))
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds} ...", file=sys.stderr)
            measure_requests(servers, args.requests, measured, chance)
        for name, server in servers.items():
            measured[name].rss_mb = server.rss_mb()
        print("tails ...", file=sys.stderr)
        measure_tails(servers, args.rounds, measured, chance)
    finally:
        for server in servers.values():
            server.stop()
    table(measured)
    figures(measured)
    (WORK / "measured.json").write_bytes(
        orjson.dumps(
            {name: vars(found) for name, found in measured.items()},
            option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
