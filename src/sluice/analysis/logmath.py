"""Sums and probabilities in logarithms, where a dead candidate cannot overflow."""

from collections.abc import Sequence
from math import exp, lgamma, log, log1p, pi

LOG_PI = log(pi)


def log_mean_exp(values: Sequence[float], *, rest: float = 0.0) -> float:
    """Logarithm of the mean of e^v over ``values``, plus ``rest`` (a plain number, at least 0)."""
    top = max(values)
    if rest > 0.0 and top < 0.0:
        top = 0.0
    total = 0.0
    for value in values:
        total += exp(value - top)
    total /= len(values)
    if rest > 0.0:
        total += rest * exp(-top)
    return top + log(total)


def log_weighted_sum(log_values: Sequence[float], weights: Sequence[float]) -> float:
    """Logarithm of the sum of w * e^v; weights at least 0, one of them positive."""
    top = max(v for v, w in zip(log_values, weights, strict=True) if w > 0.0)
    total = 0.0
    for value, weight in zip(log_values, weights, strict=True):
        if weight > 0.0:
            total += weight * exp(value - top)
    return top + log(total)


def log_beta(a: float, b: float) -> float:
    """Logarithm of B(a, b)."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), nats.

    Infinite where q excludes what p allows.
    """
    divergence = 0.0
    if p > 0.0:
        if q <= 0.0:
            return float("inf")
        divergence += p * log(p / q)
    if p < 1.0:
        if q >= 1.0:
            return float("inf")
        divergence += (1.0 - p) * (log1p(-p) - log1p(-q))
    return max(0.0, divergence)


def binomial_tail_at_most(x: int, n: int, p: float, level: float) -> bool:
    """Whether P(Bin(n, p) >= x) <= level, for a small level (below 0.1)."""
    if x <= n * p:
        return False  # the tail from at or below the mean holds at least a quarter
    odds = p / (1.0 - p)
    term = exp(lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1) + x * log(p) + (n - x) * log1p(-p))
    tail = 0.0
    for k in range(x, n + 1):
        tail += term
        if tail > level:
            return False
        term *= (n - k) / (k + 1) * odds
        if term < level * 1e-12:
            break
    return True
