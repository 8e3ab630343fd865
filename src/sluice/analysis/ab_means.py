"""Numbers of users in two arms: the difference of their means, and how sure it is.

Asymptotic: the interval holds at all times together once there are enough users for the mean to be
nearly normal (a hundred an arm are asked for). A cap keeps one huge outcome from deciding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p, sqrt

LEAST_PLANNED = 200.0
"""Fewest users that the interval is tuned for: as many as must be there before it is shown."""

CERTAIN = 10_000.0
"""Logarithm of the e-value of two arms without any spread that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over the users of one arm, from which everything else follows.

    Outcomes are counted from ``Origin.y`` and covariates from ``Origin.x``, near their means, so
    that squares of large numbers do not swallow what they differ by.
    """

    n: int = 0
    """Users with an outcome."""
    nonzero: int = 0
    """Of them: outcomes other than 0."""
    y: float = 0.0
    yy: float = 0.0
    with_x: int = 0
    """Users with a covariate."""
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    y_with_x: float = 0.0
    """Sum of the outcomes of those."""

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            n=self.n + other.n,
            nonzero=self.nonzero + other.nonzero,
            y=self.y + other.y,
            yy=self.yy + other.yy,
            with_x=self.with_x + other.with_x,
            x=self.x + other.x,
            xx=self.xx + other.xx,
            xy=self.xy + other.xy,
            y_with_x=self.y_with_x + other.y_with_x,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where outcomes and covariates are counted from."""

    y: float = 0.0
    x: float = 0.0


def one(outcome: float, covariate: float | None, origin: Origin, sign: int = 1) -> Moments:
    """Sums of one user; with ``sign`` -1 they take him out again."""
    y = outcome - origin.y
    x = 0.0 if covariate is None else covariate - origin.x
    known = 0 if covariate is None else sign
    return Moments(
        n=sign,
        nonzero=sign if outcome != 0.0 else 0,
        y=sign * y,
        yy=sign * y * y,
        with_x=known,
        x=known * x,
        xx=known * x * x,
        xy=known * x * y,
        y_with_x=known * y,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Variant's mean minus control's."""

    estimate: float
    variance: float
    """Of the estimate."""
    users: int
    """Of both arms."""
    mean_variant: float
    mean_control: float
    """Means as they are, not adjusted."""
    theta: float = 0.0
    """CUPED: outcome per unit of covariate that is taken off; 0: nothing is adjusted."""

    @property
    def unit_variance(self) -> float:
        """Variance of the estimate times users: what one user of both arms adds."""
        return self.variance * self.users


def difference(variant: Moments, control: Moments, origin: Origin) -> Difference:
    """The difference of two means, adjusted by the covariate where there is one.

    Args:
        variant: At least two users.
        control: Likewise.
        origin: Where the moments count from.

    An arm in which all outcomes are equal is given the variance of both together: taken at its
    word it would make every difference certain, or forbid any verdict.

    Source: CUPED, Deng, Xu, Kohavi & Walker (WSDM 2013). ``theta`` is the one that makes the
    variance of the difference smallest: cov / var of the covariate within arms, each arm weighted
    by 1/users. A user without a covariate counts as one with the mean of all.
    """
    filled = _fill(variant, control)
    theta = _theta(filled)
    users = variant.n + control.n
    variance = sum(_variance(arm, theta) / arm.n for arm in filled)
    if theta == 0.0 and min(_variance(arm, 0.0) for arm in filled) <= 0.0:
        pooled = _variance(filled[0] + filled[1], 0.0)
        variance = sum(max(_variance(arm, 0.0), pooled) / arm.n for arm in filled)
    means = [arm.y / arm.n for arm in filled]
    shift = theta * (filled[0].x / variant.n - filled[1].x / control.n)
    return Difference(
        estimate=means[0] - means[1] - shift,
        variance=variance,
        users=users,
        mean_variant=means[0] + origin.y,
        mean_control=means[1] + origin.y,
        theta=theta,
    )


def _fill(variant: Moments, control: Moments) -> tuple[Moments, Moments]:
    """Both arms with the mean covariate for those who have none."""
    known = variant.with_x + control.with_x
    mean = (variant.x + control.x) / known if known else 0.0
    filled = []
    for arm in (variant, control):
        missing = arm.n - arm.with_x
        filled.append(
            Moments(
                n=arm.n,
                y=arm.y,
                yy=arm.yy,
                with_x=arm.n if known else 0,
                x=arm.x + missing * mean,
                xx=arm.xx + missing * mean * mean,
                xy=arm.xy + mean * (arm.y - arm.y_with_x),
            )
        )
    return filled[0], filled[1]


def _theta(arms: Sequence[Moments]) -> float:
    if not all(arm.with_x for arm in arms):
        return 0.0
    covariance = spread = 0.0
    for arm in arms:
        scale = 1.0 / (arm.n * (arm.n - 1))
        covariance += scale * (arm.xy - arm.x * arm.y / arm.n)
        spread += scale * (arm.xx - arm.x * arm.x / arm.n)
    floor = 1e-12 * sum(arm.xx / (arm.n * arm.n) for arm in arms)
    return covariance / spread if spread > floor else 0.0


def _variance(arm: Moments, theta: float) -> float:
    """Sample variance of outcome - theta * covariate."""
    square = arm.yy - arm.y * arm.y / arm.n
    if theta:
        square += theta * theta * (arm.xx - arm.x * arm.x / arm.n)
        square -= 2.0 * theta * (arm.xy - arm.x * arm.y / arm.n)
    # Rounding may leave a little below nothing.
    return max(0.0, square / (arm.n - 1)) if square > 1e-12 * abs(arm.yy) else 0.0


def tuning(users: float, alpha: float) -> float:
    """The rho that makes the interval narrowest at so many users of both arms.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Time-uniform central limit theory
    (AoS 2024, 2103.06476): sqrt((-2 ln a + ln(1 - 2 ln a)) / N).
    """
    level = log(alpha)
    return sqrt((-2.0 * level + log(1.0 - 2.0 * level)) / max(users, LEAST_PLANNED))


def half_width(found: Difference, rho: float, alpha: float) -> float:
    """Half of the width of the interval that holds at all times, in units of the outcome.

    Source: as ``tuning``; sigma * sqrt(2 (n r2 + 1) / (n2 r2) * ln(sqrt(n r2 + 1) / alpha)).
    """
    n, r2 = found.users, rho * rho
    grown = n * r2 + 1.0
    return sqrt(found.unit_variance * 2.0 * grown / (n * n * r2) * (0.5 * log(grown) - log(alpha)))


def log_e_value(found: Difference, rho: float) -> float:
    """Logarithm of the e-value against no difference: 1/alpha where the interval leaves 0."""
    if found.variance <= 0.0:
        return 0.0 if found.estimate == 0.0 else CERTAIN
    n, r2 = found.users, rho * rho
    z2 = found.estimate * found.estimate / found.variance
    return 0.5 * (z2 * n * r2 / (n * r2 + 1.0) - log1p(n * r2))
