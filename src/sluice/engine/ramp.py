"""The harm-bounded ramp: a weight at which even a dead candidate harms only a budget of requests.

Source: ``docs/decisions/0013-harm-bounded-ramp.md``.
"""

from collections.abc import Sequence
from math import floor

from sluice.nouns import BP_TOTAL, Evidence

ACTUATION_S = 0.05
"""From a decision to the last request it could not stop: the goal on one machine, seconds."""
_LEAST_EXCESS = 1e-6


def next_weight_bp(
    *,
    current_bp: int,
    max_bp: int,
    growth: float,
    harm_budget: float,
    evidence: Sequence[Evidence],
    rate_rps: float | None,
    interval_s: float,
    actuation_s: float = ACTUATION_S,
) -> int:
    """The candidate's weight until the next poll.

    ``w' = min(w_max, g w, B / (R D max(U - p_s, 1e-6)))``, rounded down: with the confidence of U
    no interval is expected to harm more than B requests, however bad the candidate. The floor of
    1 bp breaks that only above ``10,000 B / D`` requests per second.

    Args:
        current_bp: Weight now, basis points; 0 on the first step, which growth does not limit.
        max_bp: Highest weight before PASS, basis points, at least 1.
        growth: Largest factor between two polls, above 1.
        harm_budget: B, bad answers beyond stable's that one interval may cost.
        evidence: One per objective; the largest ``upper - baseline`` of those
            that act counts. Empty: nothing known.
        rate_rps: R, highest rate of all live requests lately; None gives 1 bp. At 0 the weight
            stays: without traffic there is nothing to learn from a higher one.
        interval_s: Longest time between two looks, seconds; 0 or less: unknown, as for the rate.
        actuation_s: From a decision to its effect, seconds; D = interval + actuation.

    Returns:
        Basis points, from 1 to ``max_bp``.
    """
    if rate_rps is None or interval_s <= 0.0:
        return 1
    if rate_rps <= 0.0:
        return max(1, min(current_bp, max_bp))
    excess = max((_excess(known) for known in evidence if known.acts), default=1.0)
    exposed = rate_rps * (interval_s + actuation_s) * max(excess, _LEAST_EXCESS)
    weight = float(max_bp)
    if current_bp > 0:
        # From 1 bp a growth below 2 would round back to where it was.
        weight = min(weight, max(growth * current_bp, current_bp + 1.0))
    # Compared before it is divided: a rate near nothing makes the product vanish.
    share = harm_budget / exposed if exposed > harm_budget else 1.0
    return max(1, min(floor(weight), floor(share * BP_TOTAL)))


def _excess(known: Evidence) -> float:
    if known.n_candidate == 0:
        return 1.0
    return known.upper - known.baseline
