"""The harm-bounded ramp."""

from collections.abc import Sequence

from sluice.nouns import BP_TOTAL, Evidence


def next_weight_bp(
    *,
    current_bp: int,
    max_bp: int,
    growth: float,
    harm_budget: float,
    evidence: Sequence[Evidence],
    rate_rps: float | None,
    interval_s: float,
) -> int:
    """Weight for the next interval."""
    if not rate_rps:
        return 1
    excess = max((item.upper - item.baseline for item in evidence), default=1.0)
    share = harm_budget / (rate_rps * interval_s * max(excess, 1e-6))
    weight = int(share * BP_TOTAL)
    if current_bp > 0:
        weight = min(weight, max(current_bp + 1, int(current_bp * growth)))
    return max(1, min(max_bp, weight))
