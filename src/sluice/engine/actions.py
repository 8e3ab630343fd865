"""What the engine asks for. Each can be done again without harm."""

from dataclasses import dataclass

from sluice.nouns import RevisionId, Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Give a revision this size; 0 drains and stops it."""

    revision: RevisionId
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Serve this routing on every router."""

    routing: Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class Unroute:
    """Stop serving the release."""

    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something was decided: for history, events and notifications."""

    kind: str
    reason: str
    message: str
    at_ms: int
    pass_number: int
    revision: RevisionId | None = None
    stage: int = 0
    rung: int = 0
    rung_name: str = ""
    from_bp: int | None = None
    to_bp: int | None = None
    generation: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The event makes no sense now; the state is as it was."""

    reason: str


Action = Scale | Route | Unroute | Record | Refused
