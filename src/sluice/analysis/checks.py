"""The likelihood ratios of one poll: what each check bets, and on which alternatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p

from sluice.nouns import Objective

_RATIOS = (1.5, 2.5, 5.0, 10.0, 30.0, 100.0, 1000.0)
CLIENT_ERRORS_RATIO = 1.1
"""``client-errors`` tolerates this multiple of stable's share of answers 400 to 499."""
_BUDGET_MULTIPLES = (2.0, 3.0, 5.0, 10.0)
_BAD_RATES = (0.25, 0.8)
_MILD_MULTIPLE = 1.5
_BELOW_MARGIN = (0.02, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one poll added to one objective, counts."""

    n_candidate: int
    bad_candidate: int
    n_stable: int
    bad_stable: int

    @property
    def compares(self) -> bool:
        """Whether both arms had requests; without both there is no share to compare at."""
        return self.n_candidate > 0 and self.n_stable > 0

    def without(self, requests: int, bad: int) -> "Batch":
        """The same without some of the candidate's requests; tries of one request that several
        endpoints were charged with can make these more than there are.
        """
        n = max(0, self.n_candidate - requests)
        return Batch(
            n_candidate=n,
            bad_candidate=min(n, max(0, self.bad_candidate - bad)),
            n_stable=self.n_stable,
            bad_stable=self.bad_stable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The alternatives of a comparison with stable, as constants of their factors."""

    allowed: float
    """r0: the tolerated ratio of the two bad rates."""
    logs: tuple[float, ...]
    """ln(rho / r0), one per alternative."""
    excess: tuple[float, ...]
    """rho - r0, likewise."""


def ratios(allowed: float) -> Ratios:
    """Alternatives above a tolerated ratio, at least 1."""
    return Ratios(
        allowed=allowed,
        logs=tuple(log(rho) for rho in _RATIOS),
        excess=tuple(allowed * (rho - 1.0) for rho in _RATIOS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """The alternatives that one objective's checks bet on, as constants of their factors."""

    allowed: float
    """Error budget, 1 - target, fraction."""
    margin: float
    """PASS margin of the budget form, passBudget * (1 - target), fraction."""
    pass_ratio: float
    ratios: Ratios
    """Of ``regression``."""
    slo: tuple[tuple[float, float], ...]
    """(ln of the factor of a bad answer, of a good one), one pair per bad rate above the SLO's."""
    watch: tuple[tuple[float, float], ...]
    """The same for the bad rates at which stable is watched: those of ``slo`` and a milder one."""
    budget: tuple[tuple[float, float], ...]
    """The same for bad rates below the PASS margin."""


def bets(objective: Objective) -> Bets:
    """What an objective's checks bet on.

    ``regression``: rates above ``max_ratio`` times stable's. ``slo``: multiples of the error
    budget, and two rates of plain failure. PASS by budget: fractions of its margin.
    """
    allowed = 1.0 - objective.target
    bad_rates = sorted({*(m * allowed for m in _BUDGET_MULTIPLES), *_BAD_RATES})
    above = [g for g in bad_rates if allowed < g < 1.0] or [(1.0 + allowed) / 2.0]
    mildest = _MILD_MULTIPLE * allowed
    watched = [mildest, *above] if mildest < above[0] else above
    margin = objective.pass_budget * allowed
    return Bets(
        allowed=allowed,
        margin=margin,
        pass_ratio=objective.pass_ratio,
        ratios=ratios(objective.max_ratio),
        slo=tuple(_bernoulli(g, allowed) for g in above),
        watch=tuple(_bernoulli(g, allowed) for g in watched),
        budget=tuple(_bernoulli(f * margin, margin) for f in _BELOW_MARGIN),
    )


def _bernoulli(rate: float, null: float) -> tuple[float, float]:
    return log(rate / null), log1p(-rate) - log1p(-null)


def comparison_factors(known: Ratios, batch: Batch) -> list[float] | None:
    """``regression`` and ``client-errors``: how the bad answers of a poll fell on the two arms.

    Null hypothesis p_c <= r0 * p_s. With share w of the poll's requests the chance that a
    bad answer is the candidate's is w r0 / (w r0 + 1 - w) at the edge of the null. None: no bad
    answer in either arm, every factor is 1.

    Source: Lindon & Malek (2022), conditional count e-process; w is the realised share of the
    poll, so that changes of weight need nothing.
    """
    bad_candidate = batch.bad_candidate
    bad = bad_candidate + batch.bad_stable
    if bad == 0:
        return None
    share = batch.n_candidate / (batch.n_candidate + batch.n_stable)
    tilt = share / (share * known.allowed + 1.0 - share)
    return [
        bad_candidate * log_ratio - bad * log1p(tilt * excess)
        for log_ratio, excess in zip(known.logs, known.excess, strict=True)
    ]


def slo_factors(known: Bets, batch: Batch) -> list[float]:
    """``slo``: null hypothesis p_c <= 1 - target, against each bad rate of the grid."""
    return _factors(known.slo, batch.n_candidate, batch.bad_candidate)


def watch_factors(known: Bets, batch: Batch) -> list[float]:
    """The same for stable: null hypothesis p_s <= 1 - target."""
    return _factors(known.watch, batch.n_stable, batch.bad_stable)


def ratio_factors(known: Bets, batch: Batch) -> list[float] | None:
    """PASS by ratio: null hypothesis p_c >= pass_ratio * p_s, alternative p_c = p_s.

    None: no bad answer in either arm, the factor is 1.
    """
    bad = batch.bad_candidate + batch.bad_stable
    if bad == 0:
        return None
    share = batch.n_candidate / (batch.n_candidate + batch.n_stable)
    tilt = log1p(share * (known.pass_ratio - 1.0))
    return [bad * tilt - batch.bad_candidate * log(known.pass_ratio)]


def budget_factors(known: Bets, batch: Batch) -> list[float]:
    """PASS by budget: null hypothesis p_c >= pass_budget * (1 - target)."""
    return _factors(known.budget, batch.n_candidate, batch.bad_candidate)


def _factors(grid: Sequence[tuple[float, float]], requests: int, bad: int) -> list[float]:
    good = requests - bad
    return [bad * up + good * down for up, down in grid]
