"""Two verdicts on one rung: the counters guard it, something else decides it."""

from dataclasses import replace

from sluice.nouns import Verdict, VerdictKind


def guarded(guard: Verdict, decider: Verdict) -> Verdict:
    """One verdict of what counters say and of what pairs of answers or outcomes of users say.

    A failed guard always fails: a candidate that breaks may win no test. Then the decider's failure
    counts, then a measurement of either that cannot be trusted, then what the decider says.

    Args:
        guard: From the counters of the rung; its ``passed`` proves nothing here.
        decider: From pairs or outcomes.
    """
    untrusted = (VerdictKind.INVALID, VerdictKind.ERROR)
    if guard.kind is VerdictKind.FAILED:
        leading = guard
    elif decider.kind is VerdictKind.FAILED or guard.kind not in untrusted:
        leading = decider
    else:
        leading = guard
    return replace(
        guard,
        kind=leading.kind,
        reason=leading.reason,
        cause=leading.cause,
        winner=leading.winner,
        checks=(*guard.checks, *decider.checks),
        differences=decider.differences,
    )
