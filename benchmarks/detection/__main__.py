"""``python -m benchmarks.detection [--quick]``: the figures of detection, false rollback and harm.

Exit code 1 when a figure does not hold.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection import figures, peers, ramped
from benchmarks.detection.figures import Figure
from benchmarks.detection.peers import Outcome
from benchmarks.detection.twin import Draw, polls_until_failed
from sluice.analysis.bounds import least_requests_ratio

STABLE, FAULTY = 0.005, 0.05
CANDIDATE_PER_POLL, STABLE_PER_POLL = 10, 90
HEALTHY_POLLS = 1_000
RATES = (0.001, 0.005, 0.01)
PEER_PATHS = 30
RPS = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many paths each part runs."""

    detect: int
    late: int
    equal: int
    equal_requests: int
    dead: int
    faulty: int
    peers: int


FULL = Size(
    detect=100_000,
    late=20_000,
    equal=3_000,
    equal_requests=1_000_000,
    dead=2_000,
    faulty=300,
    peers=2_000,
)
QUICK = Size(
    detect=50_000,
    late=3_000,
    equal=500,
    equal_requests=100_000,
    dead=300,
    faulty=30,
    peers=200,
)


def main(argv: list[str]) -> int:
    """Measure, print the tables and one JSON line per figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("--quick", action="store_true", help="fewer paths, under a minute")
    size = QUICK if parser.parse_args(argv).quick else FULL
    began = time.monotonic()
    found = detection(size)
    harm_table(size)
    found += [*harm(size), false_rollback(size)]
    print(f"\n{time.monotonic() - began:.0f} s\n")
    for figure in found:
        print(figure.line())
    return 0 if all(figure.holds for figure in found) else 1


def _row(*cells: str) -> None:
    print(f"{cells[0]:<76}" + "".join(f"{cell:>20}" for cell in cells[1:]))


def detection(size: Size) -> list[Figure]:
    """Candidate requests until 0.5% -> 5% is found, at once and after 10,000 healthy ones."""
    config = ramped.CONFIG
    polls = polls_until_failed(
        config,
        lambda _: (CANDIDATE_PER_POLL, FAULTY, STABLE_PER_POLL, STABLE),
        paths=size.detect,
        polls=5_000,
        seed=1,
    )
    at_once = figures.mean(polls * float(CANDIDATE_PER_POLL))
    polls = polls_until_failed(
        config,
        lambda k: (
            CANDIDATE_PER_POLL,
            FAULTY if k > HEALTHY_POLLS else STABLE,
            STABLE_PER_POLL,
            STABLE,
        ),
        paths=size.late,
        polls=HEALTHY_POLLS + 5_000,
        seed=2,
    )
    late = figures.mean((polls[polls > HEALTHY_POLLS] - HEALTHY_POLLS) * float(CANDIDATE_PER_POLL))
    limit = least_requests_ratio(FAULTY, STABLE, 0.1, 1.0, -log(config.alpha))
    print("Candidate requests until 0.5% -> 5% errors is found, weight 10%, 100 requests/s\n")
    _row("", "mean", "95% from", "to")
    _row("Sluice, fault at once", *(f"{value:.1f}" for value in at_once))
    _row("Sluice, fault after 10,000 healthy requests", *(f"{value:.1f}" for value in late))
    against = [f"information limit {limit:.0f}"]
    for rule in (peers.FLAGGER_AT_10, peers.ARGO_AT_10):
        outcomes = _peer(rule, FAULTY, 100.0, size.peers)
        measured = figures.mean(np.array([float(o.requests) for o in outcomes]))
        _row(rule.name, *(f"{value:,.1f}" for value in measured))
        against.append(f"{rule.name.split(',')[0]} {measured[0]:,.0f}")
    _row("information limit at alpha 0.001", f"{limit:.0f}")
    return [
        _figure("detect_requests", at_once, "requests", 190, ", ".join(against)),
        _figure("detect_late_requests", late, "requests", 330, ", ".join(against)),
    ]


def _peer(rule: peers.Rule, rate: float, rps: float, paths: int) -> list[Outcome]:
    random = np.random.default_rng(3)
    return [peers.release(rule, rps=rps, rate=rate, random=random) for _ in range(paths)]


def _figure(
    name: str, measured: tuple[float, float, float], unit: str, goal: float, against: str
) -> Figure:
    value, low, high = measured
    return Figure(
        figure=name, value=value, low=low, high=high, unit=unit, goal=goal, against=against
    )


def harm_table(size: Size) -> None:
    """What a bad release costs from its first request to its end, each tool on its own schedule."""
    print("\nOne release of a bad version, stable at 0.5%: bad answers that users got\n")
    _row("", "harmed mean", "p99", "seconds", "promoted")
    for rps in (100.0, 1_000.0):
        for rate in (FAULTY, 1.0):
            random = np.random.default_rng(5)
            ours = [
                ramped.release(rps=rps, candidate=rate, stable=STABLE, random=random)
                for _ in range(size.faulty)
            ]
            runs = [("Sluice, default ramp", ours)]
            runs += [
                (rule.name, _peer(rule, rate, rps, size.peers))
                for rule in (peers.FLAGGER, peers.ARGO)
            ]
            print(f"{rps:,.0f} requests/s, candidate {rate:.0%} bad")
            for name, outcomes in runs:
                harmed = _harmed(outcomes)
                _row(
                    f"  {name}",
                    f"{harmed.mean():,.0f}",
                    f"{np.quantile(harmed, 0.99):,.0f}",
                    f"{np.mean([o.seconds for o in outcomes]):,.0f}",
                    f"{np.mean([o.promoted for o in outcomes]):.0%}",
                )


def _harmed(outcomes: list[Outcome]) -> NDArray[np.float64]:
    return np.array([float(o.harmed) for o in outcomes])


def harm(size: Size) -> list[Figure]:
    """Bad answers of a dead candidate on the default ramp; the worst of all request rates."""
    print("\nDead candidate: bad answers that users got, each tool on its own default schedule\n")
    rules = (peers.FLAGGER, peers.ARGO)
    names = [rule.name.split(",")[0] for rule in rules]
    _row("requests/s", "Sluice mean", "p99", "seconds", *(f"{name} mean" for name in names))
    random = np.random.default_rng(7)
    means, tails = [], []
    for rps in RPS:
        outcomes = [
            ramped.release(rps=rps, candidate=1.0, stable=STABLE, random=random)
            for _ in range(size.dead)
        ]
        harmed = _harmed(outcomes)
        means.append(figures.mean(harmed))
        tails.append(figures.quantile(harmed, 0.99))
        _row(
            f"{rps:,.0f}",
            f"{means[-1][0]:.2f}",
            f"{tails[-1][0]:.0f}",
            f"{np.mean([o.seconds for o in outcomes]):.2f}",
            *(f"{_harmed(_peer(rule, 1.0, rps, PEER_PATHS)).mean():,.0f}" for rule in rules),
        )
    against = []
    for rule in (peers.FLAGGER, peers.ARGO):
        at_100 = _harmed(_peer(rule, 1.0, 100.0, size.peers)).mean()
        against.append(f"{rule.name.split(',')[0]} {at_100:,.0f} at 100 requests/s")
    return [
        _figure("harm_dead_mean", max(means), "requests", 10, ", ".join(against)),
        _figure("harm_dead_p99", max(tails), "requests", 20, ", ".join(against)),
    ]


def _equal(per_poll: int, rate: float) -> Draw:
    return lambda _: (per_poll, rate, 9 * per_poll, rate)


def false_rollback(size: Size) -> Figure:
    """Equal candidates that are turned back; restarts are spread over the whole run."""
    print(f"\nEqual candidates turned back within {size.equal_requests:,} candidate requests\n")
    _row("errors, candidate requests a poll", "paths", "turned back")
    worst, against = (-1, 0), []
    for rate in RATES:
        for per_poll in (CANDIDATE_PER_POLL, 240):
            polls = -(-size.equal_requests // per_poll)
            found = polls_until_failed(
                replace(ramped.CONFIG, polls=polls),
                _equal(per_poll, rate),
                paths=size.equal,
                polls=polls,
                seed=11,
            )
            failed = int((found <= polls).sum())
            worst = max(worst, (failed, size.equal))
            _row(f"{rate:.1%}, {per_poll}", f"{size.equal:,}", str(failed))
            sys.stdout.flush()
    for rule in (peers.FLAGGER_AT_10, peers.ARGO_AT_10):
        within = 10_000 / (0.1 * 100.0)
        ended = [o.seconds <= within for o in _peer(rule, RATES[-1], 100.0, size.peers)]
        against.append(
            f"{rule.name.split(',')[0]} {np.mean(ended):.2g} within 10,000 requests at 1%"
        )
    return _figure("false_rollback", figures.share(*worst), "share", 0.001, ", ".join(against))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
