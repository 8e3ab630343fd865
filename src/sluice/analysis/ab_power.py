"""How many users a test needs, and what it can find: before it runs.

Exact enough to plan by: the number at which a test that may be looked at always decides with the
power that is asked for, from the growth of its evidence per user.
"""

from collections.abc import Callable, Sequence
from math import ceil, exp, inf, log, log1p, sqrt
from statistics import NormalDist

from sluice.analysis.ab import LEAST_USERS, USUAL_USERS
from sluice.analysis.ab_binary import LIFTS, rates
from sluice.analysis.ab_means import tuning
from sluice.analysis.logmath import log_mean_exp
from sluice.errors import InvariantError
from sluice.nouns import Goal

_NORMAL = NormalDist()
_MOST_USERS = 1e12
_STEPS = 50


def required_users(
    goal: Goal,
    *,
    alpha: float,
    power: float = 0.8,
    shares: Sequence[float],
    planned_users: int = 0,
) -> int:
    """Users of all arms together until the weakest variant is decided.

    Args:
        goal: With ``mde`` (relative), ``baseline`` and, when continuous, ``deviation``.
        alpha: Of the whole test; split between the variants.
        power: Chance of a decision by then when the difference is exactly ``mde``, in (0.5, 1).
        shares: Of the users, variants first, then the control; made to sum to 1.
        planned_users: Horizon of the test, which intervals of means are tuned for; 0: none.

    Raises:
        InvariantError: the goal does not say what it takes (``plannable``), or a number lies
            outside of what it may be.
    """
    _check(goal, alpha, power, shares)
    if goal.mde <= 0.0:
        raise InvariantError(f"goal {goal.name}: mde must be over 0 to plan by")
    needed = _needed(goal, alpha, power, shares, planned_users)
    return ceil(min(needed(goal.mde), _MOST_USERS))


def detectable(
    goal: Goal,
    *,
    users: int,
    alpha: float,
    power: float = 0.8,
    shares: Sequence[float],
    planned_users: int = 0,
) -> float:
    """Smallest relative difference that so many users decide with this power.

    Args:
        goal: With ``baseline`` and, when continuous, ``deviation``.
        users: Of all arms together.
        alpha: As in ``required_users``, like all the rest.
        power: Likewise.
        shares: Likewise.
        planned_users: Likewise; 0: ``users``.

    Returns:
        The difference as a share of the baseline; infinite when even the largest is not found.

    Raises:
        InvariantError: as ``required_users``.
    """
    _check(goal, alpha, power, shares)
    needed = _needed(goal, alpha, power, shares, planned_users or users)
    low, high = 1e-6, _largest(goal)
    if needed(high) > users:
        return inf
    for _ in range(_STEPS):
        middle = sqrt(low * high)
        if needed(middle) > users:
            low = middle
        else:
            high = middle
    return high


def expected_days(users: int, *, users_per_day: float) -> float:
    """Days until so many users were exposed, when so many new ones come a day."""
    if users_per_day <= 0.0:
        raise InvariantError(f"users per day must be over 0, not {users_per_day:g}")
    return users / users_per_day


def plannable(goal: Goal) -> str:
    """What a goal lacks to be planned by; empty: nothing."""
    lacks = [] if goal.baseline else ["baseline"]
    if goal.kind == "continuous" and goal.deviation <= 0.0:
        lacks.append("deviation")
    return " and ".join(lacks)


def _check(goal: Goal, alpha: float, power: float, shares: Sequence[float]) -> None:
    lacking = plannable(goal)
    if lacking:
        raise InvariantError(f"goal {goal.name}: needs {lacking} to plan by")
    if goal.kind == "binary" and not 0.0 < goal.baseline < 1.0:
        raise InvariantError(f"goal {goal.name}: baseline {goal.baseline} is not a rate in (0, 1)")
    if not 0.0 < alpha < 1.0 or not 0.5 <= power < 1.0:
        raise InvariantError(f"alpha {alpha} or power {power} is outside of what it may be")
    if len(shares) < 2 or min(shares) <= 0.0:
        raise InvariantError(f"shares {tuple(shares)}: a variant and the control at least")


def _largest(goal: Goal) -> float:
    """The largest relative change a goal can have, or 100 for one without an end."""
    if goal.kind == "continuous":
        return 100.0
    up = (1.0 - goal.baseline) / goal.baseline
    return 0.999 * (up if goal.direction == "increase" else 1.0)


def _needed(
    goal: Goal, alpha: float, power: float, shares: Sequence[float], planned_users: int
) -> Callable[[float], float]:
    """Users of all arms for a relative difference, as a function of it."""
    whole = sum(shares)
    weakest = min(shares[:-1]) / whole
    control = shares[-1] / whole
    pair, share = weakest + control, weakest / (weakest + control)
    level = alpha / (len(shares) - 1)
    sign = 1.0 if goal.direction == "increase" else -1.0

    def needed(relative: float) -> float:
        if goal.kind == "binary":
            rate = goal.baseline * (1.0 + sign * relative)
            users = _binary(rate, goal.baseline, share, level, power)
        else:
            rho = tuning(planned_users * pair or USUAL_USERS, level)
            change = goal.baseline * relative
            users = _continuous(change, goal.deviation, share, level, power, rho)
        # Nothing is decided below the least number of users in either arm.
        return max(users, LEAST_USERS / min(share, 1.0 - share)) / pair

    return needed


def _binary(rate: float, base: float, share: float, level: float, power: float) -> float:
    """Users of both arms until the mean of the bets decides with this power.

    Evidence of a bet is a sum over users. All bets follow the same difference between the arms, so
    they are ahead or behind together: by the same multiple of their spread.
    """
    if not 0.0 < rate < 1.0:
        return inf
    pooled = share * rate + (1.0 - share) * base
    grown = [_growth(rate, base, share, pooled, sign * lift) for lift in LIFTS for sign in (1, -1)]
    mean, spread = max(grown)
    at = -log(level)

    def chance(n: float) -> float:
        low, high = -50.0, 50.0  # multiples of the spread at which the mean of the bets decides
        for _ in range(_STEPS):
            z = (low + high) / 2.0
            found = log_mean_exp([n * m + z * sqrt(n) * s for m, s in grown])
            low, high = (z, high) if found < at else (low, z)
        return _crossed(mean / spread, mean / spread * n + high * sqrt(n), n)

    return _first(lambda n: chance(n) < power)


def _growth(
    rate: float, base: float, share: float, pooled: float, lift: float
) -> tuple[float, float]:
    """Mean and spread of what one user adds to the evidence of one bet."""
    q_v, q_s = rates(pooled, lift)
    mean = share * q_v + (1.0 - share) * q_s
    growth = square = 0.0
    for weight, true, bet in ((share, rate, q_v), (1.0 - share, base, q_s)):
        for chance, value in (
            (weight * true, log(bet / mean)),
            (weight * (1.0 - true), log1p(-bet) - log1p(-mean)),
        ):
            growth += chance * value
            square += chance * value * value
    return growth, sqrt(max(0.0, square - growth * growth))


def _crossed(drift: float, level: float, n: float) -> float:
    """Chance that a sum with this mean and spread 1 a user was ever over ``level`` by user n.

    Source: first passage of a Brownian motion with drift (inverse Gaussian distribution).
    """
    if drift <= 0.0:
        return 0.0
    root = sqrt(n)
    before = _NORMAL.cdf(-(drift * n + level) / root)
    early = exp(2.0 * drift * level + log(before)) if before > 0.0 else 0.0
    return _NORMAL.cdf((drift * n - level) / root) + early


def _first(undecided: Callable[[float], bool]) -> float:
    """The number of users from which on a test is decided; infinite: it never is."""
    low, high = 1.0, _MOST_USERS
    if undecided(high):
        return inf
    for _ in range(_STEPS):
        middle = sqrt(low * high)
        low, high = (middle, high) if undecided(middle) else (low, middle)
    return high


def _continuous(
    change: float, deviation: float, share: float, level: float, power: float, rho: float
) -> float:
    """Users of both arms until the interval leaves 0 with this power."""
    drift = abs(change) / deviation * sqrt(share * (1.0 - share))

    def chance(n: float) -> float:
        grown = n * rho * rho + 1.0
        edge = sqrt(2.0 * grown / (rho * rho) * (0.5 * log(grown) - log(level)))
        return _crossed(drift, edge, n)

    return _first(lambda n: chance(n) < power)
