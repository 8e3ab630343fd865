"""How often the checks are wrong and how soon they are right: Monte-Carlo with fixed seeds.

The twin runs thousands of paths; ``test_twin.py`` holds it to the real thing.
"""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.detection.twin import Twin, binomials, polls_until_failed
from scipy.stats import binomtest
from tests.unit.analysis.traffic import CONFIG

from sluice.analysis import AnalysisConfig
from sluice.analysis.bounds import least_requests_ratio

LOOSE = replace(CONFIG, alpha=0.05)
PATHS = 1_000


def false_alarms(failed: int, alpha: float) -> bool:
    """Whether so many of ``PATHS`` equal candidates failed that alpha cannot be true."""
    return bool(binomtest(failed, PATHS, alpha, alternative="greater").pvalue < 1e-4)


@pytest.mark.parametrize("rate", [0.001, 0.005, 0.01])
def test_an_equal_candidate_fails_with_at_most_alpha(rate: float) -> None:
    config = replace(LOOSE, polls=1_000)
    found = polls_until_failed(
        config, lambda _: (10, rate, 90, rate), paths=PATHS, polls=1_000, seed=101
    )
    assert not false_alarms(int((found <= 1_000).sum()), 0.05)


def test_a_candidate_at_the_edge_of_what_is_allowed_fails_with_at_most_alpha() -> None:
    found = polls_until_failed(
        LOOSE, lambda _: (10, 0.0055, 30, 0.005), paths=PATHS, polls=1_000, seed=103
    )
    failed = int((found <= 1_000).sum())
    assert not false_alarms(failed, 0.05)
    assert failed > 0  # the test is not vacuous: some are unlucky


def test_weights_that_change_with_every_poll_do_not_matter() -> None:
    def draw(k: int) -> tuple[int, float, int, float]:
        candidate = (1, 3, 10, 50, 90)[k % 5]
        return candidate, 0.01, 100 - candidate, 0.01

    found = polls_until_failed(LOOSE, draw, paths=PATHS, polls=1_000, seed=107)
    assert not false_alarms(int((found <= 1_000).sum()), 0.05)


def test_a_false_alarm_would_be_seen() -> None:
    """The same count for a rule that looks at every poll with a fixed threshold."""
    random = np.random.default_rng(109)
    n_c = n_s = 0
    bad_c, bad_s = np.zeros(PATHS), np.zeros(PATHS)
    alarmed = np.zeros(PATHS, bool)
    for _ in range(1_000):
        n_c, n_s = n_c + 10, n_s + 90
        bad_c += binomials(random, 10, 0.01, PATHS)
        bad_s += binomials(random, 90, 0.01, PATHS)
        pooled = (bad_c + bad_s) / (n_c + n_s)
        sigma = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n_c + 1 / n_s))
        alarmed |= (bad_c / n_c - bad_s / n_s > 1.645 * sigma) & (bad_c >= 5)
    assert false_alarms(int(alarmed.sum()), 0.05)


@pytest.mark.parametrize("rate", [0.015, 0.05, 0.8])
@pytest.mark.parametrize(("candidate", "stable"), [(1, 9), (5, 5), (25, 25), (500, 500)], ids=str)
def test_an_incident_that_hits_both_rarely_turns_back_a_good_candidate(
    rate: float, candidate: int, stable: int
) -> None:
    def draw(k: int) -> tuple[int, float, int, float]:
        now = rate if 30 < k <= 330 else 0.002
        return candidate, now, stable, now

    found = polls_until_failed(CONFIG, draw, paths=250, polls=360, seed=113)
    # Without the CUSUM over polls 60% to 100% of these candidates are turned back.
    assert (found <= 360).mean() <= 0.02


def detected(config: AnalysisConfig, rate: float, *, after: int = 0, paths: int) -> float:
    """Mean candidate requests from the fault on, in polls of 10 candidate and 90 stable."""
    found = polls_until_failed(
        config,
        lambda k: (10, rate if k > after else 0.005, 90, 0.005),
        paths=paths,
        polls=after + 1_000,
        seed=127,
    )
    assert (found <= after).sum() == 0
    return float((found - after).mean()) * 10


def test_a_fault_of_five_percent_is_found_within_190_requests() -> None:
    assert detected(CONFIG, 0.05, paths=40_000) <= 190


def test_a_fault_after_ten_thousand_healthy_requests_is_found_within_330() -> None:
    assert detected(CONFIG, 0.05, after=1_000, paths=800) <= 330
    assert detected(replace(CONFIG, gamma0=1.0), 0.05, after=1_000, paths=100) > 900


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2])
def test_detection_stays_within_reach_of_the_information_limit(rate: float) -> None:
    found = polls_until_failed(
        CONFIG, lambda _: (1, rate, 9, 0.005), paths=1_000, polls=5_000, seed=131
    )
    limit = least_requests_ratio(rate, 0.005, 0.1, CONFIG.objectives[0].max_ratio, 6.9078)
    assert found.mean() <= 1.55 * limit


def passed_at(rate: float, polls: int, paths: int, *, share: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(137)
    twin = Twin(CONFIG, paths)
    first = np.full(paths, polls + 1)
    for k in range(1, polls + 1):
        twin.step(
            share[0],
            binomials(random, share[0], rate, paths),
            share[1],
            binomials(random, share[1], rate, paths),
        )
        first = np.where((first > polls) & twin.passed, k, first)
    return first * share[0]


def test_an_equal_candidate_passes_by_budget_soon() -> None:
    requests = passed_at(0.001, 500, 500, share=(20, 20))
    assert np.median(requests) <= 2_000
    assert np.quantile(requests, 0.95) <= 6_000


def test_an_equal_candidate_passes_by_ratio_where_the_budget_cannot_tell() -> None:
    requests = passed_at(0.005, 500, 300, share=(50, 50))
    limit = least_requests_ratio(0.005, 0.005, 0.5, 2.0, np.log(40))
    assert requests.mean() <= 1.5 * limit
    assert np.quantile(requests, 0.95) <= 3.5 * limit


@pytest.mark.parametrize("stable", [0.01, 0.002])
def test_a_candidate_at_the_pass_margin_passes_with_at_most_beta(stable: float) -> None:
    random = np.random.default_rng(139)
    # Twice stable's rate and at least half of the error budget: both null hypotheses hold.
    rate = max(2 * stable, 0.005)
    config = replace(CONFIG, alpha=1e-9)
    twin = Twin(config, PATHS)
    passed = np.zeros(PATHS, bool)
    for _ in range(400):
        twin.step(50, binomials(random, 50, rate, PATHS), 50, binomials(random, 50, stable, PATHS))
        passed |= twin.passed
    assert not false_alarms(int(passed.sum()), 0.05)
