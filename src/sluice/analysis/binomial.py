"""Exact bounds of a share from one finished sample, and what correlation takes from the sample."""

from collections.abc import Sequence
from math import exp, inf, log, log1p

from sluice.analysis.logmath import log_beta

LEAST_SLICES = 30
"""Fewer time slices say too little about how far requests of the same moment fail together."""
_ROUNDS = 200
_TINY = 1e-300


def upper_bound(bad: float, requests: float, *, confidence: float) -> float:
    """Exact one-sided upper bound of the bad share.

    Args:
        bad: Bad requests; a fraction after a correction by the design effect.
        requests: All requests, likewise; 0 gives 1.
        confidence: Chance that the true share is not above, such as 0.95.

    Source: Clopper and Pearson (1934), the quantile of Beta(bad + 1, requests - bad).
    """
    if requests <= 0 or bad >= requests:
        return 1.0
    return _beta_quantile(confidence, bad + 1.0, requests - bad)


def lower_bound(bad: float, requests: float, *, confidence: float) -> float:
    """Exact one-sided lower bound of the bad share; arguments and source as ``upper_bound``."""
    if requests <= 0 or bad <= 0:
        return 0.0
    return _beta_quantile(1.0 - confidence, bad, requests - bad + 1.0)


def design_effect(slices: Sequence[tuple[int, int]]) -> float | None:
    """By how much the share of bad requests varies more than if requests were independent.

    Args:
        slices: (requests, bad requests) of consecutive time slices of one length.

    Returns:
        The largest ratio of the variance of slice shares over the binomial one, for slices of 1,
        2, 4, ... lengths while there are ``LEAST_SLICES`` of them: a stall longer than a slice
        shows only in longer ones. At least 1; None with fewer than ``LEAST_SLICES`` slices.
    """
    if len(slices) < LEAST_SLICES:
        return None
    effect, length = 1.0, 1
    while len(slices) // length >= LEAST_SLICES:
        joined = [
            (sum(n for n, _ in part), sum(k for _, k in part))
            for part in (
                slices[at : at + length] for at in range(0, len(slices) - length + 1, length)
            )
        ]
        effect = max(effect, _dispersion(joined))
        length *= 2
    return effect


def _dispersion(slices: Sequence[tuple[int, int]]) -> float:
    used = [(n, k) for n, k in slices if n > 0]
    total, bad = sum(n for n, _ in used), sum(k for _, k in used)
    if len(used) < 2 or not 0 < bad < total:
        return 1.0
    share = bad / total
    excess = sum((k - n * share) ** 2 / n for n, k in used)
    return excess / (share * (1.0 - share) * (len(used) - 1))


def requests_to_decide(
    share: float, limit: float, *, confidence: float, effect: float = 1.0
) -> float:
    """Requests after which a sample with this bad share decides against ``limit``.

    Args:
        share: Bad share that is expected to stay.
        limit: Largest bad share that the objective allows.
        confidence: Of the bound.
        effect: Design effect.

    Returns:
        Requests in all, infinite when ``share`` is the limit itself.
    """

    def decided(requests: float) -> bool:
        n = requests / effect
        if share < limit:  # the upper bound is at most the limit
            return _incomplete_beta(limit, share * n + 1.0, n - share * n) >= confidence
        return _incomplete_beta(limit, share * n, n - share * n + 1.0) < 1.0 - confidence

    high = 16.0
    while not decided(high):
        high *= 2.0
        if high > 1e12:
            return inf
    low = high / 2.0
    while high - low > 0.5:
        middle = (low + high) / 2.0
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _beta_quantile(level: float, a: float, b: float) -> float:
    # The incomplete beta function grows with x; halving needs no derivative and cannot diverge.
    low, high = 0.0, 1.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2.0
        if middle in (low, high) or high - low < 1e-13 * high:
            break
        if _incomplete_beta(middle, a, b) < level:
            low = middle
        else:
            high = middle
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    front = a * log(x) + b * log1p(-x) - log_beta(a, b) - log(a)
    return exp(front) * _fraction(x, a, b) if front > -745.0 else 0.0


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22, Lentz's method)."""
    c, d = 1.0, _away(1.0 - (a + b) * x / (a + 1.0))
    d = 1.0 / d
    value = d
    for m in range(1, 20_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        step = d * c
        value *= step
        if abs(step - 1.0) < 1e-15:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
