"""Small versions of the benchmark's figures, and the rules that it compares with."""

import json

import numpy as np
import pytest
from benchmarks.detection import figures, peers, ramped


@pytest.mark.parametrize("rps", [10.0, 300.0, 10_000.0])
def test_a_dead_candidate_on_the_default_ramp_harms_no_more_than_the_budget(rps: float) -> None:
    random = np.random.default_rng(17)
    outcomes = [
        ramped.release(rps=rps, candidate=1.0, stable=0.005, random=random) for _ in range(150)
    ]
    harmed = np.array([outcome.harmed for outcome in outcomes])
    assert harmed.mean() <= 10
    assert np.quantile(harmed, 0.99) <= 20
    assert not any(outcome.promoted for outcome in outcomes)


def test_a_good_candidate_on_the_default_ramp_is_promoted() -> None:
    random = np.random.default_rng(19)
    outcomes = [
        ramped.release(rps=300.0, candidate=0.001, stable=0.001, random=random) for _ in range(12)
    ]
    assert all(outcome.promoted for outcome in outcomes)


def test_flagger_rolls_back_on_the_check_after_the_fifth_failure() -> None:
    outcome = peers.release(peers.FLAGGER, rps=100.0, rate=1.0, random=np.random.default_rng(1))
    assert not outcome.promoted
    assert outcome.seconds == 360.0
    assert outcome.harmed == outcome.requests == pytest.approx(3_600, rel=0.1)


def test_argo_aborts_on_the_fourth_failure() -> None:
    outcome = peers.release(peers.ARGO, rps=100.0, rate=1.0, random=np.random.default_rng(1))
    assert not outcome.promoted
    assert outcome.seconds == 1_200.0


@pytest.mark.parametrize("rule", [peers.FLAGGER, peers.ARGO], ids=lambda rule: rule.name)
def test_a_rule_promotes_a_candidate_that_never_fails(rule: peers.Rule) -> None:
    assert peers.release(rule, rps=10.0, rate=0.0, random=np.random.default_rng(1)).promoted


def test_a_figure_above_its_goal_does_not_hold() -> None:
    figure = figures.Figure(
        figure="x", value=191.0, low=190.0, high=192.0, unit="requests", goal=190, against="-"
    )
    assert json.loads(figure.line())["holds"] is False


def test_intervals_of_figures_contain_their_value() -> None:
    values = np.random.default_rng(2).poisson(10, 1_000).astype(float)
    for value, low, high in (
        figures.mean(values),
        figures.quantile(values, 0.99),
        figures.share(3, 3_000),
        figures.share(0, 3_000),
    ):
        assert low <= value <= high
    assert figures.share(0, 3_000)[2] == pytest.approx(0.00123, abs=1e-5)
