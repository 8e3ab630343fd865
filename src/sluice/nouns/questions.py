"""Questions out, answers in, news out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluice.nouns.rules import Ask
from sluice.nouns.verdicts import Verdict
from sluice.nouns.words import RevisionId


class AnswerKind(StrEnum):
    """What came of one try to have a gate answered."""

    YES = "yes"
    NO = "no"
    WAIT = "wait"
    """Asked again later, however often."""
    HOLD = "hold"
    """It was looked at and cannot be said: a person answers."""
    SILENT = "silent"
    """No answer, or none that makes sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a check gets to the candidate."""

    direct: tuple[str, ...] = ()
    """``http://host:port`` of its ready replicas, past the router."""
    router: str = ""
    """Where users connect; empty: unknown."""
    headers: tuple[tuple[str, str], ...] = ()
    """What makes the router choose the candidate (``host`` among them); empty: nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One gate of one pass, as it is asked."""

    id: str
    """``release/pass/gate``: the same however often, and after a restart."""
    release: str
    pass_number: int
    revision: RevisionId
    stable: RevisionId
    gate: str
    strategy: str
    step: str
    """Name of the step that waits."""
    weight_bp: int
    ask: Ask
    reach: Reach
    verdict: Verdict | None = None
    """Newest verdict of the pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """What one try gave."""

    kind: AnswerKind
    reason: str = ""
    """One line for people."""
    again: bool = False
    """``no`` only: may become a yes, so that further tries are made first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program that answers by its exit code."""

    id: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    """Beside what it inherits."""
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a program ended."""

    code: int | None
    """Exit code, negative for a signal; None: it did not start or did not end in time."""
    said: str
    """Its last lines, or why there is no exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A decision as others are told of it."""

    id: str
    """The same however often it is sent."""
    release: str
    at_ms: int
    kind: str
    reason: str
    message: str
    by: str
    data: Mapping[str, Any]
    """The decision as JSON values."""
