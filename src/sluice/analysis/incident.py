"""Whether stable breaks the SLO as well: then the machine is at fault, not the candidate.

``slo`` skips such polls. Any rule may decide that which looks at stable alone: under the null
hypothesis the candidate's answers do not depend on stable's, so a skip costs power, never validity.
"""

from collections.abc import Sequence

from sluice.analysis.checks import Bets, slo_factors
from sluice.analysis.logmath import binomial_tail_at_most

_RARE = 0.001
_ALARM = 3.0
_CEILING = 5.0


def calm(alternatives: int) -> tuple[float, ...]:
    """Evidence that stable breaks the SLO, before any data."""
    return (0.0,) * alternatives


def watch(known: Bets, evidence: Sequence[float], requests: int, bad: int) -> tuple[float, ...]:
    """Evidence after stable's share of one poll: a CUSUM for each bad rate that ``slo`` bets on.

    A CUSUM sees a weak incident over many small polls, which no test of a single poll can. It has
    a ceiling, so that the end of an incident is seen as soon as its start. Polls in which stable
    had no request halve it: what is no longer seen must not silence ``slo``.
    """
    if requests == 0:
        return tuple([value / 2.0 for value in evidence])
    factors = slo_factors(known, requests, bad)
    return tuple(
        [
            min(_CEILING, max(0.0, value + factor))
            for value, factor in zip(evidence, factors, strict=True)
        ]
    )


def is_shared(known: Bets, evidence: Sequence[float], requests: int, bad: int) -> bool:
    """Whether a poll belongs to an incident of stable.

    Args:
        known: The bets of the objective, the SLO among them.
        evidence: What ``watch`` returned for this poll.
        requests: Stable's requests in the poll, count.
        bad: Stable's bad answers in the poll, count.
    """
    if max(evidence) >= _ALARM:
        return True
    return requests > 0 and binomial_tail_at_most(bad, requests, known.allowed, _RARE)
