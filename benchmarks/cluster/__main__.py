"""Harm, speed and false aborts on a real cluster, beside what the peers were measured to do.

Needs an installed Sluice: ``make cluster images install``. The peers' figures are those that
``docs/explanation/limits.md`` explains; they were measured on the same kind of cluster.
"""

import argparse
import asyncio
import json
import re
import statistics
from collections.abc import Sequence

from tests.cluster.system import SYSTEM, System, kubectl

from benchmarks.cluster.idle import idle
from benchmarks.cluster.many import many
from benchmarks.cluster.stories import FAULTS, Hog, effects, good, harm
from sluice.nouns import Phase

GOALS = {"dead": 12.0, "20% errors": 15.0, "5% errors": 20.0, "all slow": 12.0}
PEERS = {
    "dead": "Argo 153-289, Flagger 146-154 (fastest settings)",
    "20% errors": "Argo 17-49, Flagger 57-67 (fastest settings)",
    "5% errors": "Argo 6-19, Flagger 9-22 (fastest settings)",
    "all slow": "Argo 162-187, Flagger 134-152 (fastest settings)",
}
EFFECT_GOAL_MS = 1_000.0


def line(
    figure: str, unit: str, goal: float | None, against: str, values: Sequence[float], value: float
) -> bool:
    """Print one figure as JSON; whether its goal holds."""
    holds = goal is None or value <= goal
    found = {
        "figure": figure, "value": round(value, 3), "low": round(min(values), 3),
        "high": round(max(values), 3), "unit": unit, "goal": goal, "against": against,
        "holds": holds,
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    return holds


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="releases a fault")
    parser.add_argument("--aborts", type=int, default=30, help="decisions that are timed")
    parser.add_argument("--good", type=int, default=20, help="good releases beside a hog")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of doing nothing")
    parser.add_argument("--releases", type=int, default=200, help="releases made at once")
    parser.add_argument("--only", default="idle,many,harm,effect,good", help="parts, by comma")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    system = System()
    system.prepare()
    held = True
    if "idle" in parts:
        held &= _idle(asked.idle)
    if "many" in parts:
        _many(asked.releases)
    if "harm" in parts:
        for name in FAULTS:
            held &= _harm(system, name, asked.rounds)
    if "effect" in parts:
        delays = sorted(effects(system, asked.aborts))
        p99 = delays[min(len(delays) - 1, int(0.99 * len(delays)))]
        held &= line(
            "decision_to_effect_p99_ms", "ms", EFFECT_GOAL_MS, "limit, cluster", delays, p99
        )
    if "good" in parts:
        with Hog(pods=4, seconds=3_600):
            ends = good(system, asked.good, at_once=2)
        turned_back = sum(phase is Phase.ABORTED for phase in ends)
        against = f"{asked.good} good releases, nodes busy; Argo 2 of 3, Flagger 1 of 2"
        held &= line("false_aborts", "releases", 0.0, against, [turned_back], turned_back)
    return int(not held)


def _harm(system: System, name: str, rounds: int) -> bool:
    found = [harm(system, FAULTS[name]) for _ in range(rounds)]
    seconds = ", ".join(f"{item.seconds:g}" for item in found)
    lost = sum(item.lost for item in found)
    print(f"{name}: harmed {[item.harmed for item in found]}, lost {lost}, seconds {seconds}")
    counts = [float(item.harmed) for item in found]
    figure = f"cluster_harm_{name.replace('%', '').replace(' ', '_')}"
    return line(figure, "requests", GOALS[name], PEERS[name], counts, statistics.fmean(counts))


def _idle(seconds: float) -> bool:
    found = idle(seconds)
    for name, use in sorted(found.items()):
        print(f"{name:60}{use.cores:8.4f} cores{use.rss_mb:8.1f} MB")
    for part, against in (("controller", "Argo 30-42 MB, Flagger 16-23 MB"), ("router", "")):
        uses = [use for name, use in found.items() if f"-{part}-" in name]
        if uses:
            cores = [use.cores for use in uses]
            megabytes = [use.rss_mb for use in uses]
            line(f"idle_{part}_cores", "cores", None, "", cores, sum(cores))
            line(f"idle_{part}_rss_mb", "MB", None, against, megabytes, max(megabytes))
    return True


def _many(releases: int) -> None:
    before = _calls()
    found = asyncio.run(many(releases))
    calls = (_calls() - before) / releases
    line("many_healthy_s", "s", None, f"{releases} at once", [found.healthy_s], found.healthy_s)
    line("many_api_calls", "calls a release", None, "made and deleted", [calls], calls)


def _calls() -> float:
    """API calls of all controllers so far, by their own metrics."""
    labels = "app.kubernetes.io/component=controller"
    pods = json.loads(kubectl("-n", SYSTEM, "get", "pods", "-l", labels, "-o", "json"))["items"]
    total = 0.0
    for pod in pods:
        path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod['metadata']['name']}:8081/proxy/metrics"
        text = kubectl("get", "--raw", path)
        rows = re.findall(r"^sluice_controller_api_calls_total\S* (\S+)$", text, re.MULTILINE)
        total += sum(map(float, rows))
    return total


if __name__ == "__main__":
    raise SystemExit(main())
