"""The rules of other tools, as their documentation sets them, on the same traffic.

Both compare a point estimate with a constant. Neither gets a scrape delay here, which is in their
favour.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A threshold rule on a schedule of weights."""

    name: str
    interval_s: float
    """Time between two measurements, each over the requests since the last."""
    success: float
    """Least share of good answers that a measurement accepts."""
    failures: int
    """Failed measurements that end the release."""
    lag_s: float
    """From the last failed measurement to the rollback."""
    weights: tuple[float, ...]
    """Candidate's share in each interval; promoted after the last."""
    holds: bool
    """Whether a failed measurement keeps the weight."""


FLAGGER = Rule(
    name="Flagger, docs (10% per 60 s to 50%, >= 99%, threshold 5)",
    interval_s=60.0,
    success=0.99,
    failures=5,
    lag_s=60.0,
    weights=(0.1, 0.2, 0.3, 0.4, 0.5),
    holds=True,
)
ARGO = Rule(
    name="Argo Rollouts, docs (20% per 10 min, >= 95% every 5 min, failureLimit 3)",
    interval_s=300.0,
    success=0.95,
    failures=4,
    lag_s=0.0,
    weights=(0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8),
    holds=False,
)
_HOURS = 10_000
FLAGGER_AT_10 = Rule(
    name="Flagger, 60 s, >= 99%, threshold 5, weight 10%",
    interval_s=60.0,
    success=0.99,
    failures=5,
    lag_s=60.0,
    weights=(0.1,) * _HOURS,
    holds=True,
)
ARGO_AT_10 = Rule(
    name="Argo Rollouts, 60 s, >= 99%, failureLimit 3, weight 10%",
    interval_s=60.0,
    success=0.99,
    failures=4,
    lag_s=0.0,
    weights=(0.1,) * _HOURS,
    holds=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one release under a threshold rule went."""

    requests: int
    """Candidate requests until it ended."""
    harmed: int
    """Of these, bad answers."""
    seconds: float
    promoted: bool


def release(rule: Rule, *, rps: float, rate: float, random: np.random.Generator) -> Outcome:
    """One release of a candidate whose answers are bad at ``rate``."""
    requests = harmed = failed = step = 0
    seconds = 0.0
    while step < len(rule.weights):
        exposed = rps * rule.weights[step]
        came = int(random.poisson(exposed * rule.interval_s))
        bad = int(random.binomial(came, rate))
        requests, harmed, seconds = requests + came, harmed + bad, seconds + rule.interval_s
        if came and 1.0 - bad / came < rule.success:
            failed += 1
            if failed >= rule.failures:
                came = int(random.poisson(exposed * rule.lag_s))
                return Outcome(
                    requests=requests + came,
                    harmed=harmed + int(random.binomial(came, rate)),
                    seconds=seconds + rule.lag_s,
                    promoted=False,
                )
            if rule.holds:
                continue
        step += 1
    return Outcome(requests=requests, harmed=harmed, seconds=seconds, promoted=True)
