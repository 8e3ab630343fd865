"""What can happen to a release. Every event carries its time, UTC ms."""

from dataclasses import dataclass

from sluice.engine.plan import Plan
from sluice.nouns import RevisionId, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The spec asks for this revision under this plan; repeating it changes nothing."""

    at_ms: int
    revision: RevisionId
    plan: Plan
    variants: tuple[tuple[str, RevisionId], ...] = ()
    """Further variants beside the candidate, (name, revision)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Ready replicas by revision, and the time that passes."""

    at_ms: int
    ready: tuple[tuple[RevisionId, int], ...]
    waiting: tuple[tuple[RevisionId, str], ...] = ()
    """Why replicas are not ready, one line by revision, as the platform says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """All routers serve this generation."""

    at_ms: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The checks were looked at."""

    at_ms: int
    pass_number: int
    """The pass that was judged; a verdict of another pass is refused."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Go on past the current step or gate; ``full``: make the candidate stable now."""

    at_ms: int
    full: bool = False
    force: bool = False
    """In spite of a freeze window, which is lifted for this pass."""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Hold the weight where it is; a failing candidate is still turned back."""

    at_ms: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause or a hold."""

    at_ms: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Traffic back to stable now."""

    at_ms: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A new pass for the candidate that was turned back."""

    at_ms: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Back to the revision before, or to ``to``."""

    at_ms: int
    to: RevisionId | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """A gate is answered yes."""

    at_ms: int
    gate: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """A gate is answered no: the candidate is turned back."""

    at_ms: int
    gate: str
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Whoever was asked a gate has not answered: a person still can."""

    at_ms: int
    gate: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A freeze window begins, or ends (empty ``until``): nothing grows or is promoted in it."""

    at_ms: int
    until: str = ""
    """As people read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The release is to go, with everything that belongs to it."""

    at_ms: int
    by: str = ""


Event = (
    Deployed
    | Observed
    | Acknowledged
    | Judged
    | Promote
    | Pause
    | Resume
    | Abort
    | Retry
    | Undo
    | Approve
    | Refuse
    | Unanswered
    | Freeze
    | Deleted
)
