"""One e-process: a mixture over alternatives, and over the polls at which it may have begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p

from sluice.analysis.logmath import log_mean_exp


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """How the stake of 1 is spread over starting times, fixed before any data.

    ``gamma0`` starts at once, the rest in equal parts at each of the next ``polls`` scored polls.
    A process started once pays for every healthy request and goes blind; spread starts find a
    fault that begins late (``docs/decisions/0011-restarts-inside-the-process.md``).
    """

    gamma0: float
    """Stake of the first start, in (0, 1]; 1 means no restarts."""
    polls: int
    """Scored polls over which the rest is spread, at least 1."""

    @property
    def log_first(self) -> float:
        return log(self.gamma0)

    def log_stake(self, used: int) -> float | None:
        """Logarithm of the stake that joins at the next scored poll; None: all is spent."""
        if self.gamma0 >= 1.0 or used >= self.polls:
            return None
        return log((1.0 - self.gamma0) / self.polls)

    def unspent(self, used: int) -> float:
        """Stake that has not joined yet and still counts as itself."""
        if used >= self.polls:
            return 0.0
        return (1.0 - self.gamma0) * (self.polls - used) / self.polls


ONCE = Restarts(gamma0=1.0, polls=1)
"""No restarts: what PASS uses, where a late start would prove less than a whole pass does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Evidence of one check on one objective."""

    log_weights: tuple[float, ...]
    """ln of the capital on each alternative."""
    log_e: float = 0.0
    """ln E now: mean of the capitals plus the stake that has not joined."""
    used: int = 0
    """Polls that were scored."""
    requests: int = 0
    """Candidate requests in those polls."""
    peak: float = 0.0
    """Highest ln E so far; an e-process that crossed once has rejected (Ville)."""


def fresh(alternatives: int, restarts: Restarts) -> Mixture:
    """A process before any data: its e-value is 1."""
    return Mixture(log_weights=(restarts.log_first,) * alternatives)


def score(
    mixture: Mixture, log_factors: Sequence[float] | None, requests: int, restarts: Restarts
) -> Mixture:
    """The process after one poll.

    Args:
        mixture: The process before the poll.
        log_factors: ln of the likelihood ratio of the poll, one per alternative; None: all 1.
        requests: Candidate requests in the poll.
        restarts: The spread of starting times; the same at every call.

    Source: M_t = (M_{t-1} + gamma_t) L_t, E_t = mean M_t + (1 - sum of gamma so far): a mixture of
    e-processes, each 1 before its start, so Ville's bound holds for the whole.
    """
    weights = moved(mixture.log_weights, log_factors, restarts.log_stake(mixture.used))
    used = mixture.used + 1
    value = log_mean_exp(weights, rest=restarts.unspent(used))
    return Mixture(
        log_weights=weights,
        log_e=value,
        used=used,
        requests=mixture.requests + requests,
        peak=max(mixture.peak, value),
    )


def moved(
    weights: tuple[float, ...], log_factors: Sequence[float] | None, stake: float | None
) -> tuple[float, ...]:
    """Capitals after a stake joined (None: none) and the poll was scored (None: factors 1)."""
    if stake is not None:
        weights = tuple(
            [
                w + log1p(exp(stake - w)) if w > stake else stake + log1p(exp(w - stake))
                for w in weights
            ]
        )
    if log_factors is not None:
        weights = tuple([a + b for a, b in zip(weights, log_factors, strict=True)])
    return weights


def anew(mixture: Mixture, capital: float) -> Mixture:
    """Another process over the same alternatives, with this much to begin with.

    The chance that it ever crosses a threshold is ``capital`` times that of a whole one, and adds
    to that of the process it takes the place of.
    """
    return Mixture(
        log_weights=(log(capital),) * len(mixture.log_weights),
        log_e=log(capital),
    )
