"""A release on the default ramp, judged and weighed by the code that ships."""

import numpy as np

from benchmarks.detection.peers import Outcome
from sluice.analysis import AnalysisConfig, Poll, Rates, observe, start
from sluice.analysis.rates import update
from sluice.engine.ramp import ACTUATION_S, next_weight_bp
from sluice.nouns import (
    BP_TOTAL,
    ArmCounts,
    Counts,
    Objective,
    Purpose,
    RevisionId,
    Snapshot,
    Verdict,
    VerdictKind,
)

_STABLE, _CANDIDATE = RevisionId("stable"), RevisionId("candidate")
_POLL_MS = 1_000
_WATCHED_POLLS = 61
MAX_BP, GROWTH, HARM_BUDGET = 5_000, 3.0, 10.0
"""The defaults of a release's ramp."""

CONFIG = AnalysisConfig(
    objectives=(Objective(name="availability", kind="availability", target=0.99),),
    polls=4_200,
)
"""Every default: polls of 1 s until a deadline of 60 min and keepWarm of 10 min."""


class Traffic:
    """Poisson arrivals, split by weight; each arm answers badly at its rate."""

    def __init__(self, rps: float, rates: tuple[float, float], random: np.random.Generator) -> None:
        self.rps, self.rates, self.random = rps, rates, random
        self.totals, self.bad = [0, 0], [0, 0]

    def flow(self, seconds: float, weight_bp: int) -> None:
        for arm, weight in enumerate((weight_bp, BP_TOTAL - weight_bp)):
            came = int(self.random.poisson(self.rps * weight / BP_TOTAL * seconds))
            self.totals[arm] += came
            self.bad[arm] += int(self.random.binomial(came, self.rates[arm]))

    def snapshot(self, at_ms: int) -> Snapshot:
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=Purpose.LIVE,
                counts=Counts(total=self.totals[arm], errors=self.bad[arm]),
            )
            for arm, revision in enumerate((_CANDIDATE, _STABLE))
        )
        return Snapshot(router="router", epoch="1", taken_ms=at_ms, arms=arms)


def _next(weight_bp: int, verdict: Verdict) -> int:
    return next_weight_bp(
        current_bp=weight_bp,
        max_bp=MAX_BP,
        growth=GROWTH,
        harm_budget=HARM_BUDGET,
        evidence=verdict.evidence,
        rate_rps=verdict.rate_rps,
        interval_s=verdict.interval_s,
    )


def release(*, rps: float, candidate: float, stable: float, random: np.random.Generator) -> Outcome:
    """One pass from its first weight to FAIL, PASS or the deadline of 60 min."""
    traffic = Traffic(rps, (candidate, stable), random)
    rates, at_ms = Rates(), 0
    for _ in range(_WATCHED_POLLS):
        traffic.flow(_POLL_MS / 1000, 0)
        at_ms += _POLL_MS
        rates = update(rates, at_ms, (traffic.snapshot(at_ms),))
    began_ms, state, weight_bp = at_ms, start(CONFIG, (traffic.snapshot(at_ms),)), 0
    while True:
        snapshots = (traffic.snapshot(at_ms),)
        if at_ms > began_ms:
            rates = update(rates, at_ms, snapshots)
        young = at_ms - began_ms < CONFIG.warm_up_ms
        poll = Poll(
            taken_ms=at_ms,
            snapshots=snapshots,
            candidate=_CANDIDATE,
            stable=_STABLE,
            young=("candidate-0",) if young else (),
            settled=0 if young else 1,
            rate_rps=rates.highest_rps,
            interval_s=rates.longest_interval_s,
        )
        state, verdict = observe(CONFIG, state, poll)
        ended = verdict.kind in (VerdictKind.FAILED, VerdictKind.PASSED)
        traffic.flow(ACTUATION_S, weight_bp)
        if ended or at_ms - began_ms >= 3_600_000:
            return Outcome(
                requests=traffic.totals[0],
                harmed=traffic.bad[0],
                seconds=(at_ms - began_ms) / 1000 + ACTUATION_S,
                promoted=verdict.kind is VerdictKind.PASSED,
            )
        weight_bp = _next(weight_bp, verdict)
        traffic.flow(_POLL_MS / 1000 - ACTUATION_S, weight_bp)
        at_ms += _POLL_MS
