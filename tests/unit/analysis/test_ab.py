"""An A/B test: what it remembers, when it decides, and what it says."""

from dataclasses import replace
from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.analysis.ab import AbConfig, AbState, Change, absorb, begin
from sluice.analysis.ab_binary import Bet, Cell, score
from sluice.analysis.ab_means import Moments, Origin, difference, one
from sluice.analysis.ab_verdict import CONTROL_WON, HORIZON, judged
from sluice.errors import InvariantError
from sluice.nouns import Goal, GoalRules, Verdict, VerdictKind

BOUGHT = Goal(name="bought", kind="binary")
TIP = Goal(name="tip", kind="continuous", cap=50.0, covariate="age")
ONE = AbConfig(goals=(BOUGHT,), variants=("candidate",), shares=(0.5, 0.5), alpha=0.05)
TWO = AbConfig(goals=(BOUGHT,), variants=("b", "c"), shares=(0.25, 0.25, 0.5), alpha=0.05)
RULES = GoalRules(goals=(BOUGHT,))


def people(config: AbConfig, *arms: tuple[int, int], goal: int = 0) -> AbState:
    """A test after one look in which each arm brought (users, ones)."""
    changes = [
        Change(arm=arm, goal=goal, after=1.0 if index < ones else 0.0)
        for arm, (users, ones) in enumerate(arms)
        for index in range(users)
    ]
    return absorb(config, begin(config), [users for users, _ in arms], changes)


def verdict(config: AbConfig, state: AbState, rules: GoalRules = RULES, ms: int = 0) -> Verdict:
    return judged(config, state, rules, at_ms=7, elapsed_ms=ms)


# --- verdicts ---


def test_a_better_variant_wins() -> None:
    found = verdict(ONE, people(ONE, (4_000, 400), (4_000, 200)))
    assert (found.kind, found.winner, found.cause) == (VerdictKind.PASSED, "candidate", "")
    assert "10% of 4,000 users" in found.reason
    goal = found.checks[1]
    assert (goal.check, goal.objective, goal.kind) == ("goal", "bought", VerdictKind.PASSED)
    assert goal.log_e >= goal.log_threshold == pytest.approx(log(20))
    assert goal.requests == 8_000
    assert goal.information_limit < 8_000


def test_a_worse_variant_is_turned_back_because_the_control_won() -> None:
    found = verdict(ONE, people(ONE, (4_000, 200), (4_000, 400)))
    assert (found.kind, found.cause) == (VerdictKind.FAILED, CONTROL_WON)
    assert "stable wins" in found.reason


def test_less_is_better_where_the_goal_says_so() -> None:
    config = replace(ONE, goals=(replace(BOUGHT, direction="decrease"),))
    assert verdict(config, people(config, (4_000, 200), (4_000, 400))).winner == "candidate"
    assert verdict(config, people(config, (4_000, 400), (4_000, 200))).cause == CONTROL_WON


def test_equal_arms_stay_undecided() -> None:
    found = verdict(ONE, people(ONE, (4_000, 200), (4_000, 200)))
    assert found.kind is VerdictKind.INCONCLUSIVE
    assert found.reason.startswith("undecided: bought of candidate 5% of 4,000 users")


def test_of_two_winners_the_better_one_is_promoted() -> None:
    found = verdict(TWO, people(TWO, (4_000, 360), (4_000, 500), (8_000, 400)))
    assert (found.kind, found.winner) == (VerdictKind.PASSED, "c")
    assert [check.objective for check in found.checks] == ["users", "bought/b", "bought/c"]


def test_the_control_has_won_only_when_every_variant_is_worse() -> None:
    one_worse = verdict(TWO, people(TWO, (4_000, 100), (4_000, 200), (8_000, 400)))
    assert one_worse.kind is VerdictKind.INCONCLUSIVE
    assert one_worse.checks[1].kind is VerdictKind.FAILED
    both = verdict(TWO, people(TWO, (4_000, 100), (4_000, 90), (8_000, 400)))
    assert both.cause == CONTROL_WON


def test_alpha_is_split_between_the_variants() -> None:
    assert pytest.approx(log(40)) == TWO.decides_at
    assert TWO.level == 0.025


def test_users_on_wrong_arms_block_every_goal() -> None:
    found = verdict(ONE, people(ONE, (3_000, 400), (4_000, 200)))
    assert found.kind is VerdictKind.INVALID
    assert "candidate 3,000 (50% planned)" in found.reason
    assert found.checks[0].kind is VerdictKind.INVALID


def test_nothing_is_decided_below_a_hundred_users_an_arm() -> None:
    found = verdict(ONE, people(ONE, (99, 60), (99, 5)))
    assert found.checks[1].log_e > found.checks[1].log_threshold
    assert found.kind is VerdictKind.INCONCLUSIVE
    assert "decided from 100 users an arm" in found.reason


def test_an_arm_in_which_nothing_ever_happens_is_not_safe_from_a_verdict() -> None:
    assert verdict(ONE, people(ONE, (1_000, 0), (1_000, 50))).cause == CONTROL_WON
    dead = replace(ONE, goals=(replace(TIP, covariate=""),))
    changes = [Change(arm=i % 2, goal=0, after=float(i % 7) * (i % 2)) for i in range(1_000)]
    state = absorb(dead, begin(dead), [500, 500], changes)
    assert verdict(dead, state).cause == CONTROL_WON


def test_what_is_decided_stays_decided() -> None:
    state = people(ONE, (400, 80), (400, 20))
    back = [Change(arm=0, goal=0, after=0.0, before=1.0)] * 80
    after = absorb(ONE, state, [0, 0], back)
    assert after.goals[0].lanes[0].log_e < ONE.decides_at
    assert verdict(ONE, after).winner == "candidate"


def test_other_goals_are_shown_and_decide_nothing() -> None:
    config = replace(ONE, goals=(BOUGHT, replace(BOUGHT, name="returned")))
    state = people(config, (4_000, 400), (4_000, 200), goal=1)
    found = verdict(config, state)
    assert found.kind is VerdictKind.INCONCLUSIVE
    assert found.checks[2].kind is VerdictKind.PASSED
    assert "shown only" in found.checks[2].rule


# --- horizon ---


@pytest.mark.parametrize(
    ("on_horizon", "kind", "cause", "winner"),
    [
        ("hold", VerdictKind.INCONCLUSIVE, "", ""),
        ("abort", VerdictKind.FAILED, HORIZON, ""),
        ("promote", VerdictKind.PASSED, "", "candidate"),
    ],
)
def test_an_undecided_test_ends_at_its_horizon_as_asked(
    on_horizon: str, kind: VerdictKind, cause: str, winner: str
) -> None:
    rules = replace(RULES, horizon_users=8_000, on_horizon=on_horizon)  # type: ignore[arg-type]
    state = people(ONE, (4_000, 200), (4_000, 200))
    found = verdict(ONE, state, rules)
    assert (found.kind, found.cause, found.winner) == (kind, cause, winner)
    assert "horizon of 8,000 users" in found.reason
    before = verdict(ONE, state, replace(rules, horizon_users=8_001))
    assert before.reason.startswith("undecided")


def test_the_horizon_may_be_a_time() -> None:
    rules = replace(RULES, horizon_ms=60_000, on_horizon="abort")
    state = people(ONE, (400, 20), (400, 20))
    assert verdict(ONE, state, rules, ms=59_999).cause == ""
    assert verdict(ONE, state, rules, ms=60_000).cause == HORIZON


def test_promotion_at_the_horizon_passes_over_a_variant_that_is_proven_worse() -> None:
    rules = replace(RULES, horizon_users=1, on_horizon="promote")
    state = people(TWO, (4_000, 100), (4_000, 200), (8_000, 400))
    assert verdict(TWO, state, rules).winner == "c"


# --- what is remembered ---


def test_looks_add_up() -> None:
    whole = people(ONE, (300, 30), (300, 20))
    state = begin(ONE)
    for part in (((100, 10), (150, 5)), ((200, 20), (150, 15))):
        step = people(ONE, *part)
        changes = [
            Change(arm=arm, goal=0, after=1.0 if i < ones else 0.0)
            for arm, (users, ones) in enumerate(part)
            for i in range(users)
        ]
        state = absorb(ONE, state, step.users, changes)
    assert state.users == whole.users
    assert state.goals[0].arms == whole.goals[0].arms
    assert state.srm.log_e == pytest.approx(whole.srm.log_e)


def test_a_look_without_news_changes_nothing() -> None:
    state = people(ONE, (300, 30), (300, 20))
    assert absorb(ONE, state, [0, 0], []) is state


def test_a_repeated_outcome_replaces_the_one_before() -> None:
    config = replace(ONE, goals=(TIP,))
    first = [Change(arm=i % 2, goal=0, after=float(i), covariate=float(i)) for i in range(20)]
    state = absorb(config, begin(config), [10, 10], first)
    again = Change(arm=1, goal=0, after=3.0, before=5.0, covariate=4.0, covariate_before=5.0)
    state = absorb(config, state, [0, 0], [again])
    values = [3.0 if i == 5 else float(i) for i in range(1, 20, 2)]
    arm, origin = state.goals[0].arms[1], state.goals[0].origin
    assert origin is not None
    assert arm.n == 10
    assert arm.y + 10 * origin.y == pytest.approx(sum(values))


def test_outcomes_above_the_cap_count_as_the_cap() -> None:
    config = replace(ONE, goals=(replace(TIP, covariate=""),))
    changes = [Change(arm=i % 2, goal=0, after=1e9 if i == 0 else 1.0) for i in range(400)]
    goal = absorb(config, begin(config), [200, 200], changes).goals[0]
    assert goal.origin is not None
    assert goal.arms[0].y + 200 * goal.origin.y == pytest.approx(50.0 + 199)


def test_shares_that_do_not_fit_the_variants_are_refused() -> None:
    with pytest.raises(InvariantError, match="shares"):
        AbConfig(goals=(BOUGHT,), variants=("b",), shares=(1.0,), alpha=0.05)


# --- the binary bet ---


counts = st.integers(0, 60)


def dealt(ours: int, users: int, share: float) -> float:
    """Chance that so many of the users fall on the variant."""
    return comb(users, ours) * share**ours * (1 - share) ** (users - ours)


@given(counts, counts, counts, counts, st.sampled_from([0.1, 0.5, 0.8]))
def test_the_bet_never_expects_to_gain_whatever_the_outcomes_are(
    ones: int, zeros: int, more_ones: int, more_zeros: int, share: float
) -> None:
    """Sum of e-values over all ways of dealing one batch's users to the arms is at most 1."""
    base = Cell(had_yes=more_ones, had_no=more_zeros)
    ones, zeros = ones % 8, zeros % 8
    expected = 0.0
    for yes in range(ones + 1):
        for no in range(zeros + 1):
            chance = dealt(yes, ones, share) * dealt(no, zeros, share)
            bet = score(
                Bet(),
                replace(base, yes=yes, no=no),
                replace(base, yes=ones - yes, no=zeros - no),
                share,
            )
            expected += chance * np.exp(bet.log_e)
    assert expected == pytest.approx(1.0, abs=1e-9)


@given(st.integers(1, 7), st.integers(1, 40), st.integers(1, 40))
def test_late_conversions_never_expect_to_gain(turned: int, risk_v: int, risk_s: int) -> None:
    turned = min(turned, risk_v + risk_s)
    expected = 0.0
    for ours in range(max(0, turned - risk_s), min(turned, risk_v) + 1):
        bet = score(
            Bet(),
            Cell(turned_yes=ours, had_no=risk_v),
            Cell(turned_yes=turned - ours, had_no=risk_s),
            0.5,
        )
        ways = comb(risk_v, ours) * comb(risk_s, turned - ours)
        chance = ways / comb(risk_v + risk_s, turned)
        expected += chance * np.exp(bet.log_e)
    assert expected <= 1.0 + 1e-9


def test_a_conversion_rate_near_one_is_judged_by_its_failures() -> None:
    config = replace(ONE, goals=(BOUGHT,))
    assert verdict(config, people(config, (4_000, 3_990), (4_000, 3_900))).winner == "candidate"


# --- means ---


def moments(y: np.ndarray, x: np.ndarray | None, origin: Origin) -> Moments:
    whole = Moments()
    for index, value in enumerate(y):
        whole += one(float(value), None if x is None else float(x[index]), origin)
    return whole


@pytest.mark.parametrize("n", [(40, 40), (25, 300)], ids=str)
@pytest.mark.parametrize("slope", [-2.0, 0.0, 0.01, 5.0])
def test_an_adjustment_never_makes_the_estimate_less_sure(n: tuple[int, int], slope: float) -> None:
    random = np.random.default_rng(167)
    for _ in range(40):
        plain, adjusted = [], []
        for users in n:
            x = random.gamma(1.0, 3.0, users)
            y = slope * x + random.normal(0, 1, users)
            plain.append(moments(y, None, Origin()))
            adjusted.append(moments(y, x, Origin()))
        with_x = difference(adjusted[0], adjusted[1], Origin())
        assert with_x.variance <= difference(plain[0], plain[1], Origin()).variance * (1 + 1e-9)
        assert with_x.theta == pytest.approx(slope, abs=0.8)


def test_users_without_a_covariate_count_as_the_average_one() -> None:
    random = np.random.default_rng(173)
    x, y = random.normal(5, 2, 200), random.normal(0, 1, 200)
    known = [moments(y[i::2], x[i::2], Origin()) for i in (0, 1)]
    mean = (known[0].x + known[1].x) / 200
    late = [moments(y[i::2] + 1, None, Origin()) for i in (0, 1)]
    filled = [moments(y[i::2] + 1, np.full(100, mean), Origin()) for i in (0, 1)]
    found = difference(known[0] + late[0], known[1] + late[1], Origin())
    wanted = difference(known[0] + filled[0], known[1] + filled[1], Origin())
    assert (found.estimate, found.variance) == pytest.approx((wanted.estimate, wanted.variance))


def test_large_numbers_that_differ_by_little_are_told_apart() -> None:
    origin = Origin(y=1e9)
    arms = [moments(1e9 + shift + np.arange(200) % 3, None, origin) for shift in (1.0, 0.0)]
    found = difference(arms[0], arms[1], origin)
    assert found.estimate == pytest.approx(1.0)
    assert found.variance == pytest.approx(2 * np.var(np.arange(200) % 3, ddof=1) / 200)
