"""Intervals that hold however often one looks, and the least data that any test would need."""

from math import exp, expm1, inf, log, log1p, sqrt

from sluice.analysis.logmath import LOG_PI, kl, log_beta

_STEPS = 60


def rate_interval(bad: int, requests: int, delta: float) -> tuple[float, float]:
    """Beta-binomial confidence sequence for a Bernoulli rate, prior Beta(1/2, 1/2).

    Args:
        bad: Bad requests, count.
        requests: All requests, count; 0 gives (0, 1).
        delta: Chance that the true rate is ever outside, in (0, 1).

    Returns:
        (low, high), fractions in [0, 1].

    Source: the rates m at which Ville's inequality for the Beta mixture is not yet violated,
    ``s ln m + (n-s) ln(1-m) >= ln B(s+1/2, n-s+1/2) - ln B(1/2, 1/2) - ln(1/delta)``.
    """
    if requests == 0:
        return 0.0, 1.0
    good = requests - bad
    floor = log_beta(0.5 + bad, 0.5 + good) - LOG_PI + log(delta)
    if bad == 0:
        return 0.0, -expm1(floor / requests)
    if good == 0:
        return exp(floor / requests), 1.0
    rate = bad / requests
    centre = log(bad / good)
    height = bad * centre - requests * log1p(exp(centre)) - floor
    width = sqrt(2.0 * height / (requests * rate * (1.0 - rate)))
    low = _crossing(bad, requests, floor, centre - width)
    high = _crossing(bad, requests, floor, centre + width)
    return low, high


def _crossing(bad: int, requests: int, floor: float, logit: float) -> float:
    # In the logit the log-likelihood is concave, so that every Newton step from either side of the
    # crossing lands outside of the interval and from there approaches it: stopping early is safe.
    for _ in range(_STEPS):
        odds = exp(logit)
        step = (bad * logit - requests * log1p(odds) - floor) / (
            bad - requests * odds / (1.0 + odds)
        )
        logit -= step
        if -1e-7 < step < 1e-7:
            break
    return 1.0 / (1.0 + exp(-logit))


def ratio_interval(
    candidate: tuple[float, float], stable: tuple[float, float]
) -> tuple[float, float]:
    """Interval of candidate rate / stable rate from the intervals of both.

    It misses with at most the sum of their chances. High is infinite while stable's rate may be 0.
    """
    low, high = candidate
    stable_low, stable_high = stable
    return low / stable_high, (high / stable_low if stable_low > 0.0 else inf)


def least_requests_absolute(rate: float, limit: float, log_threshold: float) -> float:
    """Candidate requests that any test needs to tell ``rate`` from ``limit``.

    Source: Wald (1945): E[requests] >= ln(1/alpha) / KL(rate || limit).
    """
    divergence = kl(rate, limit)
    return log_threshold / divergence if divergence > 0.0 else inf


def least_requests_ratio(
    rate: float, stable_rate: float, share: float, ratio: float, log_threshold: float
) -> float:
    """Candidate requests that any test needs to tell two rates from ``ratio`` between them.

    Args:
        rate: Candidate's bad rate, fraction.
        stable_rate: Stable's bad rate, fraction.
        share: Candidate's share of the requests, in (0, 1).
        ratio: Null hypothesis: candidate rate = ratio * stable rate.
        log_threshold: ln(1/alpha).

    Source: the same bound with stable's requests as the only knowledge of the baseline: the
    least of ``KL(p_c || r p) + ((1-w)/w) KL(p_s || p)`` over p, where its slope, a quadratic, is 0.
    """
    stable_per_candidate = (1.0 - share) / share
    a = ratio * (1.0 + stable_per_candidate)
    b = rate + ratio + stable_per_candidate * (1.0 + stable_rate * ratio)
    c = rate + stable_per_candidate * stable_rate
    base = 2.0 * c / (b + sqrt(max(0.0, b * b - 4.0 * a * c)))
    if base <= 0.0:
        return inf
    divergence = kl(rate, min(1.0, ratio * base)) + stable_per_candidate * kl(stable_rate, base)
    return log_threshold / divergence if divergence > 1e-15 else inf
