"""What a person asks of a release: a verb and its words, as an event of the engine.

The laptop's API and the annotations of a cluster both end here.
"""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from sluice.engine import events
from sluice.errors import RefusedError, UnknownRelease
from sluice.nouns import RevisionId

VERBS = ("promote", "pause", "resume", "abort", "retry", "undo", "approve", "reject")


class VerbBody(BaseModel):
    """What belongs to a verb; unknown words are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    by: str = ""
    """Who asks."""
    full: bool = False
    """``promote``: make the candidate stable now."""
    force: bool = False
    """``promote``: in spite of a freeze window."""
    reason: str = ""
    """``reject``: why."""
    to_revision: str | None = None
    """``undo``: the revision to go to; None: the one before."""
    gate: str | None = None
    """``approve`` and ``reject``: the gate that is answered."""


def event_of(verb: str, body: VerbBody) -> Callable[[int], events.Event]:
    """Makes the event of a verb from the present time, UTC ms.

    Raises:
        UnknownRelease: there is no such verb.
        RefusedError: a word that the verb needs is missing.
    """
    by = body.by
    match verb:
        case "promote":
            return lambda at: events.Promote(at_ms=at, full=body.full, force=body.force, by=by)
        case "pause":
            return lambda at: events.Pause(at_ms=at, by=by)
        case "resume":
            return lambda at: events.Resume(at_ms=at, by=by)
        case "abort":
            return lambda at: events.Abort(at_ms=at, by=by)
        case "retry":
            return lambda at: events.Retry(at_ms=at, by=by)
        case "undo":
            to = RevisionId(body.to_revision) if body.to_revision else None
            return lambda at: events.Undo(at_ms=at, to=to, by=by)
        case "approve" | "reject":
            if not body.gate:
                raise RefusedError(f"{verb} needs the name of a gate")
            gate, reason = body.gate, body.reason
            if verb == "approve":
                return lambda at: events.Approve(at_ms=at, gate=gate, by=by)
            return lambda at: events.Refuse(at_ms=at, gate=gate, reason=reason, by=by)
        case _:
            raise UnknownRelease(f"no verb {verb!r}")
