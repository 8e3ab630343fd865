"""How often the comparison of answers is wrong and how soon it is right: fixed seeds, paths by
the thousand. The log e-values are taken from counts, as the check itself does."""

from collections.abc import Iterable
from itertools import repeat
from math import isinf, log

import numpy as np
import pytest
from scipy.stats import binomtest

from sluice.analysis.shadow import (
    CHECK,
    FIELD_CHECK,
    PROOF,
    ShadowState,
    ShadowTest,
    Tally,
    checks,
    fields_that_differ,
    least_pairs,
    scored,
)
from sluice.nouns import VerdictKind

PATHS = 300
NOISY = ShadowTest(margin=0.0, noisy=True, alpha=0.05, beta=0.05)
PLAIN = ShadowTest(margin=0.01, noisy=False, alpha=0.05, beta=0.05)


def first_failure(
    test: ShadowTest, rate: float, noise: float, *, pairs: int, seed: int
) -> np.ndarray:
    """Pairs until the check fails, on each path; ``pairs + 1`` where it never does."""
    random = np.random.default_rng(seed)
    found = np.full(PATHS, pairs + 1)
    for path in range(PATHS):
        differs = random.random(pairs) < rate
        again = random.random(pairs) < noise
        moments = np.flatnonzero(differs | again)
        more = np.cumsum((differs & ~again)[moments])
        less = np.cumsum((again & ~differs)[moments])
        both = np.cumsum((again & differs)[moments])
        for at, a, b, c in zip(moments, more, less, both, strict=True):
            if not differs[at]:
                continue
            tally = Tally(pairs=int(at) + 1, more=int(a), less=int(b), both=int(c))
            if test.against(tally) >= test.log_threshold:
                found[path] = at + 1
                break
    return found


def false_alarms(found: np.ndarray, pairs: int) -> bool:
    """Whether so many paths failed that alpha = 0.05 cannot be true."""
    failed = int((found <= pairs).sum())
    return bool(binomtest(failed, PATHS, 0.05, alternative="greater").pvalue < 1e-4)


@pytest.mark.parametrize(
    ("margin", "noisy", "rate", "noise"),
    [
        pytest.param(0.0, True, 0.02, 0.02, id="as-noisy-as-stable"),
        pytest.param(0.01, True, 0.06, 0.05, id="at-the-margin-above-the-noise"),
        pytest.param(0.01, True, 0.01, 0.0, id="at-the-margin-without-noise"),
        pytest.param(0.01, False, 0.01, 0.0, id="at-the-margin"),
    ],
)
def test_a_candidate_within_what_is_allowed_fails_with_at_most_alpha(
    margin: float, noisy: bool, rate: float, noise: float
) -> None:
    test = ShadowTest(margin=margin, noisy=noisy, alpha=0.05, beta=0.05)
    found = first_failure(test, rate, noise, pairs=5_000, seed=11)
    assert not false_alarms(found, 5_000)
    assert (found <= 5_000).any()  # not vacuous: some are unlucky


def test_a_false_alarm_would_be_seen() -> None:
    """The same candidates against a margin that they are really above."""
    test = ShadowTest(margin=0.005, noisy=False, alpha=0.05, beta=0.05)
    assert false_alarms(first_failure(test, 0.01, 0.0, pairs=5_000, seed=11), 5_000)


@pytest.mark.parametrize(
    ("noise", "rate", "reference", "limit"),
    [(0.0, 0.01, 1_203, 997), (0.01, 0.05, 549, 465), (0.05, 0.1, 920, 757)],
)
def test_a_candidate_that_differs_more_than_stable_is_found_as_soon_as_the_reference_says(
    noise: float, rate: float, reference: float, limit: float
) -> None:
    strict = ShadowTest(margin=0.0, noisy=True, alpha=0.001, beta=0.05)
    found = first_failure(strict, rate, noise, pairs=20_000, seed=17)
    assert (found <= 20_000).all()
    mean, error = found.mean(), found.std() / np.sqrt(PATHS)
    assert abs(mean - reference) < 3 * error + 0.05 * reference
    assert mean > limit - 3 * error


def test_a_deterministic_model_is_found_close_to_the_information_limit() -> None:
    strict = ShadowTest(margin=0.01, noisy=False, alpha=0.001, beta=0.05)
    found = first_failure(strict, 0.05, 0.0, pairs=10_000, seed=19)
    limit = least_pairs(strict, Tally(pairs=100, more=5))
    assert (found <= 10_000).all()
    assert limit < found.mean() < 1.6 * limit


def outcomes(*parts: tuple[int, bool, bool]) -> Iterable[tuple[bool, bool]]:
    for count, candidate, again in parts:
        yield from repeat((candidate, again), count)


def test_noise_of_stable_is_not_held_against_the_candidate() -> None:
    known = list(outcomes(*[(18, False, False), (1, True, False), (1, False, True)] * 20))
    noisy = scored(NOISY, ShadowState(), known)
    plain = scored(PLAIN, ShadowState(), [(candidate, False) for candidate, _ in known])
    assert checks(NOISY, noisy, {})[0].kind is VerdictKind.INCONCLUSIVE
    assert checks(PLAIN, plain, {})[0].kind is VerdictKind.FAILED


def test_a_failure_stays_although_later_pairs_agree() -> None:
    state = scored(PLAIN, ShadowState(), outcomes((20, True, False), (20_000, False, False)))
    check = checks(PLAIN, state, {})[0]
    assert (check.check, check.kind) == (CHECK, VerdictKind.FAILED)
    assert check.log_e < PLAIN.log_threshold


def test_parts_give_what_the_whole_gives() -> None:
    every = list(outcomes((50, False, False), (3, True, False), (2, False, True), (40, True, True)))
    state = ShadowState()
    for start in range(0, len(every), 7):
        state = scored(NOISY, state, every[start : start + 7])
    once = scored(NOISY, ShadowState(), every)
    assert (state.whole, state.peak) == (once.whole, once.peak)


def test_agreement_is_proven_and_can_be_missed() -> None:
    agreeing = scored(PLAIN, ShadowState(), outcomes((500, False, False)))
    assert checks(PLAIN, agreeing, {})[1].kind is VerdictKind.PASSED
    differing = scored(PLAIN, ShadowState(), outcomes((490, False, False), (10, True, False)))
    proof = checks(PLAIN, differing, {})[1]
    assert (proof.check, proof.kind) == (PROOF, VerdictKind.INCONCLUSIVE)


def test_where_nothing_may_differ_one_difference_decides() -> None:
    strict = ShadowTest(margin=0.0, noisy=False, alpha=0.001, beta=0.05)
    state = scored(strict, ShadowState(), outcomes((200, False, False), (1, True, False)))
    assert checks(strict, state, {})[0].kind is VerdictKind.FAILED


def test_agreement_by_chance_is_proven_with_at_most_beta() -> None:
    random = np.random.default_rng(23)
    proven = 0
    for _ in range(PATHS):
        state = ShadowState()
        for _ in range(50):
            state = scored(PLAIN, state, [(d, False) for d in random.random(40) < 0.0101])
        proven += state.proof_peak >= PLAIN.log_proof
    assert binomtest(proven, PATHS, 0.05, alternative="greater").pvalue > 1e-4
    assert proven > 0


def test_fields_are_named_with_few_wrong_ones() -> None:
    """e-BH by hand: three of ten stand out; the bar falls with each further one."""
    values = dict.fromkeys("abcdefg", 0.0) | {"x": log(250), "y": log(120), "z": log(70)}
    assert fields_that_differ(values) == {"x", "y", "z"}
    assert fields_that_differ(values | {"z": log(60)}) == {"x", "y"}
    assert fields_that_differ(dict.fromkeys("ab", 0.0)) == frozenset()


def test_the_field_that_differs_is_shown_and_the_others_are_not() -> None:
    state = scored(PLAIN, ShadowState(), outcomes((100, False, False), (20, True, False)))
    fields = {"fare": Tally(pairs=120, more=20), "tip": Tally(pairs=120)}
    shown = [check for check in checks(PLAIN, state, fields) if check.check == FIELD_CHECK]
    assert [(check.objective, check.kind) for check in shown] == [("fare", VerdictKind.FAILED)]


def test_least_pairs_are_unknown_while_nothing_is_found() -> None:
    for test in (NOISY, PLAIN):
        assert isinf(least_pairs(test, Tally()))
        assert isinf(least_pairs(test, Tally(pairs=100)))
