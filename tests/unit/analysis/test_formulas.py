"""Every formula against an oracle that shares no code with it: scipy, or a sum by hand."""

from math import inf, log

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betaln, logsumexp
from scipy.stats import beta, binom
from tests.unit.analysis.traffic import AVAILABILITY, LATENCY

from sluice.analysis import bounds, checks, incident, logmath
from sluice.analysis.checks import Batch
from sluice.analysis.mixture import ONCE, Restarts, fresh, score

BETS = checks.bets(AVAILABILITY)
COUNTS = [(0, 1), (1, 1), (0, 500), (500, 500), (1, 1_000_000), (7, 187), (999, 1_000), (3, 10)]


@pytest.mark.parametrize(("bad", "requests"), COUNTS)
@pytest.mark.parametrize("delta", [0.05, 0.01, 1e-6])
def test_the_rate_interval_ends_where_the_beta_mixture_reaches_one_over_delta(
    bad: int, requests: int, delta: float
) -> None:
    low, high = bounds.rate_interval(bad, requests, delta)

    def log_mixture(rate: float) -> float:
        marginal = betaln(0.5 + bad, 0.5 + requests - bad) - betaln(0.5, 0.5)
        return float(marginal - bad * log(rate) - (requests - bad) * np.log1p(-rate))

    observed = bad / requests
    if bad == 0:
        assert low == 0.0
    else:
        assert log_mixture(low) == pytest.approx(-log(delta), abs=1e-4)
        assert low < observed
    if bad == requests:
        assert high == 1.0
    else:
        root = brentq(
            lambda m: log_mixture(m) + log(delta), max(observed, 1e-12), 1 - 1e-12, xtol=1e-15
        )
        assert high == pytest.approx(root, rel=1e-6)
        assert observed < high


def test_without_requests_nothing_is_known() -> None:
    assert bounds.rate_interval(0, 0, 0.01) == (0.0, 1.0)


def test_the_anytime_interval_contains_the_one_for_a_single_look() -> None:
    low, high = bounds.rate_interval(7, 187, 0.05)
    assert low < beta.ppf(0.025, 7, 181) < beta.ppf(0.975, 8, 180) < high


def test_the_interval_covers_the_true_rate_over_all_looks() -> None:
    random = np.random.default_rng(20_261_121)
    rate, delta, missed = 0.03, 0.2, 0
    for _ in range(200):
        bad = np.cumsum(random.random(400) < rate)
        bounds_at = [bounds.rate_interval(int(x), n, delta) for n, x in enumerate(bad, start=1)]
        missed += any(not low <= rate <= high for low, high in bounds_at)
    assert 0 < missed <= 0.2 * 200


def test_ratio_interval_is_open_above_until_stable_has_failed() -> None:
    assert bounds.ratio_interval((0.01, 0.05), (0.0, 0.02)) == (0.5, inf)
    assert bounds.ratio_interval((0.01, 0.05), (0.001, 0.02)) == (0.5, 50.0)


def bernoulli_kl(p: float, q: float) -> float:
    return float(sum(a * log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0))


@pytest.mark.parametrize(("p", "q"), [(0.05, 0.01), (0.0, 0.01), (1.0, 0.01), (0.3, 0.3)])
def test_kl_is_the_sum_over_both_outcomes(p: float, q: float) -> None:
    assert logmath.kl(p, q) == pytest.approx(bernoulli_kl(p, q), abs=1e-15)


def test_kl_is_infinite_where_the_null_excludes_what_happens() -> None:
    assert logmath.kl(0.1, 0.0) == inf
    assert logmath.kl(0.9, 1.0) == inf


@pytest.mark.parametrize(
    ("rate", "stable_rate", "share", "ratio"),
    [(0.05, 0.005, 0.1, 1.0), (0.05, 0.005, 0.1, 1.1), (1.0, 0.01, 0.5, 1.1), (0.2, 0.0, 0.1, 1.1)],
)
def test_the_limit_of_a_ratio_is_the_least_divergence_over_all_baselines(
    rate: float, stable_rate: float, share: float, ratio: float
) -> None:
    def divergence(base: float) -> float:
        return bernoulli_kl(rate, ratio * base) + (1 - share) / share * bernoulli_kl(
            stable_rate, base
        )

    least = minimize_scalar(
        divergence, bounds=(1e-9, (1 - 1e-12) / ratio), method="bounded", options={"xatol": 1e-13}
    ).fun
    found = bounds.least_requests_ratio(rate, stable_rate, share, ratio, log(1000))
    assert found == pytest.approx(log(1000) / least, rel=1e-6)


def test_the_limit_of_the_headline_figure_is_125_requests() -> None:
    assert bounds.least_requests_ratio(0.05, 0.005, 0.1, 1.0, log(1000)) == pytest.approx(
        125, abs=1
    )


def test_nothing_can_tell_equal_rates_apart() -> None:
    assert bounds.least_requests_ratio(0.01, 0.01, 0.1, 1.0, log(1000)) == inf
    assert bounds.least_requests_ratio(0.0, 0.0, 0.1, 2.0, log(20)) == inf
    assert bounds.least_requests_absolute(0.01, 0.01, log(1000)) == inf


def test_the_absolute_limit_is_wald_s() -> None:
    limit = bounds.least_requests_absolute(0.05, 0.01, log(1000))
    assert limit == pytest.approx(log(1000) / bernoulli_kl(0.05, 0.01))


BATCH = Batch(n_candidate=13, bad_candidate=2, n_stable=87, bad_stable=1)


def test_regression_is_the_binomial_likelihood_of_who_got_the_bad_answers() -> None:
    share, r0 = 0.13, 1.1
    factors = checks.comparison_factors(BETS.ratios, BATCH)
    assert factors is not None
    null = share * r0 / (share * r0 + 1 - share)
    for rho, factor in zip((1.5, 2.5, 5, 10, 30, 100, 1000), factors, strict=True):
        tilted = share * rho * r0 / (share * rho * r0 + 1 - share)
        expected = binom.logpmf(2, 3, tilted) - binom.logpmf(2, 3, null)
        assert factor == pytest.approx(expected)


def test_slo_is_the_likelihood_of_the_answers_at_each_bad_rate() -> None:
    factors = checks.slo_factors(BETS, BATCH)
    expected = [
        binom.logpmf(2, 13, g) - binom.logpmf(2, 13, 0.01)
        for g in (0.02, 0.03, 0.05, 0.1, 0.25, 0.8)
    ]
    assert factors == pytest.approx(expected)


def test_stable_is_watched_at_the_rates_of_slo_and_a_milder_one() -> None:
    factors = checks.watch_factors(BETS, BATCH)
    expected = [
        binom.logpmf(1, 87, g) - binom.logpmf(1, 87, 0.01)
        for g in (0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.8)
    ]
    assert factors == pytest.approx(expected)


@pytest.mark.parametrize("target", [0.5, 0.75, 0.9, 0.99, 0.999, 0.1, 0.001])
def test_the_slo_grid_lies_above_the_error_budget_for_any_target(target: float) -> None:
    objective = checks.bets(type(LATENCY)(name="x", kind="availability", target=target))
    assert objective.slo
    assert all(up > 0.0 > down for up, down in objective.slo)
    assert all(up > 0.0 > down for up, down in objective.watch)


def test_pass_by_ratio_is_regression_with_the_roles_swapped() -> None:
    share, r1 = 0.13, 2.0
    (factor,) = checks.ratio_factors(BETS, BATCH) or ()
    null = share * r1 / (share * r1 + 1 - share)
    expected = 2 * log(share / null) + 1 * log((1 - share) / (1 - null))
    assert factor == pytest.approx(expected)


def test_pass_by_budget_bets_on_rates_below_its_margin() -> None:
    factors = checks.budget_factors(BETS, BATCH)
    expected = [
        binom.logpmf(2, 13, f * 0.005) - binom.logpmf(2, 13, 0.005)
        for f in (0.02, 0.1, 0.2, 0.4, 0.6, 0.8)
    ]
    assert factors == pytest.approx(expected)
    assert max(
        checks.budget_factors(
            BETS, Batch(n_candidate=100, bad_candidate=0, n_stable=0, bad_stable=0)
        )
    ) < -100 * log(1 - 0.005)


def test_a_poll_without_bad_answers_tells_a_comparison_nothing() -> None:
    clean = Batch(n_candidate=10, bad_candidate=0, n_stable=90, bad_stable=0)
    assert checks.comparison_factors(BETS.ratios, clean) is None
    assert checks.ratio_factors(BETS, clean) is None


@pytest.mark.parametrize("gamma0", [1.0, 0.7, 0.2])
@pytest.mark.parametrize("polls", [1, 5, 100])
def test_restarts_are_the_sum_over_all_starting_times(gamma0: float, polls: int) -> None:
    random = np.random.default_rng(7)
    factors = random.normal(0, 1, size=(20, 3))
    restarts = Restarts(gamma0=gamma0, polls=polls)
    mixture = fresh(3, restarts)
    for count, factor in enumerate(factors, start=1):
        mixture = score(mixture, list(factor), 10, restarts)
        # Stake gamma_k joins before poll k and earns every factor from there on.
        stakes = [gamma0] + [(1 - gamma0) / polls] * polls
        total = 0.0
        for start, stake in enumerate(stakes):
            earned = factors[max(0, start - 1) : count].sum(axis=0) if start <= count else 0.0
            total += stake * float(np.mean(np.exp(earned)))
        assert mixture.log_e == pytest.approx(log(total), abs=1e-9)
        assert mixture.peak >= mixture.log_e
    assert (mixture.used, mixture.requests) == (20, 200)


def test_a_fresh_process_is_worth_one_and_stays_so_on_polls_that_tell_nothing() -> None:
    restarts = Restarts(gamma0=0.7, polls=50)
    mixture = fresh(8, restarts)
    for _ in range(200):
        mixture = score(mixture, None, 10, restarts)
        assert mixture.log_e == pytest.approx(0.0, abs=1e-12)


def test_a_million_dead_answers_do_not_overflow() -> None:
    dead = Batch(n_candidate=10**6, bad_candidate=10**6, n_stable=0, bad_stable=0)
    mixture = score(fresh(6, ONCE), checks.slo_factors(BETS, dead), 10**6, ONCE)
    assert 1e6 < mixture.log_e < 1e7


def test_log_sums_agree_with_scipy() -> None:
    values = [-800.0, 3.0, 700.0, 1.5]
    assert logmath.log_mean_exp(values) == pytest.approx(logsumexp(values) - log(4))
    assert logmath.log_mean_exp([-900.0, -901.0], rest=0.25) == pytest.approx(log(0.25))
    weighted = logmath.log_weighted_sum([5.0, 900.0], [0.7, 0.3])
    assert weighted == pytest.approx(900 + log(0.3))
    assert logmath.log_weighted_sum([900.0, 1.0], [0.0, 1.0]) == pytest.approx(1.0)


@pytest.mark.parametrize("n", [1, 9, 90, 1_000, 100_000])
@pytest.mark.parametrize("p", [0.0013, 0.01, 0.2])
def test_the_binomial_tail_is_judged_as_scipy_does(n: int, p: float) -> None:
    edge = int(binom.isf(0.001, n, p))
    for x in {0, 1, max(0, edge - 1), edge, edge + 1, edge + 2, n}:
        if x <= n:
            rare = float(binom.sf(x - 1, n, p)) <= 0.001
            assert logmath.binomial_tail_at_most(x, n, p, 0.001) is rare


def answers(stable: int, bad: int, *, candidate: int = 10) -> Batch:
    return Batch(n_candidate=candidate, bad_candidate=0, n_stable=stable, bad_stable=bad)


def test_a_poll_is_an_incident_above_the_999_permille_quantile_of_stable() -> None:
    quantile = int(binom.ppf(0.999, 90, 0.01))
    calm = incident.calm(BETS)
    assert not incident.is_shared(BETS, calm, answers(90, quantile))
    assert incident.is_shared(BETS, calm, answers(90, quantile + 1))


def test_a_weak_incident_over_small_polls_is_seen_by_its_sum() -> None:
    evidence, until_seen = incident.calm(BETS), 0
    while not incident.is_shared(BETS, evidence, answers(20, 1)):
        evidence = incident.watch(BETS, evidence, answers(20, 1))
        until_seen += 1
    assert until_seen <= 4
    until_over = 0
    while incident.is_shared(BETS, evidence, answers(20, 0)):
        evidence = incident.watch(BETS, evidence, answers(20, 0))
        until_over += 1
    assert until_over <= 50


def test_an_incident_that_stable_can_no_longer_show_is_forgotten() -> None:
    evidence = incident.watch(BETS, incident.calm(BETS), answers(100, 50))
    for _ in range(5):
        assert incident.is_shared(BETS, evidence, answers(0, 0, candidate=0))
        evidence = incident.watch(BETS, evidence, answers(0, 0, candidate=10))
        evidence = incident.watch(BETS, evidence, answers(0, 0, candidate=0))
    evidence = incident.watch(BETS, evidence, answers(0, 0, candidate=5))
    assert not incident.is_shared(BETS, evidence, answers(0, 0))
