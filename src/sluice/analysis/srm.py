"""Sample ratio mismatch: whether units fall on the arms as the weights say.

A mismatch means a mis-weighted router, telemetry that got lost for one arm, or users that one arm
drove away before they were counted: whatever is compared then compares different people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log

from sluice.errors import InvariantError

CONCENTRATION = 1_000.0
"""How near to the planned shares a mismatch is looked for: the prior is worth so many units."""
BLOCK_AT = log(1_000.0)
"""ln of the e-value at which shares cannot be trusted any more: alpha 0.001."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrmState:
    """Evidence that counted units do not follow the shares that were planned for them."""

    shares: tuple[float, ...] = ()
    """Planned shares of the units in ``counts``; they sum to 1."""
    counts: tuple[int, ...] = ()
    """Units of each arm while ``shares`` have been in force."""
    before: float = 0.0
    """ln of the e-value of all that was counted under earlier shares."""
    peak: float = 0.0
    """Highest ln of the e-value so far; who crossed once has rejected (Ville)."""

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value now."""
        return self.before + _log_e(self.counts, self.shares)

    @property
    def mismatch(self) -> bool:
        """Whether the planned shares are refuted, at any time until now."""
        return self.peak >= BLOCK_AT


def srm_update(state: SrmState, counts: Sequence[int], shares: Sequence[float]) -> SrmState:
    """The evidence after more units.

    Units must come one by one from a random draw by ``shares``: users by their hash, or requests
    on a route that is not sticky. Shares may change between two calls, not within one; the e-value
    is then the product of those under each, which is an e-process again.

    Args:
        state: Evidence before; ``SrmState()`` at first.
        counts: New units of each arm, shape (arms,).
        shares: Share that each arm should get of them, shape (arms,), positive; made to sum to 1.

    Raises:
        InvariantError: the shapes differ, an arm has no share, or a count is negative.

    Source: Lindon & Malek, Anytime-Valid Inference for Multinomial Count Data (NeurIPS 2022):
    E = [B(a + n) / B(a)] / prod(share^n), a = 1000 * share. Arms without a share take no unit in
    the model, so the caller leaves them out.
    """
    if len(counts) != len(shares):
        raise InvariantError(f"srm: {len(counts)} counts for {len(shares)} shares")
    if any(share <= 0.0 for share in shares):
        raise InvariantError("srm: an arm without a share; leave it out")
    if any(count < 0 for count in counts):
        raise InvariantError(f"srm: negative count in {tuple(counts)}")
    whole = sum(shares)
    planned = tuple(share / whole for share in shares)
    if planned == state.shares:
        known, before = state.counts, state.before
    else:
        known, before = (0,) * len(planned), state.log_e
    total = tuple(a + b for a, b in zip(known, counts, strict=True))
    value = before + _log_e(total, planned)
    return SrmState(shares=planned, counts=total, before=before, peak=max(state.peak, value))


def _log_e(counts: Sequence[int], shares: Sequence[float]) -> float:
    if not counts:
        return 0.0
    value = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = CONCENTRATION * share
        value += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return value
