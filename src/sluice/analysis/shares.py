"""``srm`` on requests: whether the routers share them as they were told to."""

from sluice.analysis.counters import Reading
from sluice.analysis.srm import BLOCK_AT, SrmState, srm_update
from sluice.analysis.state import AnalysisState, Poll
from sluice.nouns import Purpose

LONGEST_GAP_MS = 10_000
"""After a longer time without a reading a lease may have run out and routers shared otherwise."""


def advance(state: AnalysisState, poll: Poll, reading: Reading) -> SrmState:
    """The evidence after one poll, scored only when one routing was in force all the time.

    What was begun is counted, not what ended: answers of a slow candidate come late. A mismatch is
    over when a new generation has other shares, or when requests under the same have made up for
    it: it holds a release, so it has to be able to end.
    """
    split = poll.split
    if split is None or poll.purpose is not Purpose.LIVE or split.generation != state.generation:
        return state.srm
    if poll.taken_ms - state.taken_ms > LONGEST_GAP_MS:
        return state.srm
    arms = [(revision, share) for revision, share in split.shares if share > 0]
    counts = [max(0, reading.begun.get(revision, 0)) for revision, _ in arms]
    if len(arms) < 2 or not any(counts):
        return state.srm
    whole = sum(share for _, share in arms)
    planned = tuple(share / whole for _, share in arms)
    before = state.srm
    if planned != before.shares and mismatch(before):
        before = SrmState()
    return srm_update(before, counts, planned)


def mismatch(srm: SrmState) -> bool:
    """Whether shares cannot be trusted now."""
    return srm.log_e >= BLOCK_AT
