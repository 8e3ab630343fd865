import random
from itertools import pairwise

import pytest
from scipy.stats import beta

from sluice.analysis.binomial import (
    LEAST_SLICES,
    design_effect,
    lower_bound,
    requests_to_decide,
    upper_bound,
)
from sluice.analysis.latency import EDGES_MS, FINENESS, bucket_of, quantile_ms, slower_than
from sluice.nouns import LATENCY_GRID_MS


@pytest.mark.parametrize("requests", [1, 30, 299, 2_995, 1_000_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_bounds_are_those_of_another_implementation(
    requests: int, share: float, confidence: float
) -> None:
    bad = round(share * requests)
    high = 1.0 if bad == requests else beta.ppf(confidence, bad + 1, requests - bad)
    low = 0.0 if bad == 0 else beta.ppf(1 - confidence, bad, requests - bad + 1)
    assert upper_bound(bad, requests, confidence=confidence) == pytest.approx(high, rel=1e-8)
    assert lower_bound(bad, requests, confidence=confidence) == pytest.approx(low, rel=1e-8)


@pytest.mark.parametrize(
    ("limit", "least"), [(0.01, 299), (0.005, 598), (0.001, 2_995), (0.0001, 29_956)]
)
def test_least_requests_without_a_bad_one(limit: float, least: int) -> None:
    assert upper_bound(0, least, confidence=0.95) <= limit
    assert upper_bound(0, least - 1, confidence=0.95) > limit
    assert requests_to_decide(0.0, limit, confidence=0.95) == pytest.approx(least, abs=1)


def test_requests_to_decide_really_decide() -> None:
    passing = requests_to_decide(0.005, 0.01, confidence=0.95, effect=2.0)
    assert upper_bound(0.005 * passing / 2, passing / 2, confidence=0.95) <= 0.01
    failing = requests_to_decide(0.02, 0.01, confidence=0.95)
    assert lower_bound(0.02 * failing, failing, confidence=0.95) > 0.01
    assert requests_to_decide(0.01, 0.01, confidence=0.95) == float("inf")


def test_independent_requests_have_a_design_effect_near_one() -> None:
    draw = random.Random(5)
    slices = [(200, sum(draw.random() < 0.05 for _ in range(200))) for _ in range(300)]
    effect = design_effect(slices)
    assert effect is not None
    assert 1.0 <= effect < 1.8


def test_requests_that_fail_together_are_worth_less() -> None:
    slices = [(100, 100 if at % 10 in (8, 9) else 0) for at in range(60)]
    effect = design_effect(slices)
    assert effect is not None
    assert effect > 100


def test_a_fault_longer_than_a_slice_shows_in_longer_slices() -> None:
    draw = random.Random(2)
    slices = [(20, draw.choice([0, 20]) if at % 8 == 0 else 0) for at in range(240)]
    long = [(20, slices[at - at % 8][1]) for at in range(240)]
    one, eight = design_effect(slices), design_effect(long)
    assert one is not None
    assert eight is not None
    assert eight > 4 * one


def test_few_slices_say_nothing_about_it() -> None:
    assert design_effect([(10, 1)] * (LEAST_SLICES - 1)) is None
    assert design_effect([(10, 0)] * LEAST_SLICES) == 1.0


def test_every_threshold_of_an_slo_is_counted_exactly() -> None:
    for ms in LATENCY_GRID_MS:
        assert float(ms) in EDGES_MS
        assert slower_than({bucket_of(float(ms)): 1}, ms) == 0
        assert slower_than({bucket_of(ms * 1.0001): 1}, ms) == 1


def test_buckets_are_fine_enough_for_percentiles() -> None:
    assert max(high / low for low, high in pairwise(EDGES_MS)) <= FINENESS + 1e-9
    draw = random.Random(1)
    values = sorted(draw.lognormvariate(3, 1) for _ in range(20_000))
    buckets: dict[int, int] = {}
    for value in values:
        buckets[bucket_of(value)] = buckets.get(bucket_of(value), 0) + 1
    for q in (0.5, 0.95, 0.99):
        assert quantile_ms(buckets, q) == pytest.approx(values[int(q * 20_000) - 1], rel=0.02)


def test_latencies_beyond_the_last_bucket_are_still_counted() -> None:
    assert slower_than({bucket_of(1e9): 3}, LATENCY_GRID_MS[-1]) == 3
    assert quantile_ms({bucket_of(1e9): 3}, 0.5) == EDGES_MS[-1]
