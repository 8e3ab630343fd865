"""CPU and memory of one controller with many releases, all in mid-pass under analysis.

A child process runs the real loop on the platform and data plane in memory, and reads counters as
routers send them: JSON, decoded and checked. What the benchmark itself needs to make those
counters is measured and taken off. The limit beside it is the same process with releases that are
only served: no candidate, nothing to judge.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

CORES_GOAL, RSS_GOAL_MB = 1.0, 400.0
RELEASES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one child measured."""

    cores: Sequence[float]
    """CPU seconds per second, one number a window."""
    polls: float
    """Polls per release and second; below 1: it could not keep up."""
    rss_mb: float


def run(releases: int, seconds: int, *, judged: bool) -> Run:
    """One child, from its start to its end."""
    words = ["--releases", str(releases), "--seconds", str(seconds)]
    command = [sys.executable, "-m", "benchmarks.controller.child", *words]
    done = subprocess.run(
        [*command, *(["--judged"] if judged else [])], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return Run(cores=found["cores"], polls=found["polls"], rss_mb=found["rss_mb"])


def line(figure: str, unit: str, goal: float, against: str, values: Sequence[float]) -> str:
    """The figure as one line of JSON: median, lowest and highest window."""
    value = statistics.median(values)
    return json.dumps(
        {
            "figure": figure,
            "value": round(value, 3),
            "low": round(min(values), 3),
            "high": round(max(values), 3),
            "unit": unit,
            "goal": goal,
            "against": against,
            "holds": value <= goal,
        }
    )


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short windows: to see that it runs")
    parser.add_argument("--releases", type=int, default=RELEASES)
    words = parser.parse_args()
    seconds = 10 if words.quick else 60
    served = run(words.releases, seconds, judged=False)
    judged = run(words.releases, seconds, judged=True)
    print(f"{words.releases:,} releases, polls of 1 s\n")
    print(f"{'':28}{'cores':>8}{'polls/s':>9}{'RSS MB':>8}")
    for name, found in (("served only", served), ("all in a pass, judged", judged)):
        cores = statistics.median(found.cores)
        print(f"{name:28}{cores:8.2f}{found.polls:9.2f}{found.rss_mb:8.0f}")
    only = statistics.median(served.cores)
    # A controller that is too slow looks less often: what a second of polls costs is what counts.
    due = [cores / min(1.0, judged.polls) for cores in judged.cores]
    print(line("controller_cores", "cores", CORES_GOAL, f"{only:.2f} when only served", due))
    against = f"{served.rss_mb:.0f} when only served"
    print(line("controller_rss_mb", "MB", RSS_GOAL_MB, against, [judged.rss_mb]))
    return int(statistics.median(due) > CORES_GOAL or judged.rss_mb > RSS_GOAL_MB)


if __name__ == "__main__":
    raise SystemExit(main())
