"""Yes or no of users in two arms: an e-process that is exact at any number of users.

Under the null hypothesis that nothing differs, a user's arm says nothing of his outcome: given all
outcomes, arms are independent draws by the planned shares. So each factor below has mean 1 over
the draw of the arm, whatever the outcomes are and however they change with time.
"""

from dataclasses import dataclass
from math import exp, log

from sluice.analysis.logmath import log_mean_exp

LIFTS = (0.05, 0.1, 0.25, 0.5)
"""Relative differences between the arms that are betted on, each way."""
_LEAST_RATE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one look brought for one arm, users."""

    yes: int = 0
    """New users with outcome 1."""
    no: int = 0
    """New users with outcome 0."""
    turned_yes: int = 0
    """Users whose outcome was 0 and is 1 now: late conversions."""
    turned_no: int = 0
    """The other way round: corrections."""
    had_yes: int = 0
    """Users with outcome 1 before this look."""
    had_no: int = 0

    @property
    def silent(self) -> bool:
        """Whether nothing was said of any user."""
        return not (self.yes or self.no or self.turned_yes or self.turned_no)

    @property
    def ones(self) -> int:
        """Users with outcome 1 after this look."""
        return self.had_yes + self.yes + self.turned_yes - self.turned_no

    @property
    def users(self) -> int:
        """Users with an outcome after this look."""
        return self.had_yes + self.had_no + self.yes + self.no


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """Evidence that two arms differ, one number a lift, ln of the capital on it."""

    higher: tuple[float, ...] = (0.0,) * len(LIFTS)
    """On the variant having the higher rate."""
    lower: tuple[float, ...] = (0.0,) * len(LIFTS)

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value: the mean over all lifts, both ways."""
        return log_mean_exp((*self.higher, *self.lower))

    @property
    def sign(self) -> int:
        """1 when the variant's rate is rather higher, -1 when rather lower."""
        return 1 if log_mean_exp(self.higher) >= log_mean_exp(self.lower) else -1


def score(bet: Bet, variant: Cell, control: Cell, share: float) -> Bet:
    """The evidence after one look.

    Args:
        bet: Evidence before.
        variant: What the look brought for the variant.
        control: Likewise for the control.
        share: Variant's planned share of the users of both arms, in (0, 1).

    The assumed rate is the pooled one of both arms with this look included: it does not know who
    is in which arm, so it may look at the outcomes it is used for.

    A user whose outcome changes was scored before. His change is scored as in a log-rank test:
    among the users who could have changed, how likely was it one of this arm. Exact while users
    of both arms have been waiting for equally long, which the random draw sees to.

    Source: the two-sample e-process of Turner, Ly & Grünwald (JSPI 230, 2024) with both rates set
    round the pooled one; changes: Grünwald, Ly, Pérez-Ortiz & ter Schure, The Safe Logrank Test.
    """
    if variant.silent and control.silent:
        return bet
    users = variant.users + control.users
    rate = (variant.ones + control.ones + 0.5) / (users + 1.0)
    return Bet(
        higher=tuple(
            capital + _log_factor(variant, control, share, *rates(rate, lift))
            for capital, lift in zip(bet.higher, LIFTS, strict=True)
        ),
        lower=tuple(
            capital + _log_factor(variant, control, share, *rates(rate, -lift))
            for capital, lift in zip(bet.lower, LIFTS, strict=True)
        ),
    )


def rates(pooled: float, lift: float) -> tuple[float, float]:
    """Rates of variant and control that lie ``lift`` apart, round the pooled one."""
    rarer = min(pooled, 1.0 - pooled)
    rarer = min(max(rarer, _LEAST_RATE), 0.5)
    # Lifts are of the rarer outcome: a rate of 95% times 1.25 is none.
    if pooled <= 0.5:
        return rarer * (1.0 + lift / 2.0), rarer * (1.0 - lift / 2.0)
    return 1.0 - rarer * (1.0 - lift / 2.0), 1.0 - rarer * (1.0 + lift / 2.0)


def _log_factor(variant: Cell, control: Cell, share: float, q_v: float, q_s: float) -> float:
    mean = share * q_v + (1.0 - share) * q_s
    yes_v, yes_s = log(q_v / mean), log(q_s / mean)
    no_v, no_s = log((1.0 - q_v) / (1.0 - mean)), log((1.0 - q_s) / (1.0 - mean))
    value = variant.yes * yes_v + variant.no * no_v + control.yes * yes_s + control.no * no_s
    value += _changes(
        variant.turned_yes, control.turned_yes, variant.had_no, control.had_no, yes_v - no_v,
        yes_s - no_s,
    )  # fmt: skip
    return value + _changes(
        variant.turned_no, control.turned_no, variant.had_yes, control.had_yes, no_v - yes_v,
        no_s - yes_s,
    )  # fmt: skip


def _changes(
    of_variant: int, of_control: int, at_risk_v: int, at_risk_s: int, log_v: float, log_s: float
) -> float:
    """Logarithm of the factor of users who changed, normalised over who could have."""
    changed = of_variant + of_control
    if not changed:
        return 0.0
    share = at_risk_v / (at_risk_v + at_risk_s)
    mean = share * exp(log_v) + (1.0 - share) * exp(log_s)
    return of_variant * log_v + of_control * log_s - changed * log(mean)
