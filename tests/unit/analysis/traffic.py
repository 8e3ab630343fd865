"""Counters of routers that never were: how tests speak to the analysis."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, observe, start
from sluice.nouns import (
    LATENCY_GRID_MS,
    ArmCounts,
    Counts,
    Objective,
    Purpose,
    RevisionId,
    Snapshot,
    Verdict,
)

STABLE, CANDIDATE = RevisionId("v1"), RevisionId("v2")
AVAILABILITY = Objective(name="availability", kind="availability", target=0.99)
LATENCY = Objective(name="latency", kind="latency", target=0.99, threshold_ms=300)
CONFIG = AnalysisConfig(objectives=(AVAILABILITY,), polls=3_600)


@dataclass(kw_only=True)
class Router:
    """Cumulative counters of one router, fed batch by batch."""

    name: str = "r1"
    epoch: str = "e1"
    counts: dict[RevisionId, Counts] = field(default_factory=dict)
    shielded: int = 0

    def count(self, revision: RevisionId, requests: int, errors: int) -> None:
        """Add one batch without latencies."""
        batch = Counts(total=requests, errors=errors)
        self.counts[revision] = self.counts.get(revision, Counts()) + batch

    def serve(self, revision: RevisionId, requests: int, errors: int, slow: int = 0) -> None:
        """Add one batch; ``slow`` requests took longer than 300 ms, but at most 400."""
        at = LATENCY_GRID_MS.index(300)
        steps = tuple(
            requests if index < at else slow if index == at else 0
            for index in range(len(LATENCY_GRID_MS))
        )
        batch = Counts(total=requests, errors=errors, timed=requests, slow=steps)
        self.counts[revision] = self.counts.get(revision, Counts()) + batch

    def restart(self, epoch: str) -> None:
        self.epoch, self.counts, self.shielded = epoch, {}, 0

    def snapshot(self, purpose: Purpose = Purpose.LIVE) -> Snapshot:
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=purpose,
                counts=counts,
                shielded=self.shielded if revision == CANDIDATE else 0,
            )
            for revision, counts in self.counts.items()
        )
        return Snapshot(router=self.name, epoch=self.epoch, taken_ms=0, arms=arms)


def poll(*routers: Router, at_ms: int = 0, warming: bool = False, problem: str = "") -> Poll:
    return Poll(
        taken_ms=at_ms,
        snapshots=tuple(router.snapshot() for router in routers),
        candidate=CANDIDATE,
        stable=STABLE,
        young=("taxi-v2-0",) if warming else (),
        settled=0 if warming else 1,
        problem=problem,
    )


def run(
    config: AnalysisConfig, batches: Iterable[tuple[int, int, int, int]], *, warming: bool = False
) -> tuple[AnalysisState, list[Verdict]]:
    """Verdicts after batches of (candidate requests, bad, stable requests, bad)."""
    router, state, verdicts = Router(), start(config, ()), []
    for n_candidate, bad_candidate, n_stable, bad_stable in batches:
        router.serve(CANDIDATE, n_candidate, bad_candidate)
        router.serve(STABLE, n_stable, bad_stable)
        state, verdict = observe(config, state, poll(router, warming=warming))
        verdicts.append(verdict)
    return state, verdicts


def binomial(random: Random, requests: int, rate: float) -> int:
    return sum(random.random() < rate for _ in range(requests))


def without_restarts(config: AnalysisConfig) -> AnalysisConfig:
    return replace(config, gamma0=1.0)
