"""Two answers to one request: what a shadow is compared by."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.nouns.words import RevisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to a mirrored request, as the router saw it."""

    status: int
    duration_us: int
    """From the request's arrival at the upstream side of the router to the answer's last byte."""
    media_type: str = ""
    """``content-type``; empty: none was given."""
    encoding: str = ""
    """``content-encoding``; empty: none."""
    json_bytes: int | None = None
    """Length of the JSON that precedes binary tensors; None: there are none."""
    body: bytes = b""
    """Empty when ``cut``."""
    cut: bool = False
    """The body was longer than the router keeps: not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers to the same request."""

    request_id: str
    stable: RevisionId
    candidate: RevisionId
    primary: Answer
    """Stable's: what the user got."""
    shadow: Answer
    """The candidate's: what nobody saw."""
    again: Answer | None = None
    """Stable's, asked a second time; None: it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """What routers captured since a cursor."""

    pairs: tuple[Pair, ...]
    cursors: Mapping[str, str]
    """Where to go on, by router."""
    missed: int = 0
    """Pairs that a router had to drop before they were read."""
    alone: int = 0
    """Answers of stable to which no answer of the candidate came in time."""
    more: bool = False
    """There are further pairs already."""
