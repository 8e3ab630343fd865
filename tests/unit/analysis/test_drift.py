"""Drift: alarmed when it is there, silent when it is not, and shown with what chance gives."""

from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
from scipy.stats import chi2, wasserstein_distance

from sluice.analysis.drift import (
    Detector,
    Reference,
    chi_square_quantile,
    detect,
    indices,
)
from sluice.errors import InvariantError

NORMAL = np.random.default_rng(1).normal(size=20_000)
EDGES = tuple(float(e) for e in np.quantile(NORMAL, np.linspace(0, 1, 11)))
KNOWN = Reference(
    edges=EDGES, counts=tuple(int(n) for n in np.histogram(NORMAL, bins=np.array(EDGES))[0])
)


def alarm(shift: float, spread: float, *, batches: int, size: int = 50, seed: int) -> int | None:
    random = np.random.default_rng(seed)
    detector = Detector()
    for _ in range(batches):
        values = random.normal(shift, spread, size)
        detector = detect(detector, KNOWN, KNOWN.binned([float(v) for v in values]))
        if detector.alarmed is not None:
            return detector.alarmed
    return None


def test_each_likelihood_ratio_expects_one_under_the_reference() -> None:
    """By the linearity of the first step: R_1 = L_1, one value in one bin."""
    expected = np.zeros(14)
    for index, share in enumerate(KNOWN.shares):
        counts = [int(index == i) for i in range(10)]
        expected += share * np.exp(detect(Detector(), KNOWN, counts).log_r)
    assert expected == pytest.approx(np.ones(14))


def test_the_statistic_is_the_sum_over_all_starting_times() -> None:
    batches = [KNOWN.binned([0.3, 1.5, -0.2]), KNOWN.binned([2.0, 0.1]), KNOWN.binned([1.0])]
    detector = Detector()
    for counts in batches:
        detector = detect(detector, KNOWN, counts)
    singles = [detect(Detector(), KNOWN, counts).log_r for counts in batches]
    for k, value in enumerate(detector.log_r):
        starts = [exp(sum(one[k] for one in singles[j:])) for j in range(3)]
        assert exp(value) == pytest.approx(sum(starts))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_alarmed_while_nothing_drifts(seed: int) -> None:
    assert alarm(0.0, 1.0, batches=1_000, seed=seed) is None


def test_an_average_run_length_of_a_million_is_no_accident() -> None:
    """At a threshold of 20 instead the mean time to an alarm must be 20 batches or more."""
    times = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        detector, k = Detector(), 0
        while detector.log_e < log(20.0) and k < 400:
            k += 1
            values = random.normal(0.0, 1.0, 5)
            detector = detect(detector, KNOWN, KNOWN.binned([float(v) for v in values]))
        times.append(k)
    assert np.mean(times) >= 20


@pytest.mark.parametrize(
    ("shift", "spread", "within"),
    [
        pytest.param(0.5, 1.0, 8, id="half-a-deviation-up"),
        pytest.param(-0.5, 1.0, 8, id="half-a-deviation-down"),
        pytest.param(2.0, 1.0, 1, id="two-deviations"),
        pytest.param(0.0, 1.6, 8, id="wider"),
        pytest.param(0.0, 0.5, 8, id="narrower"),
    ],
)
def test_a_change_is_alarmed_within_a_few_batches(shift: float, spread: float, within: int) -> None:
    times = [alarm(shift, spread, batches=60, seed=seed) for seed in range(8)]
    assert all(time is not None for time in times)
    assert np.mean([time for time in times if time]) <= within


def test_a_change_that_begins_late_is_alarmed_as_soon() -> None:
    random = np.random.default_rng(4)
    detector = Detector()
    for k in range(600):
        values = random.normal(0.0 if k < 500 else 0.7, 1.0, 50)
        detector = detect(detector, KNOWN, KNOWN.binned([float(v) for v in values]))
    assert detector.alarmed is not None
    assert 500 < detector.alarmed <= 510
    assert detector.began is not None
    assert 495 <= detector.began <= detector.alarmed


def test_values_beyond_the_reference_fall_into_the_outer_bins() -> None:
    assert KNOWN.binned([-99.0, 99.0, EDGES[0], EDGES[-1]]) == (2, *([0] * 8), 2)


def test_the_index_comes_with_what_chance_gives_it() -> None:
    random = np.random.default_rng(9)
    above = 0
    for _ in range(400):
        found = indices(KNOWN, KNOWN.binned([float(v) for v in random.normal(size=200)]))
        above += found.psi > found.psi_by_chance
    assert above <= 4  # one in 1,000 at the level; the rule of thumb 0.1 would cry in a third
    drifted = indices(KNOWN, KNOWN.binned([float(v) for v in random.normal(0.6, 1.0, 200)]))
    assert drifted.psi > drifted.psi_by_chance
    assert drifted.psi_by_chance == pytest.approx(27.877 * (1 / 200 + 1 / 20_000), rel=1e-4)


def test_distances_agree_with_scipy_on_bin_middles() -> None:
    counts = (5, 9, 20, 30, 10, 0, 4, 12, 7, 3)
    found = indices(KNOWN, counts)
    middles = np.array([(a + b) / 2 for a, b in pairwise(EDGES)])
    expected = wasserstein_distance(middles, middles, counts, KNOWN.counts)
    assert found.wasserstein == pytest.approx(expected)
    steps = np.cumsum(counts) / sum(counts) - np.cumsum(KNOWN.counts) / sum(KNOWN.counts)
    assert found.ks == pytest.approx(np.abs(steps).max())


@pytest.mark.parametrize("degrees", [1, 2, 9, 19])
@pytest.mark.parametrize("level", [0.5, 0.05, 0.001])
def test_quantiles_agree_with_scipy(degrees: int, level: float) -> None:
    assert chi_square_quantile(degrees, level) == pytest.approx(chi2.isf(level, degrees))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"edges": (0.0, 1.0), "counts": (2_000,)}, id="one-bin"),
        pytest.param({"edges": (0.0, 1.0, 1.0), "counts": (900, 900)}, id="no-width"),
        pytest.param({"edges": (0.0, 1.0, 2.0), "counts": (400, 400)}, id="few-rows"),
        pytest.param({"edges": (0.0, 1.0), "counts": (900, 900)}, id="edges-missing"),
    ],
)
def test_a_reference_that_says_nothing_is_refused(fault: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(InvariantError):
        Reference(**fault)  # type: ignore[arg-type]  # one wrong shape at a time


def test_a_sample_without_rows_has_no_distance() -> None:
    with pytest.raises(InvariantError):
        indices(KNOWN, (0,) * 10)
