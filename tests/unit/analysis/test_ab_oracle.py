"""Means, intervals and adjustment agree with GrowthBook's engine (gbstats 0.8.0).

Its values were printed by ``benchmarks/oracles/gbstats_values.py`` in an environment of its own,
because it pins old versions of numpy and pandas. The samples are the same sawtooths.
"""

from math import exp

import numpy as np
import pytest
from tests.unit.analysis.test_ab import moments

from sluice.analysis.ab_means import (
    Difference,
    Origin,
    difference,
    half_width,
    log_e_value,
    tuning,
)


def sample(n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(n)
    x = (index * 7 % 23).astype(float)
    return shift + 0.4 * x + (index * 13 % 31) / 3.0, x


def found(control: int, variant: int, shift: float, *, covariate: bool) -> Difference:
    origin = Origin(y=8.0, x=10.0)
    arms = []
    for users, more in ((variant, shift), (control, 0.0)):
        y, x = sample(users, more)
        arms.append(moments(y, x if covariate else None, origin))
    return difference(arms[0], arms[1], origin)


PLAIN = [
    # control, variant, shift, alpha, planned, estimate, variance, low, high, p
    (600, 600, 0.2, 0.05, 5_000, 0.2, 0.0533582101857, -0.557832356060, 0.957832356060, 1.0),
    (900, 300, 1.5, 0.01, 40_000, 1.492888888889, 0.071116288701, -0.128906938980,
     3.114684716758, 0.020660962616),
]  # fmt: skip
CUPED = [
    (600, 600, 0.2, 0.05, 5_000, 0.2, 0.029724708682, -0.365628547743, 0.765628547743, 1.0,
     0.400715853219),
    (900, 300, 1.5, 0.01, 40_000, 1.502198256803, 0.039728876636, 0.290024773900, 2.714371739705,
     0.000783206915, 0.398972910588),
]  # fmt: skip


@pytest.mark.parametrize("case", PLAIN, ids=["equal", "unequal"])
def test_means_agree(case: tuple[float, ...]) -> None:
    control, variant, shift, alpha, planned, estimate, variance, low, high, p = case
    ours = found(int(control), int(variant), shift, covariate=False)
    rho = tuning(planned, alpha)
    half = half_width(ours, rho, alpha)
    assert (ours.estimate, ours.variance) == pytest.approx((estimate, variance), rel=1e-9)
    assert (ours.estimate - half, ours.estimate + half) == pytest.approx((low, high), rel=1e-9)
    assert min(1.0, exp(-log_e_value(ours, rho))) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize("case", CUPED, ids=["equal", "unequal"])
def test_adjusted_means_agree(case: tuple[float, ...]) -> None:
    """Theirs takes theta over both arms as one; ours makes the variance smallest."""
    control, variant, shift, alpha, planned, estimate, variance, low, high, _, theta = case
    ours = found(int(control), int(variant), shift, covariate=True)
    half = half_width(ours, tuning(planned, alpha), alpha)
    assert ours.theta == pytest.approx(theta, rel=0.01)
    assert ours.estimate == pytest.approx(estimate, rel=1e-3)
    assert ours.variance == pytest.approx(variance, rel=1e-4)
    assert ours.variance <= variance * (1 + 1e-9)
    assert (ours.estimate - half, ours.estimate + half) == pytest.approx((low, high), rel=2e-3)
