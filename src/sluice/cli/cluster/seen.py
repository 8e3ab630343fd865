"""What the controller wrote of a release, as the value that every command draws."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.cli.program import hinted
from sluice.errors import SpecError
from sluice.kube.packed import unpack
from sluice.nouns import Phase, RevisionId
from sluice.reports import document
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.words import duration

NOT_SEEN = "NotSeen"
UNSEEN = "the controller has not looked at it yet: is it installed? `make install`"
SILENT_MS = 60_000
"""A pass under way is written at least every ten seconds; after a minute somebody is away."""

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A release as the controller last wrote it."""

    status: ReleaseStatus
    decisions: tuple[Decision, ...]
    """Oldest first, as many as the controller keeps."""


def seen(obj: Object, *, name: str, now_ms: int) -> Seen:
    """Read a Release object.

    Args:
        obj: As the API server gives it.
        name: What it is called in answers: ``taxi``, or ``ml/taxi`` from elsewhere.
        now_ms: UTC milliseconds.
    """
    said: Object = obj.get("status") or {}
    packed = said.get("view")
    if not packed:
        return Seen(status=_plain(said, name, now_ms), decisions=())
    try:
        view = unpack(str(packed))
        status = document.parse(ReleaseStatus, document.dump_json(view["status"]))
        decisions = document.parse(tuple[Decision, ...], document.dump_json(view["decisions"]))
    except (SpecError, ValueError, KeyError, TypeError):
        odd = "the controller's view is of another version of sluice: `make install` upgrades it"
        plain = _plain(said, name, now_ms)
        return Seen(status=replace(plain, problems=(*plain.problems, odd)), decisions=())
    metadata = obj["metadata"]
    key = f"{metadata.get('namespace')}/{metadata['name']}"

    def said_here(text: str) -> str:
        return hinted(text.replace(key, name))

    silent = status.phase is Phase.PROGRESSING and now_ms - status.updated_ms > SILENT_MS
    problems = [*status.problems, *_troubles(obj, status, now_ms if silent else None)]
    called = replace(
        status,
        name=name,
        # nobody writes while nothing changes: what is read now is how it is now
        updated_ms=status.updated_ms if silent else now_ms,
        message=said_here(status.message),
        next=said_here(status.next),
        problems=tuple(dict.fromkeys(map(said_here, problems))),
        decisions=status.decisions or decisions,
    )
    return Seen(status=called, decisions=decisions)


def is_observed(obj: Object, generation: int) -> bool:
    """Whether the controller has looked at this generation of the spec."""
    return int((obj.get("status") or {}).get("observedGeneration") or 0) >= generation


def condition(obj: Object, kind: str) -> Object:
    """A condition of the object; empty when it has none of this type."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), {})


def refusal(obj: Object) -> str:
    """Why the controller does not accept the spec; empty when it does."""
    accepted = condition(obj, "Accepted")
    if accepted.get("status") != "False":
        return ""
    return str(accepted.get("message") or accepted.get("reason") or "no reason given")


def _troubles(obj: Object, status: ReleaseStatus, silent_at_ms: int | None) -> list[str]:
    lines = []
    generation = int(obj["metadata"].get("generation") or 0)
    if not is_observed(obj, generation):
        lines.append("the controller has not looked at the newest spec yet")
    if refused := refusal(obj):
        lines.append(f"the spec is not accepted: {refused}")
    if silent_at_ms is not None:
        age = duration(silent_at_ms - status.updated_ms)
        look = "`kubectl get pods -n sluice-system`"
        lines.append(f"the controller wrote this {age} ago: is it running? {look}")
    return lines


def _plain(said: Object, name: str, now_ms: int) -> ReleaseStatus:
    """From the fields for people: all there is before the first view."""
    phase = said.get("phase")
    known = phase in [*Phase]
    return ReleaseStatus(
        name=name,
        phase=Phase(str(phase)) if known else Phase.PROGRESSING,
        reason=NOT_SEEN,
        message=str(said.get("message") or UNSEEN),
        next="",
        stable=_revision(said.get("stable")),
        candidate=_revision(said.get("candidate")),
        weight_bp=_weight_bp(str(said.get("weight") or "")),
        generation=0,
        acknowledged=0,
        pass_number=0,
        pass_started_ms=None,
        updated_ms=now_ms,
        problems=tuple(str(line) for line in said.get("problems") or ()),
        notices=tuple(str(line) for line in said.get("notices") or ()),
    )


def _revision(value: object) -> RevisionId | None:
    return RevisionId(str(value)) if value else None


def _weight_bp(text: str) -> int:
    try:
        return round(float(text.rstrip("%")) * 100)
    except ValueError:
        return 0
