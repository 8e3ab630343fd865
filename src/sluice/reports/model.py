"""What is shown of a release: the values that status, explain and every report are drawn from.

The runtime fills them; the renderers beside this file know nothing else. Times are UTC ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sluice.nouns import Phase, RevisionId, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that the engine decided, with the evidence that made it."""

    at_ms: int
    kind: str
    """``PassStarted``, ``RungEntered``, ``Held``, ``Promoted``, ``Aborted``..."""
    reason: str
    """A constant in CamelCase: ``CheckFailed``, ``ProgressDeadlineExceeded``..."""
    message: str
    """One line for people."""
    pass_number: int
    revision: RevisionId | None = None
    stage: int = 0
    rung: int = 0
    rung_name: str = ""
    from_bp: int | None = None
    to_bp: int | None = None
    generation: int = 0
    by: str = ""
    """Who asked, for a verb; empty when the engine decided."""
    verdict: Verdict | None = None
    """The verdict of the poll that led here."""
    effect_ms: int | None = None
    """From the decision until every router had acknowledged it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungStatus:
    """One step of the plan and where the pass is."""

    stage: int
    strategy: str
    name: str
    state: Literal["done", "active", "todo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStatus:
    """A gate that the release waits at."""

    name: str
    asked: str = ""
    """Who answers: ``webhook https://…``, ``command check.sh``; empty: a person."""
    said: str = ""
    """The newest answer in one line; empty: none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """One revision: its role, its replicas and the traffic it has had in this pass."""

    revision: RevisionId
    role: Literal["stable", "candidate", "warm", "old"]
    weight_bp: int
    desired: int
    ready: int
    running: int = 0
    restarts: int = 0
    message: str = ""
    label: str = ""
    """What people call it: the ``app.kubernetes.io/version`` label of its pod template, if any."""
    requests: int = 0
    """Live requests since the pass started (since the router started outside a pass)."""
    errors: int = 0
    rps: float = 0.0
    """Live requests per second over the last ten seconds or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyArm:
    """One live arm of a release that keeps its users."""

    variant: str
    """Name of the variant; ``stable`` for stable's arm."""
    revision: RevisionId
    weight_bp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyStatus:
    """All that it takes to compute which user gets which arm."""

    header: str | None
    cookie: str | None
    salt: str
    arms: tuple[StickyArm, ...]
    """In the router's order: candidates, then stable; the weights sum to 10,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus:
    """All that ``status`` shows of one release."""

    name: str
    phase: Phase
    reason: str
    """A constant in CamelCase: why this phase."""
    message: str
    """One line for people: what is going on."""
    next: str
    """One line: what happens next, and when or on what condition; empty when nothing will."""
    stable: RevisionId | None
    candidate: RevisionId | None
    weight_bp: int
    """Live share of the candidate."""
    generation: int
    acknowledged: int
    """Generation that every router serves."""
    pass_number: int
    pass_started_ms: int | None
    updated_ms: int
    rungs: tuple[RungStatus, ...] = ()
    gates: tuple[GateStatus, ...] = ()
    """Gates of the present step that are still open, in the order in which they are asked."""
    revisions: tuple[RevisionStatus, ...] = ()
    verdict: Verdict | None = None
    """Newest verdict of the running pass, or the last one of the ended pass."""
    warm_left_ms: int | None = None
    """How long the old stable stays at full size."""
    bake_ms: int = 0
    min_bake_ms: int = 0
    rate_rps: float | None = None
    hosts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What cannot be done or measured at the moment, one line each."""
    decisions: tuple[Decision, ...] = field(default=())
    """The newest decisions, oldest first; at most 50."""
    notices: tuple[str, ...] = ()
    """Fields of the spec that have no meaning on this platform."""
    sticky: StickyStatus | None = None
    """How users are kept on their revision; None: each request is drawn anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPoint:
    """Live requests of one revision in one second, as the router counted them."""

    at_ms: int
    """Start of the second."""
    revision: RevisionId
    requests: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHarm:
    """What another tool would have done with the same traffic and the same fault."""

    name: str
    """``Argo Rollouts, defaults``."""
    harmed: float
    note: str = ""
    """How the number was found, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Headline numbers of a finished pass, as the client of the traffic saw them."""

    requests: int
    """All requests that the load sent."""
    lost: int
    """Of them: no answer at all."""
    harmed: int
    """Of them: bad answers of the candidate that users saw."""
    decided_s: float | None
    """From the candidate's first live request to the decision; None: there was none."""
    peers: tuple[PeerHarm, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """What came of many simulated passes of one plan."""

    runs: int
    outcomes: Mapping[str, int]
    """Number of passes by end: ``promoted``, ``aborted``, ``held``..."""
    seconds_to_decision: tuple[float, ...]
    """One number a decided pass, virtual seconds since the pass (the fault, if late) began."""
    requests_to_decision: tuple[int, ...]
    """Candidate requests in the same time."""
    harmed: tuple[int, ...]
    """One number a pass: bad answers of the candidate that users saw."""
