from dataclasses import replace
from itertools import pairwise
from math import log1p

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.engine.ramp import ACTUATION_S, next_weight_bp
from sluice.nouns import BP_TOTAL, Evidence

UNKNOWN = Evidence(
    objective="availability",
    n_candidate=0,
    bad_candidate=0,
    n_stable=0,
    bad_stable=0,
    rate_candidate=0.0,
    low=0.0,
    high=1.0,
    upper=1.0,
    baseline=0.0,
)
KNOWN = replace(UNKNOWN, n_candidate=1_000, n_stable=9_000, upper=0.011, baseline=0.001)


def weight(
    *evidence: Evidence,
    current_bp: int = 0,
    max_bp: int = 5_000,
    growth: float = 3.0,
    rate_rps: float | None = 1_000.0,
    interval_s: float = 1.0,
    actuation_s: float = 0.0,
) -> int:
    return next_weight_bp(
        current_bp=current_bp,
        max_bp=max_bp,
        growth=growth,
        harm_budget=10.0,
        evidence=evidence,
        rate_rps=rate_rps,
        interval_s=interval_s,
        actuation_s=actuation_s,
    )


def test_the_first_weight_costs_the_budget_should_the_candidate_be_dead() -> None:
    assert weight(UNKNOWN) == 100  # 10 of 1,000 requests in one second
    assert weight() == 100
    assert weight(UNKNOWN, interval_s=2.0) == 50
    assert weight(UNKNOWN, actuation_s=1.0) == 50


def test_the_time_until_a_decision_takes_effect_is_part_of_the_interval() -> None:
    assert weight(UNKNOWN, actuation_s=ACTUATION_S) == 95
    default = next_weight_bp(
        current_bp=0,
        max_bp=5_000,
        growth=3.0,
        harm_budget=10.0,
        evidence=(UNKNOWN,),
        rate_rps=1_000.0,
        interval_s=1.0,
    )
    assert default == 95


def test_an_unknown_rate_or_interval_gives_the_least_weight() -> None:
    assert weight(KNOWN, current_bp=900, rate_rps=None) == 1
    assert weight(KNOWN, current_bp=900, interval_s=0.0) == 1


def test_without_traffic_the_weight_stays() -> None:
    assert weight(UNKNOWN, rate_rps=0.0) == 1
    assert weight(KNOWN, current_bp=900, rate_rps=0.0) == 900
    assert weight(KNOWN, current_bp=900, max_bp=500, rate_rps=0.0) == 500


def test_growth_limits_every_step_but_the_first() -> None:
    assert weight(KNOWN, current_bp=100) == 300
    assert weight(KNOWN, current_bp=3_000) == 5_000
    assert weight(KNOWN, current_bp=1, growth=1.5) == 2


def test_what_is_not_known_to_be_good_bounds_the_weight() -> None:
    assert weight(replace(KNOWN, upper=0.201), current_bp=1_000) == 500


def test_the_worst_objective_counts() -> None:
    bad = replace(KNOWN, objective="latency", upper=0.501)
    assert weight(KNOWN, bad, current_bp=1_000) == weight(bad, current_bp=1_000) == 200


def test_a_candidate_proven_better_than_stable_is_bounded_by_growth_alone() -> None:
    better = replace(KNOWN, upper=0.001, baseline=0.01)
    assert weight(better, current_bp=100) == 300


@settings(deadline=None)
@given(
    current_bp=st.integers(0, BP_TOTAL),
    max_bp=st.integers(1, BP_TOTAL - 1),
    growth=st.floats(1.01, 20),
    budget=st.floats(0.1, 1e4),
    upper=st.floats(0, 1),
    baseline=st.floats(0, 1),
    rate=st.none() | st.floats(0, 1e7),
    interval=st.floats(0, 600),
)
def test_the_weight_is_in_bounds_and_the_expected_harm_within_budget(
    current_bp: int,
    max_bp: int,
    growth: float,
    budget: float,
    upper: float,
    baseline: float,
    rate: float | None,
    interval: float,
) -> None:
    evidence = replace(KNOWN, upper=upper, baseline=baseline)
    chosen = next_weight_bp(
        current_bp=current_bp,
        max_bp=max_bp,
        growth=growth,
        harm_budget=budget,
        evidence=(evidence,),
        rate_rps=rate,
        interval_s=interval,
    )
    assert 1 <= chosen <= max_bp
    if current_bp:
        assert chosen <= max(growth * current_bp, current_bp + 1)
    if rate and interval > 0 and chosen > 1:
        harm = rate * (interval + ACTUATION_S) * chosen / BP_TOTAL * (upper - baseline)
        assert harm <= budget * (1 + 1e-9)


@pytest.mark.parametrize("rate_rps", [10.0, 1_000.0, 100_000.0])
def test_a_flawless_candidate_reaches_the_cap(rate_rps: float) -> None:
    path, requests = [0], 0.0
    while path[-1] < 5_000:
        upper = 1.0 if requests < 1 else min(1.0, log1p(requests) * 5 / requests)
        known = replace(KNOWN, n_candidate=int(requests), upper=upper, baseline=0.0)
        path.append(weight(known, current_bp=path[-1], rate_rps=rate_rps))
        requests += rate_rps * path[-1] / BP_TOTAL
        assert len(path) < 1_000
    assert all(b >= a for a, b in pairwise(path))
