"""Whether stable breaks the SLO as well: then the machine is at fault, not the candidate.

``slo`` skips such polls. Any rule may decide that which looks at stable alone: under the null
hypothesis the candidate's answers do not depend on stable's, so a skip costs power, never validity.
"""

from collections.abc import Sequence

from sluice.analysis.checks import Batch, Bets, watch_factors
from sluice.analysis.logmath import binomial_tail_at_most

_RARE = 0.001
_ALARM = 2.0
"""Low on purpose: a false alarm skips a few polls, a missed one turns back a good candidate."""
_CEILING = 6.0
"""High enough to bridge the better polls within an incident, low enough to end with it."""

_FADING = 0.98
"""Per candidate request in polls without any of stable: forgotten after 55 of them."""


def calm(known: Bets) -> tuple[float, ...]:
    """Evidence that stable breaks the SLO, before any data."""
    return (0.0,) * len(known.watch)


def watch(known: Bets, evidence: Sequence[float], batch: Batch) -> tuple[float, ...]:
    """Evidence after stable's share of one poll: a CUSUM for each bad rate of ``Bets.watch``.

    A CUSUM sees a weak incident over many small polls, which no test of a single poll can. It has
    a ceiling, so that the end of an incident is seen as soon as its start, and it fades while only
    the candidate is asked: what can no longer be seen must not silence ``slo`` for long.
    """
    if batch.n_stable == 0:
        fading = _FADING**batch.n_candidate
        return tuple([value * fading for value in evidence])
    if batch.bad_stable == 0 and not any(evidence):
        return tuple(evidence)
    factors = watch_factors(known, batch)
    sums = [value + factor for value, factor in zip(evidence, factors, strict=True)]
    return tuple([0.0 if s < 0.0 else _CEILING if s > _CEILING else s for s in sums])


def is_shared(known: Bets, evidence: Sequence[float], batch: Batch) -> bool:
    """Whether a poll belongs to an incident of stable.

    Args:
        known: The bets of the objective, the SLO among them.
        evidence: What ``watch`` returned for this poll.
        batch: What the poll added.
    """
    if max(evidence) >= _ALARM:
        return True
    return batch.n_stable > 0 and binomial_tail_at_most(
        batch.bad_stable, batch.n_stable, known.allowed, _RARE
    )
