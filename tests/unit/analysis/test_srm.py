"""Sample ratio mismatch: found when it is there, silent when it is not."""

from math import log

import numpy as np
import pytest
from scipy.stats import binomtest, dirichlet_multinomial, multinomial

from sluice.analysis.srm import BLOCK_AT, CONCENTRATION, SrmState, srm_update
from sluice.errors import InvariantError


def test_the_e_value_is_the_ratio_of_two_densities() -> None:
    counts, shares = np.array([180, 320, 541]), np.array([0.2, 0.3, 0.5])
    found = srm_update(SrmState(), counts.tolist(), shares.tolist()).log_e
    prior = dirichlet_multinomial(CONCENTRATION * shares, counts.sum()).logpmf(counts)
    plan = multinomial(counts.sum(), shares).logpmf(counts)
    assert found == pytest.approx(prior - plan, abs=1e-8)


def test_many_small_batches_are_one_large_one() -> None:
    state = SrmState()
    for batch in ([3, 4], [0, 0], [50, 61]):
        state = srm_update(state, batch, [0.5, 0.5])
    assert state.log_e == pytest.approx(srm_update(SrmState(), [53, 65], [1, 1]).log_e)


def test_changed_shares_multiply_the_evidence_of_both_times() -> None:
    first = srm_update(SrmState(), [90, 160], [0.5, 0.5])
    both = srm_update(first, [30, 10], [0.1, 0.9])
    alone = srm_update(SrmState(), [30, 10], [0.1, 0.9])
    assert both.log_e == pytest.approx(first.log_e + alone.log_e)


def units_to_block(planned: float, true: float, *, paths: int, most: int, step: int) -> np.ndarray:
    random = np.random.default_rng(163)
    found = np.full(paths, most + step)
    for path in range(paths):
        state = SrmState()
        for seen in range(step, most + 1, step):
            ones = int(random.binomial(step, true))
            state = srm_update(state, [ones, step - ones], [planned, 1 - planned])
            if state.mismatch:
                found[path] = seen
                break
    return found


@pytest.mark.parametrize(
    ("planned", "true", "expected"),
    [pytest.param(0.5, 0.55, 2_150, id="50-55"), pytest.param(0.1, 0.13, 2_328, id="10-13")],
)
def test_a_mismatch_is_found_as_soon_as_simulated(
    planned: float, true: float, expected: int
) -> None:
    units = units_to_block(planned, true, paths=400, most=20_000, step=25)
    assert units.mean() == pytest.approx(expected, rel=0.08)


def test_a_mismatch_of_one_point_is_found() -> None:
    units = units_to_block(0.5, 0.51, paths=150, most=200_000, step=500)
    assert units.mean() == pytest.approx(42_011, rel=0.1)


def test_right_shares_are_blocked_with_at_most_one_in_a_thousand() -> None:
    units = units_to_block(0.5, 0.5, paths=1_000, most=20_000, step=200)
    blocked = int((units <= 20_000).sum())
    assert binomtest(blocked, 1_000, 0.001, alternative="greater").pvalue > 1e-4


def test_who_crossed_once_stays_blocked() -> None:
    state = srm_update(SrmState(), [400, 200], [0.5, 0.5])
    assert state.log_e > BLOCK_AT == log(1_000)
    healed = srm_update(state, [20_000, 20_200], [0.5, 0.5])
    assert healed.log_e < BLOCK_AT
    assert healed.mismatch


@pytest.mark.parametrize(
    ("counts", "shares", "said"),
    [
        pytest.param([1, 2], [1.0], "2 counts for 1", id="shapes"),
        pytest.param([1, 2], [1.0, 0.0], "without a share", id="no-share"),
        pytest.param([-1, 2], [0.5, 0.5], "negative", id="negative"),
    ],
)
def test_what_makes_no_sense_is_refused(counts: list[int], shares: list[float], said: str) -> None:
    with pytest.raises(InvariantError, match=said):
        srm_update(SrmState(), counts, shares)
