"""latency-order: slower at any percentile, found without estimating one."""

from dataclasses import replace
from itertools import product
from math import exp, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tests.unit.analysis.traffic import CANDIDATE, CONFIG, STABLE

from sluice.analysis import Poll, observe, order, start
from sluice.analysis.mixture import ONCE, Restarts, fresh
from sluice.analysis.order import Order, Slower, tolerated
from sluice.nouns import (
    LATENCY_GRID_MS,
    ArmCounts,
    Counts,
    Purpose,
    Snapshot,
    VerdictKind,
)

RESTARTS = Restarts(gamma0=0.7, polls=3_600)
GRID = np.array(LATENCY_GRID_MS, dtype=float)


def counted(latencies_ms: np.ndarray) -> Counts:
    slow = tuple(int(n) for n in (latencies_ms[:, None] > GRID).sum(axis=0))
    return Counts(total=latencies_ms.size, timed=latencies_ms.size, slow=slow)


def drawn(random: np.random.Generator, n: int, scale: float = 1.0) -> Counts:
    return counted(100.0 * scale * np.exp(0.5 * random.standard_normal(n)))


def one(boundaries: tuple[int, ...] = (16,), guess: float = 0.3) -> Order:
    return Order(
        boundaries=boundaries,
        history=((1_000 * guess, 1_000 * (1 - guess)),) * len(boundaries),
        seen=(Slower(),) * len(boundaries),
        mixture=fresh(5 * len(boundaries), ONCE),
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 4), st.floats(0.0, 1.0), st.floats(0.0, 1.0),
    st.floats(0.001, 0.999),
)  # fmt: skip
def test_it_never_expects_to_gain_from_a_candidate_no_slower(
    n_candidate: int, n_stable: int, p_stable: float, part: float, guess: float
) -> None:
    """The exact expectation over every outcome of a poll, for any guess of stable's share."""
    gain = 0.0
    for above, above_stable in product(range(n_candidate + 1), range(n_stable + 1)):
        batch = Slower(
            n_candidate=n_candidate,
            above_candidate=above,
            n_stable=n_stable,
            above_stable=above_stable,
        )
        chance = binom.pmf(above, n_candidate, p_stable * part) * binom.pmf(
            above_stable, n_stable, p_stable
        )
        gain += chance * exp(order.advance(one(guess=guess), [batch], ONCE).mixture.log_e)
    assert gain <= 1.0 + 1e-9


def test_one_poll_says_only_so_much() -> None:
    stalled = Slower(n_candidate=500, above_candidate=500, n_stable=4_500, above_stable=0)
    known = order.advance(one(guess=0.01), [stalled], ONCE)
    assert known.mixture.log_e == pytest.approx(3.0)


def test_the_guess_learns_after_it_is_scored() -> None:
    batch = Slower(n_candidate=10, above_candidate=1, n_stable=100, above_stable=40)
    known = order.advance(one(guess=0.3), [batch], ONCE)
    assert known.history == ((340.0, 760.0),)
    other = order.advance(one(guess=0.3), [replace(batch, above_stable=41)], ONCE)
    assert known.mixture != other.mixture


def test_boundaries_lie_at_stables_percentiles_and_tolerate_a_bucket_and_five_ms() -> None:
    random = np.random.default_rng(1)
    known = order.choose([drawn(random, 20_000)], RESTARTS)
    assert known is not None
    found = [LATENCY_GRID_MS[i] for i in known.boundaries]
    assert found == [125, 200, 250, 400] or found == [100, 200, 250, 400]
    for index in range(len(LATENCY_GRID_MS) - 1):
        above = tolerated(index)
        assert above > index
        last = above == len(LATENCY_GRID_MS) - 1
        assert last or LATENCY_GRID_MS[above] - LATENCY_GRID_MS[index] >= 5


def test_nothing_is_chosen_from_a_few_answers_or_none() -> None:
    random = np.random.default_rng(2)
    assert order.choose([], RESTARTS) is None
    assert order.choose([drawn(random, 199)], RESTARTS) is None
    assert order.choose([drawn(random, 150), drawn(random, 50)], RESTARTS) is not None
    slow = counted(np.full(300, 90_000.0))
    known = order.choose([slow], RESTARTS)
    assert known is not None
    assert known.boundaries == (len(LATENCY_GRID_MS) - 2,)


def polls_until(scale: float, *, per_poll: int = 10, polls: int, seed: int) -> int | None:
    """Poll at which a candidate this much slower is found by latency-order alone."""
    random = np.random.default_rng(seed)
    known = order.choose([drawn(random, 5_000)], RESTARTS)
    assert known is not None
    for k in range(1, polls + 1):
        ours, theirs = drawn(random, per_poll, scale), drawn(random, 9 * per_poll)
        batch = [
            Slower(
                n_candidate=ours.timed,
                above_candidate=ours.slow[tolerated(i)],
                n_stable=theirs.timed,
                above_stable=theirs.slow[i],
            )
            for i in known.boundaries
        ]
        known = order.advance(known, batch, RESTARTS)
        if known.mixture.log_e >= np.log(10_000):  # a tenth of the average at alpha 0.001
            return k
    return None


def test_twice_as_slow_is_found_within_a_few_polls() -> None:
    found = [polls_until(2.0, polls=60, seed=seed) for seed in range(20)]
    assert all(k is not None and k <= 20 for k in found)
    assert np.mean([k for k in found if k]) <= 9


def test_half_as_slow_again_is_found_beyond_the_tolerance() -> None:
    found = [polls_until(1.5, polls=400, seed=seed) for seed in range(10)]
    assert all(found)


@pytest.mark.parametrize("scale", [1.0, 1.15])
def test_as_fast_or_a_bucket_slower_is_never_found(scale: float) -> None:
    assert not any(polls_until(scale, polls=300, seed=seed) for seed in range(10))


def test_a_slow_candidate_fails_with_a_reason_that_names_both_boundaries() -> None:
    random = np.random.default_rng(7)
    ours, theirs = Counts(), drawn(random, 1_000)
    config = replace(CONFIG, objectives=CONFIG.objectives)
    state = start(config, (snapshot(ours, theirs),))
    for k in range(40):
        ours, theirs = ours + drawn(random, 10, 3.0), theirs + drawn(random, 90)
        state, verdict = observe(config, state, poll(k, ours, theirs))
        if verdict.kind is VerdictKind.FAILED:
            break
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reason.startswith("candidate is slower than ")
    assert "(stable slower than " in verdict.reason
    (check,) = [c for c in verdict.checks if c.check == "latency-order"]
    assert check.kind is VerdictKind.FAILED
    assert check.weight == pytest.approx(0.1)
    assert 1 <= check.information_limit < inf
    assert verdict.harmed == 0


def test_boundaries_are_chosen_as_soon_as_stable_is_known_and_not_from_the_candidate() -> None:
    random = np.random.default_rng(8)
    ours, theirs = drawn(random, 500, 5.0), drawn(random, 100)
    state = start(CONFIG, ())
    state, _ = observe(CONFIG, state, poll(1, ours, theirs))
    assert state.order is None
    theirs = theirs + drawn(random, 400)
    state, _ = observe(CONFIG, state, poll(2, ours, theirs))
    assert state.order is not None
    assert LATENCY_GRID_MS[state.order.boundaries[0]] in (100, 125)
    assert state.order.mixture.used == 0  # what it was chosen from is not scored
    state, _ = observe(CONFIG, state, poll(3, ours + drawn(random, 10), theirs + drawn(random, 90)))
    assert state.order is not None
    assert (state.order.mixture.used, state.order.mixture.requests) == (1, 10)


def test_it_can_be_switched_off() -> None:
    config = replace(CONFIG, latency_order=False)
    random = np.random.default_rng(9)
    state = start(config, (snapshot(Counts(), drawn(random, 1_000)),))
    assert state.order is None
    _, verdict = observe(config, state, poll(1, drawn(random, 10), drawn(random, 1_100)))
    assert "latency-order" not in {check.check for check in verdict.checks}


def snapshot(ours: Counts, theirs: Counts) -> Snapshot:
    arms = (
        ArmCounts(revision=CANDIDATE, purpose=Purpose.LIVE, counts=ours),
        ArmCounts(revision=STABLE, purpose=Purpose.LIVE, counts=theirs),
    )
    return Snapshot(router="r1", epoch="e1", taken_ms=0, arms=arms)


def poll(k: int, ours: Counts, theirs: Counts) -> Poll:
    return Poll(
        taken_ms=k * 1_000,
        snapshots=(snapshot(ours, theirs),),
        candidate=CANDIDATE,
        stable=STABLE,
    )
