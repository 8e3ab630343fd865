"""Intervals, e-values and shares agree with ``ville`` 0.1.0 and ``savvi`` 0.3.1.

Their values were printed by ``benchmarks/oracles/savvi_ville_values.py`` in an environment of its
own: they bring 600 MB of packages that nothing else needs.
"""

from math import log, log1p

import pytest

from sluice.analysis.bounds import rate_interval
from sluice.analysis.logmath import LOG_PI, log_beta
from sluice.analysis.srm import SrmState, srm_update

INTERVALS = (
    # bad, requests, delta, low, high
    (0, 30, 0.01, 0.0, 0.20499749213513835),
    (3, 200, 0.01, 0.0004716021428399286, 0.07466343627870181),
    (61, 1000, 0.05, 0.037183269783197526, 0.09258561452313269),
    (25, 25, 0.01, 0.7620989254269015, 1.0),
    (400, 9000, 0.001, 0.03472222632523231, 0.05574193637773445),
)
TESTS = (
    # bad, requests, null rate, ln of the e-value of a Beta(1/2, 1/2) mixture
    (3, 200, 0.01, -2.6704551658195523),
    (20, 500, 0.01, 9.620059158568125),
    (60, 1000, 0.05, -2.6883804479657556),
    (0, 400, 0.02, 4.5126732106105605),
)
SHARES = (
    # counts, planned shares, ln of the e-value at k = 1000
    ((90, 910), (0.1, 0.9), -0.042096106922599574),
    ((160, 840), (0.1, 0.9), 8.764688048088885),
    ((210, 330, 460), (0.2, 0.3, 0.5), 0.9627851663617548),
)


@pytest.mark.parametrize(("bad", "requests", "delta", "low", "high"), INTERVALS)
def test_intervals_agree_with_ville(
    bad: int, requests: int, delta: float, low: float, high: float
) -> None:
    assert rate_interval(bad, requests, delta) == pytest.approx((low, high), abs=2e-6)


@pytest.mark.parametrize(("bad", "requests", "null", "log_e"), TESTS)
def test_the_mixture_behind_the_intervals_agrees_with_ville(
    bad: int, requests: int, null: float, log_e: float
) -> None:
    good = requests - bad
    ours = log_beta(0.5 + bad, 0.5 + good) - LOG_PI - bad * log(null) - good * log1p(-null)
    assert ours == pytest.approx(log_e, abs=1e-8)


@pytest.mark.parametrize(("counts", "planned", "log_e"), SHARES)
def test_shares_agree_with_savvi(
    counts: tuple[int, ...], planned: tuple[float, ...], log_e: float
) -> None:
    assert srm_update(SrmState(), counts, planned).log_e == pytest.approx(log_e, abs=1e-8)
