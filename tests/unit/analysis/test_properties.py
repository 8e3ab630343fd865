"""What must hold for any traffic."""

import json
from dataclasses import replace
from itertools import product
from math import comb, exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analysis.traffic import (
    CANDIDATE,
    CONFIG,
    STABLE,
    Router,
    poll,
    run,
    without_restarts,
)

from sluice.analysis import checks, from_json, observe, start, to_json
from sluice.analysis.checks import Batch
from sluice.nouns import VerdictKind

# No deadline: a busy machine is not a failure.
few = settings(max_examples=40, deadline=None)


@st.composite
def batches(draw: st.DrawFn, most: int = 60) -> tuple[int, int, int, int]:
    n_candidate, n_stable = draw(st.integers(0, most)), draw(st.integers(0, most))
    return (
        n_candidate,
        draw(st.integers(0, n_candidate)),
        n_stable,
        draw(st.integers(0, n_stable)),
    )


passes = st.lists(batches(), min_size=1, max_size=12)


@few
@given(passes, st.randoms(use_true_random=False))
def test_without_restarts_the_order_of_polls_does_not_matter(
    traffic: list[tuple[int, int, int, int]], random: object
) -> None:
    shuffled = list(traffic)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random that Hypothesis can shrink
    one, _ = run(without_restarts(CONFIG), traffic)
    two, _ = run(without_restarts(CONFIG), shuffled)
    a, b = one.objectives[0], two.objectives[0]
    assert a.regression.log_e == pytest.approx(b.regression.log_e, abs=1e-6)
    assert a.ratio.log_e == pytest.approx(b.ratio.log_e, abs=1e-6)
    assert (a.n_candidate, a.bad_candidate) == (b.n_candidate, b.bad_candidate)


@few
@given(batches(), st.integers(0, 10))
def test_one_poll_says_what_two_halves_of_it_say(
    batch: tuple[int, int, int, int], parts: int
) -> None:
    config = replace(without_restarts(CONFIG), comparisons=False)
    n, bad = batch[0], batch[1]
    first = (n * parts // 10, bad * parts // 10)
    whole, _ = run(config, [(n, bad, 0, 0)])
    halves, _ = run(config, [(*first, 0, 0), (n - first[0], bad - first[1], 0, 0)])
    assert halves.objectives[0].slo.log_e == pytest.approx(whole.objectives[0].slo.log_e, abs=1e-9)


@few
@given(passes, st.integers(0, 12))
def test_a_pass_resumed_from_json_goes_on_as_if_nothing_had_happened(
    traffic: list[tuple[int, int, int, int]], crash: int
) -> None:
    router, state = Router(), start(CONFIG, ())
    other = state
    for k, (n_c, x_c, n_s, x_s) in enumerate(traffic):
        if k == crash:
            other = from_json(json.loads(json.dumps(to_json(other))))
        router.serve(CANDIDATE, n_c, x_c)
        router.serve(STABLE, n_s, x_s)
        state, verdict = observe(CONFIG, state, poll(router))
        other, resumed = observe(CONFIG, other, poll(router))
        assert resumed == verdict
    assert other == state


@few
@given(st.lists(batches(), max_size=10))
def test_a_candidate_without_requests_neither_passes_nor_fails(
    traffic: list[tuple[int, int, int, int]],
) -> None:
    _, verdicts = run(CONFIG, [(0, 0, n_s, x_s) for _, _, n_s, x_s in traffic])
    assert {verdict.kind for verdict in verdicts} <= {VerdictKind.INCONCLUSIVE}
    assert all(verdict.log_e == pytest.approx(0.0, abs=1e-9) for verdict in verdicts)


@few
@given(passes, st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_restarts_of_a_router_and_unreadable_polls_change_no_e_value(
    traffic: list[tuple[int, int, int, int]], restarts: set[int], unreadable: set[int]
) -> None:
    # Where latency-order has its boundaries depends on what a router still remembers.
    config = replace(CONFIG, latency_order=False)
    steady, state = Router(), start(config, ())
    shaky, other = Router(), start(config, ())
    for k, (n_c, x_c, n_s, x_s) in enumerate(traffic):
        if k in restarts:
            shaky.restart(f"epoch-{k}")
        for router in (steady, shaky):
            router.serve(CANDIDATE, n_c, x_c)
            router.serve(STABLE, n_s, x_s)
        state, verdict = observe(config, state, poll(steady))
        if k in unreadable:
            before = other
            other, error = observe(config, other, poll(shaky, problem="timeout"))
            assert other is before
            assert error.kind in (VerdictKind.ERROR, VerdictKind.FAILED)
        other, shaken = observe(config, other, poll(shaky))
        assert shaken == verdict


@few
@given(passes, st.lists(st.booleans(), min_size=12, max_size=12))
def test_it_does_not_matter_which_router_served_a_poll(
    traffic: list[tuple[int, int, int, int]], choices: list[bool]
) -> None:
    single, state = Router(), start(CONFIG, ())
    pair, other = (Router(name="a"), Router(name="b")), start(CONFIG, ())
    for (n_c, x_c, n_s, x_s), choice in zip(traffic, choices, strict=False):
        for router in (single, pair[choice]):
            router.serve(CANDIDATE, n_c, x_c)
            router.serve(STABLE, n_s, x_s)
        state, verdict = observe(CONFIG, state, poll(single))
        other, divided = observe(CONFIG, other, poll(*pair))
        assert divided == verdict


@few
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.floats(0.0, 0.9),
    st.floats(0.0, 1.0),
    st.sampled_from([1.0, 1.1, 1.5]),
)
def test_no_check_expects_to_gain_while_its_null_hypothesis_holds(
    n_candidate: int, n_stable: int, p_stable: float, part: float, max_ratio: float
) -> None:
    """The exact expectation over every outcome of a poll, not a simulation."""
    objective = replace(CONFIG.objectives[0], max_ratio=max_ratio)
    known = checks.bets(objective)
    p_allowed = min(1.0, max_ratio * p_stable) * part
    p_margin = 0.005 + part * 0.995
    gains = {"regression": [0.0] * 7, "slo": [0.0] * 6, "budget": [0.0] * 6}
    for x_c, x_s in product(range(n_candidate + 1), range(n_stable + 1)):
        batch = Batch(n_candidate=n_candidate, bad_candidate=x_c, n_stable=n_stable, bad_stable=x_s)
        stable = binomial(x_s, n_stable, p_stable)
        for name, factors, rate in (
            ("regression", checks.comparison_factors(known.ratios, batch) or [0.0] * 7, p_allowed),
            ("slo", checks.slo_factors(known, batch), 0.01 * part),
            ("budget", checks.budget_factors(known, batch), p_margin),
        ):
            chance = stable * binomial(x_c, n_candidate, rate)
            for k, factor in enumerate(factors):
                gains[name][k] += chance * exp(factor)
    assert max(max(expected) for expected in gains.values()) <= 1.0 + 1e-9


def binomial(x: int, n: int, p: float) -> float:
    return float(comb(n, x) * p**x * (1 - p) ** (n - x))


@few
@given(st.integers(1, 3), st.integers(1, 4), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_pass_by_ratio_expects_no_gain_from_a_candidate_twice_as_bad(
    n_candidate: int, n_stable: int, p_stable: float, part: float
) -> None:
    known = checks.bets(CONFIG.objectives[0])
    p_candidate = 2 * p_stable + part * (1 - 2 * p_stable)
    expected = 0.0
    for x_c, x_s in product(range(n_candidate + 1), range(n_stable + 1)):
        batch = Batch(n_candidate=n_candidate, bad_candidate=x_c, n_stable=n_stable, bad_stable=x_s)
        (factor,) = checks.ratio_factors(known, batch) or [0.0]
        chance = binomial(x_c, n_candidate, p_candidate) * binomial(x_s, n_stable, p_stable)
        expected += chance * exp(factor)
    assert expected <= 1.0 + 1e-9


@few
@given(passes)
def test_every_verdict_is_sound(traffic: list[tuple[int, int, int, int]]) -> None:
    _, verdicts = run(CONFIG, traffic)
    for verdict in verdicts:
        (known,) = verdict.evidence
        assert 0.0 <= known.low <= known.rate_candidate <= known.high == known.upper <= 1.0
        assert known.ratio_low <= known.ratio_high
        assert all(0.0 <= check.p_value <= 1.0 for check in verdict.checks)
        assert all(check.information_limit > 0.0 for check in verdict.checks)
        assert verdict.reason
        assert 0 <= verdict.harmed <= verdict.requests
