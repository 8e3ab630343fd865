"""Sticky users: one user's requests share a fate, so users are compared, not their requests.

Users are drawn once, by a hash. If the candidate is no worse, then whoever has a first bad answer
is a user like all others, and a candidate's user with the chance of the candidate's share of users,
however often anybody asks and however bad answers of one user hang together. Who failed already
under the candidate is missing among those who can still fail, which only makes a failed check
rarer; it would make PASS by ratio easier, which is therefore not given here.
"""

from collections.abc import Sequence

from sluice.analysis.checks import Batch, Ratios, comparison_factors
from sluice.analysis.counters import Reading

REMEMBERED = 4
"""Shares of the last polls that may still have been in force somewhere: routers take a new weight
one after the other, and write bad answers down some tenths of a second later."""
_WHOLE = 1_000_000


def remember(shares: Sequence[float], now: float | None) -> tuple[float, ...]:
    """The shares that may have been in force in this poll; empty where users are not sticky."""
    return () if now is None else (*shares, now)[-REMEMBERED:]


def factors(known: Ratios, reading: Reading, shares: Sequence[float]) -> list[float] | None:
    """Likelihood ratios of ``regression`` by the users of one poll; None: it says nothing.

    The largest share that may have been in force makes bad answers of the candidate's users least
    surprising. A user of several routers is counted by each of them: the geometric mean of what
    they say counts him at most once.

    Args:
        known: The alternatives.
        reading: What came in.
        shares: The candidate's shares of the users of both arms, fractions.
    """
    if reading.users is None or not shares or not 0.0 < max(shares) < 1.0:
        return None
    candidate, stable = reading.users
    share = round(max(shares) * _WHOLE)
    drawn = Batch(
        n_candidate=share,
        bad_candidate=candidate,
        n_stable=_WHOLE - share,
        bad_stable=stable,
    )
    found = comparison_factors(known, drawn)
    routers = len({mark.router for mark in reading.marks})
    return None if found is None else [factor / routers for factor in found]
