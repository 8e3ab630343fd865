"""``make bench-loadgen``: our generator beside stock locust and fortio, in alternating rounds.

Cost: requests per second of CPU at one rate against a server that answers after 5 ms. Truth: the
95th percentile that each reports of a server that stalls for 2 s in every 10. fortio is built from
its Go module into a temporary folder; without Go it is left out, aloud.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.run import ROOT, Asked, run
from tests.loadtests.server import FREE_S, PERIOD_S, SERVICE_S

from benchmarks.detection.figures import Figure
from sluice.analysis.latency import quantile_ms

FORTIO = "fortio.org/fortio@v1.66.5"
HERE = Path(__file__).parent
TRUE_P95_MS = 1000 * (PERIOD_S - FREE_S - 0.05 * PERIOD_S + SERVICE_S)
"""A fifth of the arrivals waits evenly from 0 to 2 s: a twentieth waits over 1.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one generator did in one round."""

    requests: int
    cpu_s: float
    p50_ms: float
    p95_ms: float


Generator = Callable[[str, float, int], Round]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loadgen", description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--seconds", type=int, default=20, help="of each round of cost")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 8 s, stalls for 20 s")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 8
    with tempfile.TemporaryDirectory(prefix="sluice-loadgen-") as folder:
        generators: dict[str, Generator] = {"sluice": _ours(Path(folder)), "stock": _stock}
        binary = _fortio_binary(Path(folder))
        if binary is None:
            print("fortio is left out: no Go to build it with")
        else:
            generators["fortio"] = _fortio(binary)
        cost = _rounds(generators, options.rounds, options.rate, options.seconds, stall=False)
        truth = _rounds(generators, 1, options.rate, 20 if options.quick else 40, stall=True)
    _table(cost, truth)
    _figures(cost, truth)
    return 0


def _rounds(
    generators: dict[str, Generator], rounds: int, rate: float, seconds: int, *, stall: bool
) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {name: [] for name in generators}
    for number in range(rounds):
        names = list(generators) if number % 2 == 0 else list(reversed(generators))
        for name in names:
            with _server(stall=stall) as url:
                found[name].append(generators[name](url, rate, seconds))
    return found


@contextmanager
def _server(*, stall: bool) -> Iterator[str]:
    words = [sys.executable, "-m", "tests.loadtests.server", *(["--stall"] if stall else [])]
    server = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait(timeout=10)
        server.stdout.close()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ours(folder: Path) -> Generator:
    def generate(url: str, rate: float, seconds: int) -> Round:
        asked = Asked(
            url=url,
            run_file=folder / "run.json",
            rate=rate,
            length=f"{seconds}s",
            locustfile=ROOT / "tests" / "loadtests" / "plain.py",
        )
        before = _cpu_s()
        counted = run(asked)
        whole = counted.whole()
        return Round(
            requests=whole.total,
            cpu_s=_cpu_s() - before,
            p50_ms=quantile_ms(whole.buckets, 0.5),
            p95_ms=quantile_ms(whole.buckets, 0.95),
        )

    return generate


def _stock(url: str, rate: float, seconds: int) -> Round:
    words = [sys.executable, "-m", "locust", "-f", str(HERE / "stock.py"), "--headless", "-H", url]
    words += ["-u", "10", "-r", "10", "-t", f"{seconds}s", "--json", "--skip-log-setup"]
    before = _cpu_s()
    done = subprocess.run(
        words, env={**os.environ, "RATE": str(rate)}, capture_output=True, text=True, check=True
    )
    entries = json.loads(done.stdout[done.stdout.index("[") :])
    if not entries:
        sys.exit(
            f"stock locust sent nothing within {seconds} s: this machine is too busy to measure"
        )
    (entry,) = entries
    times = sorted((float(ms), int(n)) for ms, n in entry["response_times"].items())
    values = [ms for ms, n in times for _ in range(n)]
    return Round(
        requests=len(values),
        cpu_s=_cpu_s() - before,
        p50_ms=values[len(values) // 2],
        p95_ms=values[int(0.95 * len(values))],
    )


def _fortio_binary(folder: Path) -> Path | None:
    if shutil.which("go") is None:
        return None
    done = subprocess.run(
        ["go", "install", FORTIO],
        env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-modcacherw"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(f"fortio could not be built: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return folder / "fortio"


def _fortio(binary: Path) -> Generator:
    def generate(url: str, rate: float, seconds: int) -> Round:
        words = [str(binary), "load", "-qps", f"{rate:g}", "-uniform", "-c", "10", "-p", "50,95"]
        words += ["-t", f"{seconds}s", "-json", "-", "-loglevel", "Error", url]
        before = _cpu_s()
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)["DurationHistogram"]
        at = {entry["Percentile"]: 1000 * entry["Value"] for entry in found["Percentiles"]}
        return Round(requests=found["Count"], cpu_s=_cpu_s() - before, p50_ms=at[50], p95_ms=at[95])

    return generate


def _table(cost: dict[str, list[Round]], truth: dict[str, list[Round]]) -> None:
    print(f"{'generator':<10}{'per CPU s':>12}{'p50':>10}{'p95, stalls':>14}{'true':>10}")
    for name, rounds in cost.items():
        each = statistics.median(r.requests / r.cpu_s for r in rounds)
        p50 = statistics.median(r.p50_ms for r in rounds)
        p95 = truth[name][0].p95_ms
        print(f"{name:<10}{each:>12,.0f}{p50:>8.1f}ms{p95:>12,.0f}ms{TRUE_P95_MS:>8,.0f}ms")


def _figures(cost: dict[str, list[Round]], truth: dict[str, list[Round]]) -> None:
    errors = {name: abs(r[0].p95_ms - TRUE_P95_MS) / TRUE_P95_MS for name, r in truth.items()}
    others = ", ".join(f"{name} {value:.2f}" for name, value in errors.items() if name != "sluice")
    value = errors["sluice"]
    figure = Figure(
        figure="load_p95_error",
        value=value,
        low=value,
        high=value,
        unit="share",
        goal=0.05,
        against=others,
    )
    print(figure.line())
    ours = [r.requests / r.cpu_s for r in cost["sluice"]]
    stock = [r.requests / r.cpu_s for r in cost["stock"]]
    ratios = [b / a for a, b in zip(ours, stock, strict=True)]
    figure = Figure(
        figure="load_cpu_ratio",
        value=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        unit="CPU per request over stock FastHttpUser",
        goal=1.5,
        against="stock FastHttpUser, same rounds",
    )
    print(figure.line())


if __name__ == "__main__":
    sys.exit(main())
