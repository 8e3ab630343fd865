"""A decision as others are told of it."""

from dataclasses import replace

from sluice.nouns import Notice
from sluice.reports.model import Decision
from sluice.runtime.checkpoint import plain


def notice_of(release: str, decision: Decision) -> Notice:
    """The decision without the checks behind its verdict: those are what ``explain`` shows.

    Its id is made of what was decided when, so that it is the same after a restart.
    """
    verdict = decision.verdict
    data = plain(replace(decision, verdict=None))
    data["verdict"] = verdict and {
        "kind": str(verdict.kind),
        "reason": verdict.reason,
        "requests": verdict.requests,
        "harmed": verdict.harmed,
    }
    parts = (release, decision.pass_number, decision.at_ms, decision.kind, decision.reason)
    return Notice(
        id="-".join(map(str, parts)).replace("/", "-"),
        release=release,
        at_ms=decision.at_ms,
        kind=decision.kind,
        reason=decision.reason,
        message=decision.message,
        by=decision.by,
        data={"release": release, **data},
    )
