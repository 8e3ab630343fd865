"""How often an A/B test is wrong and how soon it is right: Monte-Carlo with fixed seeds.

Every path is looked at after every batch. The twin runs the binary bet for many paths at once; one
test holds it to the real thing.
"""

from math import log

import numpy as np
import pytest
from scipy.stats import binomtest

from sluice.analysis.ab_binary import LIFTS, Bet, Cell, score
from sluice.analysis.ab_means import Moments, Origin, difference, log_e_value, tuning
from sluice.analysis.ab_power import required_users
from sluice.nouns import Goal

ALPHA = 0.05
AT = log(1 / ALPHA)
BETS = np.array([*LIFTS, *(-lift for lift in LIFTS)])


def too_many(failed: int, paths: int) -> bool:
    """Whether so many wrong decisions cannot come from alpha."""
    return bool(binomtest(failed, paths, ALPHA, alternative="greater").pvalue < 1e-3)


def evidence(
    rates: tuple[float, float], share: float, *, paths: int, most: int, batch: int, seed: int
) -> np.ndarray:
    """ln E after each batch, shape (looks, paths), for rates of (variant, control) below a half."""
    random = np.random.default_rng(seed)
    capital = np.zeros((paths, len(BETS)))
    ones, looks = np.zeros(paths), []
    for seen in range(batch, most + 1, batch):
        ours = random.binomial(batch, share, paths)
        yes = random.binomial(ours, rates[0])
        theirs = random.binomial(batch - ours, rates[1])
        ones += yes + theirs
        q = ((ones + 0.5) / (seen + 1.0))[:, None]
        q_v, q_s = q * (1 + BETS / 2), q * (1 - BETS / 2)
        mean = share * q_v + (1 - share) * q_s
        capital += yes[:, None] * np.log(q_v / mean) + theirs[:, None] * np.log(q_s / mean)
        capital += (ours - yes)[:, None] * np.log((1 - q_v) / (1 - mean))
        capital += (batch - ours - theirs)[:, None] * np.log((1 - q_s) / (1 - mean))
        top = capital.max(1)
        looks.append(top + np.log(np.exp(capital - top[:, None]).mean(1)))
    return np.array(looks)


def decided_at(looks: np.ndarray, batch: int) -> np.ndarray:
    """Users until each path is decided; one batch more than there were where it never is."""
    over = looks >= AT
    return np.where(over.any(0), over.argmax(0) + 1, len(looks) + 1) * batch


def test_the_twin_is_the_real_thing() -> None:
    random = np.random.default_rng(179)
    looks = evidence((0.06, 0.05), 0.3, paths=1, most=20_000, batch=500, seed=179)
    bet, yes_v, no_v, yes_s, no_s = Bet(), 0, 0, 0, 0
    for step in range(40):
        ours = int(random.binomial(500, 0.3, 1)[0])
        yes = int(random.binomial([ours], 0.06)[0])
        theirs = int(random.binomial([500 - ours], 0.05)[0])
        variant = Cell(yes=yes, no=ours - yes, had_yes=yes_v, had_no=no_v)
        control = Cell(yes=theirs, no=500 - ours - theirs, had_yes=yes_s, had_no=no_s)
        bet = score(bet, variant, control, 0.3)
        yes_v, no_v = variant.ones, variant.users - variant.ones
        yes_s, no_s = control.ones, control.users - control.ones
        assert bet.log_e == pytest.approx(looks[step][0], abs=1e-9)


# --- wrong decisions ---


@pytest.mark.parametrize(("rate", "share"), [(0.05, 0.5), (0.005, 0.5), (0.05, 0.1)], ids=str)
def test_equal_arms_are_decided_with_at_most_alpha(rate: float, share: float) -> None:
    looks = evidence((rate, rate), share, paths=1_000, most=100_000, batch=200, seed=181)
    wrong = int((decided_at(looks, 200) <= 100_000).sum())
    assert wrong > 0
    assert not too_many(wrong, 1_000)


def test_a_false_alarm_would_be_seen() -> None:
    """The same count for a fixed test that looks after every batch."""
    random = np.random.default_rng(191)
    ours, theirs = (random.binomial(100, 0.05, (1_000, 500)).cumsum(1) for _ in range(2))
    users = 100 * np.arange(1, 501)
    pooled = (ours + theirs) / (2 * users)
    z = (ours - theirs) / users / np.sqrt(2 * pooled * (1 - pooled) / users)
    assert too_many(int((np.abs(z) > 1.96).any(1).sum()), 1_000)


def test_late_conversions_are_decided_with_at_most_alpha() -> None:
    """Everybody is counted as a no at first; one in ten of those turns into a yes later."""
    wrong = 0
    for path in range(300):
        random = np.random.default_rng([193, path])
        bet, waiting, had = Bet(), [0, 0], [0, 0]
        for _ in range(120):
            came = random.multinomial(150, [0.5, 0.5])
            # Who turns is drawn from those who wait, whatever their arm.
            turned = [int(random.binomial(w, 0.02)) for w in waiting]
            cells = [
                Cell(no=int(came[a]), turned_yes=turned[a], had_yes=had[a], had_no=waiting[a])
                for a in (0, 1)
            ]
            bet = score(bet, cells[0], cells[1], 0.5)
            had = [had[a] + turned[a] for a in (0, 1)]
            waiting = [waiting[a] + int(came[a]) - turned[a] for a in (0, 1)]
            if bet.log_e >= AT:
                wrong += 1
                break
    assert not too_many(wrong, 300)


def means(
    random: np.random.Generator, shift: float, *, looks: int, batch: int, slope: float
) -> list[float]:
    """ln E after each look of skewed outcomes; with a slope, of those adjusted by a covariate."""
    rho = tuning(looks * batch, ALPHA)
    arms, found = [Moments(), Moments()], []
    for _ in range(looks):
        arm = random.random(batch) < 0.5
        x = random.exponential(2.0, batch)
        y = random.exponential(1.0, batch) + slope * x + shift * arm
        for index, who in enumerate((arm, ~arm)):
            ys, xs = y[who], x[who]
            known = len(ys) if slope else 0
            arms[index] += Moments(
                n=len(ys),
                nonzero=len(ys),
                y=float(ys.sum()),
                yy=float((ys * ys).sum()),
                with_x=known,
                x=float(xs.sum()) if slope else 0.0,
                xx=float((xs * xs).sum()) if slope else 0.0,
                xy=float((xs * ys).sum()) if slope else 0.0,
                y_with_x=float(ys.sum()) if slope else 0.0,
            )
        if min(arms[0].n, arms[1].n) >= 100:
            found.append(log_e_value(difference(arms[0], arms[1], Origin()), rho))
    return found


@pytest.mark.parametrize("slope", [0.0, 1.5], ids=["plain", "cuped"])
def test_equal_means_are_decided_with_at_most_alpha(slope: float) -> None:
    wrong = sum(
        max(means(np.random.default_rng([197, path]), 0.0, looks=60, batch=100, slope=slope)) >= AT
        for path in range(400)
    )
    assert not too_many(wrong, 400)


# --- right ones ---


@pytest.mark.parametrize(
    ("lift", "expected", "most"),
    [pytest.param(0.1, 34_347, 400_000, id="+10%"), pytest.param(0.3, 4_229, 60_000, id="+30%")],
)
def test_a_difference_is_found_with_as_many_users_as_simulated(
    lift: float, expected: int, most: int
) -> None:
    rates = 0.05 * (1 + lift), 0.05
    looks = evidence(rates, 0.5, paths=400, most=most, batch=200, seed=199)
    users = decided_at(looks, 200)
    assert (users <= most).all()
    assert users.mean() / 2 == pytest.approx(expected, rel=0.08)


def test_a_covariate_that_explains_much_decides_sooner() -> None:
    def mean_look(slope: float, adjust: bool) -> float:
        found = []
        for path in range(60):
            random = np.random.default_rng([211, path])
            looks = means(random, 0.3, looks=80, batch=100, slope=slope)
            over = [look for look, value in enumerate(looks) if value >= AT]
            found.append(over[0] if over else len(looks))
        return float(np.mean(found))

    # With the covariate taken off, what is left is as noisy as if it had never been there.
    assert mean_look(1.5, adjust=True) == pytest.approx(mean_look(0.0, adjust=False), rel=0.35)


# --- what plan says ---


@pytest.mark.parametrize("power", [0.5, 0.8, 0.9])
@pytest.mark.parametrize(("lift", "share"), [(0.3, 0.5), (-0.3, 0.5), (0.3, 0.2)], ids=str)
def test_as_many_users_as_planned_decide_as_often_as_planned(
    power: float, lift: float, share: float
) -> None:
    goal = Goal(
        name="bought",
        kind="binary",
        direction="increase" if lift > 0 else "decrease",
        mde=abs(lift),
        baseline=0.05,
    )
    planned = required_users(goal, alpha=ALPHA, power=power, shares=(share, 1 - share))
    rates = 0.05 * (1 + lift), 0.05
    looks = evidence(rates, share, paths=1_500, most=planned, batch=planned // 100, seed=223)
    decided = (decided_at(looks, planned // 100) <= planned).mean()
    assert decided == pytest.approx(power, abs=0.05)


def test_as_many_users_as_planned_decide_means_as_often_as_planned() -> None:
    goal = Goal(name="tip", kind="continuous", mde=0.1, baseline=1.0, deviation=1.0)
    planned = required_users(goal, alpha=ALPHA, shares=(1, 1), planned_users=6_000)
    random, rho = np.random.default_rng(227), tuning(6_000, ALPHA)
    sums = np.zeros(1_000)
    over = np.zeros(1_000, bool)
    for n in range(50, planned + 1, 50):
        sums += random.normal(0.05 * 50, np.sqrt(50), 1_000)
        log_e = 0.5 * (sums**2 / n * n * rho**2 / (n * rho**2 + 1) - np.log1p(n * rho**2))
        over |= log_e >= AT
    assert over.mean() == pytest.approx(0.8, abs=0.05)
