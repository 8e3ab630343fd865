"""Drift: whether what a model sees or says is distributed as it was in its training data.

It hits every version alike, so it turns nobody back: it warns. The alarm is an e-detector over
bins, with a known average run length; the usual indices are shown beside it, the population
stability index with the value that chance alone gives it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, lgamma, log, sqrt

from sluice.errors import InvariantError

RUN_LENGTH = 1e6
"""Batches between two false alarms, at least, on average."""
LEAST_REFERENCE = 1_000
"""Rows that a reference needs: with fewer its own noise looks like the smallest shift."""
_SHIFTS = (0.25, 0.5, 1.0, 2.0)
_SPREADS = (0.25, 0.5, 1.0)
_LEVEL = 0.001
_LARGEST = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Histogram of a feature or of a prediction in the training data."""

    edges: tuple[float, ...]
    """Ascending, one more than there are bins; values outside belong to the outer bins."""
    counts: tuple[int, ...]
    """Rows by bin."""

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1 or len(self.counts) < 2:
            raise InvariantError("a reference needs two bins, and one edge more than bins")
        if any(a >= b for a, b in pairwise(self.edges)):
            raise InvariantError("the edges of a reference must ascend")
        if min(self.counts) < 0 or sum(self.counts) < LEAST_REFERENCE:
            raise InvariantError(f"a reference needs {LEAST_REFERENCE:,} rows")

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each bin; half a row more, so that none is impossible."""
        whole = sum(self.counts) + 0.5 * len(self.counts)
        return tuple((count + 0.5) / whole for count in self.counts)

    def binned(self, values: Sequence[float]) -> tuple[int, ...]:
        """How many values fall into each bin."""
        counts = [0] * len(self.counts)
        inner = self.edges[1:-1]
        for value in values:
            counts[bisect_right(inner, value)] += 1
        return tuple(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """The evidence that the distribution has changed at some time."""

    log_r: tuple[float, ...] = ()
    """ln of the Shiryaev-Roberts statistic of each alternative; empty: nothing seen."""
    batches: int = 0
    began: int | None = None
    """Batch at which the evidence began to grow to what it is now; None: there is none."""
    alarmed: int | None = None
    """First batch at which the alarm rose."""

    @property
    def log_e(self) -> float:
        """Ln of the mean over alternatives; 0 before anything was seen."""
        return _log_mean(self.log_r) if self.log_r else 0.0


def detect(detector: Detector, known: Reference, counts: Sequence[int]) -> Detector:
    """The evidence after one batch.

    ``R_t = (R_{t-1} + 1) L_t`` for each alternative, L_t the likelihood ratio of the batch against
    the reference; the mean over alternatives reaches A for the first time after A batches or more
    on average, as long as nothing drifts. Alternatives tilt the reference along its bins: to both
    sides by 0.25 to 2 standard deviations of the bin's score, and to more or less spread. Smaller
    shifts are never alarmed: the reference itself is not known better.

    Args:
        detector: What was returned last.
        known: The reference.
        counts: Values of the batch by bin.

    Source: Shin, Ramdas, Rinaldo, E-detectors (NEJSDS 2024).
    """
    tilts = _tilts(known.shares)
    before = detector.log_r or (float("-inf"),) * len(tilts)
    log_r = tuple(
        [
            _log_plus_one(value) + sum(n * step for n, step in zip(counts, tilt, strict=True))
            for value, tilt in zip(before, tilts, strict=True)
        ]
    )
    batches = detector.batches + 1
    value = _log_mean(log_r)
    began = detector.began
    if value <= 0.0:
        began = None
    elif began is None:
        began = batches
    alarmed = detector.alarmed
    if alarmed is None and value >= log(RUN_LENGTH):
        alarmed = batches
    return Detector(log_r=log_r, batches=batches, began=began, alarmed=alarmed)


def _tilts(shares: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """ln(alternative / reference) of each bin, one row per alternative."""
    middles, below = [], 0.0
    for share in shares:
        middles.append(below + share / 2.0)
        below += share
    location = _standardised(middles, shares)
    spread = _standardised([z * z for z in location], shares)
    exponents = [(sign * size, location) for size in _SHIFTS for sign in (1.0, -1.0)]
    exponents += [(sign * size, spread) for size in _SPREADS for sign in (1.0, -1.0)]
    return tuple(_tilted(size, score, shares) for size, score in exponents)


def _standardised(score: Sequence[float], shares: Sequence[float]) -> list[float]:
    mean = sum(s * share for s, share in zip(score, shares, strict=True))
    spread = sqrt(sum((s - mean) ** 2 * share for s, share in zip(score, shares, strict=True)))
    # Two equal bins have no spread to speak of: that alternative then is the reference itself.
    return [(s - mean) / spread if spread > 1e-9 else 0.0 for s in score]


def _tilted(size: float, score: Sequence[float], shares: Sequence[float]) -> tuple[float, ...]:
    whole = sum(share * exp(size * z) for share, z in zip(shares, score, strict=True))
    return tuple(size * z - log(whole) for z in score)


def _log_plus_one(value: float) -> float:
    """ln(e^value + 1)."""
    if value > _LARGEST:
        return value
    return log(exp(value) + 1.0)


def _log_mean(values: Sequence[float]) -> float:
    top = max(values)
    return top + log(sum(exp(value - top) for value in values) / len(values))


# --- indices -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """How far a sample lies from its reference, descriptively."""

    rows: int
    psi: float
    """Population stability index."""
    psi_by_chance: float
    """What it exceeds in one of 1,000 samples of this size although nothing drifts."""
    ks: float
    """Largest difference of the two distribution functions at the edges."""
    wasserstein: float
    """Work to turn one into the other, in units of the value, each bin at its middle."""


def indices(known: Reference, counts: Sequence[int]) -> Indices:
    """Distances between a sample and its reference.

    Args:
        known: The reference.
        counts: Values of the sample by bin, at least one.

    Source: of the null distribution of the index, Yurdakul & Naranjo (J. Risk Model Validation):
    ``PSI / (1/n + 1/m)`` is chi-square with one degree less than bins.
    """
    n, m = sum(counts), sum(known.counts)
    if n == 0:
        raise InvariantError("a sample without rows has no distance")
    size = len(counts)
    shares = [(count + 0.5) / (n + 0.5 * size) for count in counts]
    psi = sum((p - q) * log(p / q) for p, q in zip(shares, known.shares, strict=True))
    apart, ks, work = 0.0, 0.0, 0.0
    middles = [(a + b) / 2.0 for a, b in pairwise(known.edges)]
    for index in range(size - 1):
        apart += counts[index] / n - known.counts[index] / m
        ks = max(ks, abs(apart))
        work += abs(apart) * (middles[index + 1] - middles[index])
    return Indices(
        rows=n,
        psi=psi,
        psi_by_chance=chi_square_quantile(size - 1, _LEVEL) * (1.0 / n + 1.0 / m),
        ks=ks,
        wasserstein=work,
    )


def chi_square_quantile(degrees: int, level: float) -> float:
    """The value that a chi-square variable exceeds with probability ``level``."""
    low, high = 0.0, 10.0 + 10.0 * degrees
    while _chi_square_tail(degrees, high) > level:
        high *= 2.0
    for _ in range(80):
        middle = (low + high) / 2.0
        if _chi_square_tail(degrees, middle) > level:
            low = middle
        else:
            high = middle
    return high


def _chi_square_tail(degrees: int, value: float) -> float:
    """P(chi-square > value): the series of the lower incomplete gamma function."""
    a, x = degrees / 2.0, value / 2.0
    if x <= 0.0:
        return 1.0
    term = total = 1.0 / a
    n = 0
    while term > total * 1e-16:
        n += 1
        term *= x / (a + n)
        total += term
    return max(0.0, 1.0 - total * exp(a * log(x) - x - lgamma(a)))
