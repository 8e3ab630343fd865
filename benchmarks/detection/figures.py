"""One figure that is held, and the intervals around it."""

import json
from dataclasses import dataclass
from math import floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

_Z = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value with its 95% interval, the goal it must not exceed, and who else was run."""

    figure: str
    value: float
    low: float
    high: float
    unit: str
    goal: float
    against: str

    @property
    def holds(self) -> bool:
        return self.value <= self.goal

    def line(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(
            {
                "figure": self.figure,
                "value": round(self.value, 6),
                "low": round(self.low, 6),
                "high": round(self.high, 6),
                "unit": self.unit,
                "goal": self.goal,
                "against": self.against,
                "holds": self.holds,
            }
        )


def mean(values: NDArray[np.floating[Any]]) -> tuple[float, float, float]:
    """(mean, low, high) by the normal approximation; for hundreds of paths or more."""
    centre = float(values.mean())
    half = _Z * float(values.std(ddof=1)) / sqrt(values.size)
    return centre, centre - half, centre + half


def share(hits: int, paths: int) -> tuple[float, float, float]:
    """(share, low, high), exact (Clopper-Pearson)."""
    low = float(beta.ppf(0.025, hits, paths - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, paths - hits)) if hits < paths else 1.0
    return hits / paths, low, high


def quantile(values: NDArray[np.floating[Any]], level: float) -> tuple[float, float, float]:
    """(quantile, low, high) from order statistics, free of assumptions."""
    ordered = np.sort(values)
    last = ordered.size - 1
    low = int(binom.ppf(0.025, ordered.size, level)) - 1
    high = int(binom.ppf(0.975, ordered.size, level))
    at = floor(level * ordered.size)
    return (
        float(ordered[min(last, at)]),
        float(ordered[max(0, low)]),
        float(ordered[min(last, high)]),
    )
