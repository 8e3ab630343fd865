"""The values that every part of Sluice shares: frozen, keyword-only, validated when built.

Words are those of the design (section 2): a release, its revisions in the roles stable and
candidate, routing as ordered arms, counters in, verdicts out. Nothing here does anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NewType

from sluice.errors import InvariantError

RevisionId = NewType("RevisionId", str)
"""Short hash of what runs: pod template, tracked config and model digest (spec computes it)."""

BP_TOTAL = 10_000
"""Basis points in a whole; weights of a routing always sum to it, so that hash intervals stay."""

LATENCY_GRID_MS: tuple[int, ...] = (
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300,
    400, 500, 600, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500, 10_000,
    15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"""Latency thresholds that can be judged, milliseconds: the router's histogram boundaries."""


class Purpose(StrEnum):
    """Why a request reached an arm; each is counted apart."""

    LIVE = "live"
    FORCED = "forced"
    PREVIEW = "preview"
    MIRROR = "mirror"


class Phase(StrEnum):
    """The one word that says how a release is."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    ABORTED = "Aborted"


class VerdictKind(StrEnum):
    """What the checks say; ``invalid`` and ``error`` hold and never promote."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    ERROR = "error"


# --- routing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One replica that can take requests."""

    name: str
    """Stable name of the replica (``taxi-7f3a9c-0``), unique in its revision."""
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """The same user goes to the same revision while weights stand, and only ever forward."""

    header: str | None = None
    """Request header that names the user; first choice."""
    cookie: str | None = None
    """Cookie that names the user; issued by the router when the request has neither."""
    salt: str
    """Hashed before the user, so that each release and pass draws its own guinea pigs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shield:
    """A candidate's failed answer is replaced by stable's, and still counted against it."""

    per_try_timeout_ms: int
    max_body_bytes: int = 1 << 20
    """Largest request body that can be sent twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Stable's and the candidate's answers to mirrored requests are kept, to be compared."""

    noise_bp: int = 0
    """Share of mirrored requests that stable answers a second time, so that it is compared with
    itself, basis points."""

    def __post_init__(self) -> None:
        if not 0 <= self.noise_bp <= BP_TOTAL:
            raise InvariantError(f"noise share {self.noise_bp} bp is outside 0..{BP_TOTAL}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The request header that selects a forced or preview arm."""

    header: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Where a share of the requests goes.

    ``weight_bp`` is the share of live requests for ``live``, the share of requests that are copied
    for ``mirror``, and 0 for ``forced`` and ``preview``, which are chosen by ``match`` (a header)
    or, for ``preview``, by one of ``hosts`` as well.
    """

    revision: RevisionId
    purpose: Purpose = Purpose.LIVE
    weight_bp: int = 0
    match: Match | None = None
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.weight_bp <= BP_TOTAL:
            raise InvariantError(f"weight {self.weight_bp} bp is outside 0..{BP_TOTAL}")
        chosen = self.match is not None or bool(self.hosts)
        if self.purpose in (Purpose.LIVE, Purpose.MIRROR) and chosen:
            raise InvariantError(f"a {self.purpose} arm is chosen by weight, not by header or host")
        if self.purpose in (Purpose.FORCED, Purpose.PREVIEW) and not chosen:
            raise InvariantError(f"a {self.purpose} arm needs a header or a host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All the traffic of one release: one value, applied whole or refused.

    Live arms are ordered, candidates first and stable last; their weights sum to ``BP_TOTAL``. The
    last live arm is where traffic falls back to (lease, shield).
    """

    release: str
    generation: int
    """Grows with every change of this release's routing."""
    arms: tuple[Arm, ...]
    hosts: tuple[str, ...]
    """Host names (without port) that belong to the release; ``*`` takes what no other claims."""
    timeout_ms: int = 30_000
    sticky: Sticky | None = None
    shield: Shield | None = None
    lease_ms: int | None = None
    """Live weight of candidates returns to stable when not renewed for so long; None: no lease."""
    no_mirror: tuple[Match, ...] = ()
    """Requests that must not be repeated, never mirrored."""
    capture: Capture | None = None
    """Keep the answers to mirrored requests; None: mirrored requests are only counted."""

    def __post_init__(self) -> None:
        live = [arm for arm in self.arms if arm.purpose is Purpose.LIVE]
        if not live:
            raise InvariantError(f"release {self.release}: routing has no live arm")
        total = sum(arm.weight_bp for arm in live)
        if total != BP_TOTAL:
            raise InvariantError(f"release {self.release}: live weights sum to {total} bp")
        if len({arm.revision for arm in live}) != len(live):
            raise InvariantError(f"release {self.release}: a revision has two live arms")
        if not self.hosts:
            raise InvariantError(f"release {self.release}: routing has no host")
        if self.capture is not None and not self.mirrored:
            raise InvariantError(f"release {self.release}: captures answers, but mirrors nothing")

    @property
    def live(self) -> tuple[Arm, ...]:
        """Live arms in order; the last one is stable."""
        return tuple(arm for arm in self.arms if arm.purpose is Purpose.LIVE)

    @property
    def mirrored(self) -> tuple[Arm, ...]:
        """Arms that get copies of requests."""
        return tuple(
            arm for arm in self.arms if arm.purpose is Purpose.MIRROR and arm.weight_bp > 0
        )

    @property
    def fallback(self) -> RevisionId:
        """The revision that takes over when a candidate must not have traffic."""
        return self.live[-1].revision

    def weight_bp(self, revision: RevisionId) -> int:
        """Live weight of a revision, basis points; 0 when it has no live arm."""
        return next((arm.weight_bp for arm in self.live if arm.revision == revision), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What a router needs to serve one release: its routing and who answers."""

    routing: Routing
    endpoints: Mapping[RevisionId, tuple[Endpoint, ...]]
    """Ready endpoints of every revision the routing names; may be empty, never missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What one router says of one release."""

    router: str
    release: str
    generation: int
    """Generation that serves; 0: none yet."""
    lease_expired: bool = False
    """Candidate weight was returned to stable because nobody renewed the lease."""
    error: str = ""
    """Why the newest fragment was refused; the older generation goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a data plane can do; plans that need more are refused before anything moves."""

    weights: bool = True
    sticky: bool = True
    forced: bool = True
    preview: bool = True
    mirror: bool = True
    shield: bool = True
    counters: bool = True
    lease: bool = True


# --- counters ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Cumulative request counts of one arm or endpoint since the router's epoch began.

    An *ended* request was begun and is no longer active. One that ended without an answer (reset,
    timeout, the client gave up) is bad for every SLI.
    """

    total: int = 0
    """Ended requests: begun - active + those refused locally for want of a host or a slot."""
    errors: int = 0
    """Of ``total``: all but the answers below 500."""
    client_errors: int = 0
    """Of ``total``: answers 400 to 499."""
    timed: int = 0
    """Requests for which it is known whether they were in time: answered, or given up."""
    slow: tuple[int, ...] = ()
    """Of ``timed``: slower than ``LATENCY_GRID_MS[i]``; empty when latency is not measured."""

    def __add__(self, other: "Counts") -> "Counts":
        if self.slow and other.slow:
            slow = tuple(a + b for a, b in zip(self.slow, other.slow, strict=True))
        else:
            slow = self.slow or other.slow
        return Counts(
            total=self.total + other.total,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            timed=self.timed + other.timed,
            slow=slow,
        )

    def __sub__(self, other: "Counts") -> "Counts":
        """What came in between; a component that went backwards gives a negative number."""
        base = other.slow or (0,) * len(self.slow)
        slow = tuple(a - b for a, b in zip(self.slow, base, strict=True)) if self.slow else ()
        return Counts(
            total=self.total - other.total,
            errors=self.errors - other.errors,
            client_errors=self.client_errors - other.client_errors,
            timed=self.timed - other.timed,
            slow=slow,
        )

    @property
    def plausible(self) -> bool:
        """Whether these could be counts at all: none negative, none larger than its whole."""
        return (
            0 <= self.errors <= self.total
            and 0 <= self.client_errors <= self.total
            and self.timed >= 0
            and all(0 <= slow <= self.timed for slow in self.slow)
            and all(a >= b for a, b in zip(self.slow, self.slow[1:], strict=False))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """Counts of one revision for one purpose, whole and by endpoint."""

    revision: RevisionId
    purpose: Purpose
    counts: Counts
    endpoints: Mapping[str, Counts] = field(default_factory=dict)
    """By ``Endpoint.name``; total and errors only."""
    active: int = 0
    """Requests in flight at this moment."""
    shielded: int = 0
    """Of ``counts.errors``: failures that the user did not see, because stable answered instead."""
    extra: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(events, bad events) of objectives of kind ``query``, cumulative, by objective name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One reading of one router's counters for one release."""

    router: str
    epoch: str
    """Changes when the router's counters start again at zero."""
    taken_ms: int
    arms: tuple[ArmCounts, ...]

    def arm(self, revision: RevisionId, purpose: Purpose = Purpose.LIVE) -> ArmCounts | None:
        """The arm of a revision and purpose, or None when the router has not seen it."""
        for arm in self.arms:
            if arm.revision == revision and arm.purpose is purpose:
                return arm
        return None


# --- pairs of answers ---------------------------------------------------------------------------


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


# --- what a plan asks of the world -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How a gate is answered without a person.

    ``webhook``: a signed POST that says which release and gate; ``http``: one request whose answer
    must look so; ``command``: a process (a Job on Kubernetes) that must exit 0; ``load``: a load
    test against the candidate that must keep the SLO.
    """

    kind: Literal["webhook", "http", "command", "load"]
    url: str = ""
    """``webhook``: where to. ``http``: a path of the candidate's preview route, or a whole URL."""
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    status: tuple[int, ...] = (200,)
    """``http``: answers that are a yes."""
    contains: str = ""
    """``http``: what the body must contain; empty: anything."""
    command: tuple[str, ...] = ()
    """``command``, ``load``: program and arguments."""
    secret_env: str = ""
    """``webhook``: name of the environment variable that holds the HMAC key."""
    timeout_ms: int = 10_000
    """For one try."""
    retries: int = 3
    """Further tries when nothing (or nothing sensible) was answered."""
    every_ms: int = 10_000
    """Time between two questions while a webhook answers ``wait``, and the longest between two
    tries: those begin a second apart, and the pause doubles."""
    on_silence: Literal["hold", "abort", "approve"] = "hold"
    """What happens when every try went unanswered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """When a field of two answers counts as the same."""

    field: str
    """Name of an output (``duration``) or a dotted path in the JSON answer; ``*``: every other."""
    kind: Literal["number", "label", "ignore"] = "number"
    atol: float = 0.0
    """Numbers: |candidate - stable| <= atol + rtol * |stable| is the same."""
    rtol: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRules:
    """How mirrored answers are compared, and when that is enough."""

    pairs: int
    """Judged pairs that end the stage."""
    compare: tuple[FieldRule, ...] = ()
    """Empty: every field, exactly."""
    max_disagreement: float = 0.01
    """Share of pairs that may differ beyond what stable differs from itself."""
    noise_bp: int = 0
    """Share of mirrored requests that a second stable replica answers as well, basis points; 0:
    the model is deterministic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What an A/B test is about."""

    name: str
    """Name of the outcome."""
    kind: Literal["binary", "continuous"]
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is better."""
    cap: float | None = None
    """Continuous: outcomes above are taken as this (winsorised), registered beforehand."""
    covariate: str = ""
    """Name of a number known before the first exposure, for CUPED; empty: none."""
    mde: float = 0.0
    """Smallest relative change worth finding, for the duration that ``plan`` prints."""
    baseline: float = 0.0
    """Expected mean of stable, likewise."""
    deviation: float = 0.0
    """Continuous: expected standard deviation, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRules:
    """How an A/B test is decided."""

    goals: tuple[Goal, ...]
    """The first decides; the others are shown."""
    alpha: float = 0.05
    """Chance of a decision although nothing differs, over the whole test and all variants."""
    horizon_users: int = 0
    """The test ends when so many users were exposed; 0: by decision or time only."""
    horizon_ms: int = 0
    """... or after so long; 0: no limit."""
    on_horizon: Literal["hold", "abort", "promote"] = "hold"
    """What happens at the horizon without a decision."""
    outcomes: str = ""
    """Where outcomes come from: a URL of a prediction store, or a CSV or JSONL file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """One thing that is known of one user: that he was exposed, and perhaps what became of it."""

    user: str
    """Value of the sticky header or cookie."""
    at_ms: int | None = None
    """UTC ms; None: unknown, taken as within the test."""
    revision: str = ""
    """Revision that served him, where it was recorded."""
    goal: str = ""
    """Goal that the outcome is of; empty: the first one."""
    value: float | None = None
    """The outcome, 1 and 0 for yes and no; None: only that he was exposed."""
    covariates: tuple[tuple[str, float], ...] = ()
    """Numbers known before his first exposure, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePage:
    """What a source of outcomes had new."""

    rows: tuple[OutcomeRow, ...]
    cursor: str
    """Where the next read goes on; opaque."""
    more: bool = False
    """There is more already: read again at once."""
    nameless: int = 0
    """Records without a user, left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindow:
    """A time of the week in which nothing grows and nothing is promoted."""

    days: tuple[int, ...]
    """Days on which the window begins, Monday is 0."""
    from_minute: int
    """Begin, minutes after midnight of the wall clock in ``time_zone``, 0..1439."""
    to_minute: int
    """End, 1..1440; not after the begin: on the day after."""
    time_zone: str
    """IANA name (``Europe/Berlin``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told of decisions; addresses that are secrets are named, never written."""

    kind: Literal["webhook", "slack"]
    """``webhook``: CloudEvents as JSON; ``slack``: a text that Slack and its like show."""
    url: str = ""
    """Where to; empty: in the environment variable ``url_env``."""
    url_env: str = ""
    secret_env: str = ""
    """``webhook``: name of the environment variable that holds the HMAC key; empty: not signed."""


# --- objectives and verdicts -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One SLI with its target and the margins of its checks, from an SLO and the policy."""

    name: str
    kind: Literal["availability", "latency", "query"]
    """``query``: counted by a Prometheus query instead of the routers."""
    target: float
    """Share of good requests that the SLO asks for, in (0, 1)."""
    threshold_ms: int | None = None
    """Latency objectives only: good means not slower than this; lies on LATENCY_GRID_MS."""
    max_ratio: float = 1.1
    """``regression`` fails when the candidate's bad rate is above this multiple of stable's."""
    pass_ratio: float = 2.0
    """``non-inferiority`` passes below this multiple of stable's bad rate ..."""
    pass_budget: float = 0.5
    """... or below this share of the error budget, whichever is proven first."""
    weight: float = 1.0
    """Share of this objective in the average of FAIL e-values, relative to the others."""
    dry_run: bool = False
    """Judged and shown; its checks neither abort nor hold nor promote."""
    query_bad: str = ""
    """``query``: PromQL of a counter of bad events; ``$revision``, ``$release`` are filled in."""
    query_total: str = ""
    """``query``: the same of all events."""

    def bad(self, counts: Counts) -> tuple[int, int]:
        """(requests, bad requests) of this objective's SLI in ``counts``; none of a query."""
        if self.kind == "query":
            return 0, 0
        if self.kind == "availability":
            return counts.total, counts.errors
        if not counts.slow or self.threshold_ms is None:
            return 0, 0
        return counts.timed, counts.slow[LATENCY_GRID_MS.index(self.threshold_ms)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one objective: all that ramp, status and explain need."""

    objective: str
    n_candidate: int
    bad_candidate: int
    n_stable: int
    bad_stable: int
    rate_candidate: float
    low: float
    high: float
    """Anytime confidence interval of the candidate's bad rate (Beta-binomial, level delta)."""
    upper: float
    """One-sided upper bound of the same, for the ramp; 1.0 while nothing is known."""
    baseline: float
    """Stable's bad rate over the pass, 0 when it has had no request."""
    ratio_low: float = 0.0
    ratio_high: float = float("inf")
    """Interval of candidate rate / stable rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check on one objective, with everything ``sluice explain`` prints."""

    check: str
    """``slo``, ``regression``, ``non-inferiority``, ..."""
    objective: str
    kind: VerdictKind
    log_e: float
    """Natural logarithm of the e-value."""
    log_threshold: float
    """Where it fires: ln(1/alpha) (FAIL) or ln(2/beta) (PASS)."""
    p_value: float
    """Anytime-valid p-value, min over time of 1/E, capped at 1."""
    weight: float
    """Share in the average of FAIL e-values; 0 for PASS checks."""
    requests: int
    """Candidate requests this check has used."""
    information_limit: float
    """Least candidate requests any test needs at the estimated rates; inf when equal."""
    rule: str
    """The rule in one line, with its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One request to which stable and the candidate gave different answers."""

    request_id: str
    """``x-request-id``, as users and logs have it."""
    field: str
    """Where they differ most."""
    stable: str
    candidate: str
    distance: float | None = None
    """|candidate - stable|; None: not numbers."""
    severity: float | None = None
    """Multiple of what is tolerated, or of the value itself; None: not numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the checks say at one poll, with the evidence."""

    kind: VerdictKind
    reason: str
    """One line for people: why this verdict."""
    taken_ms: int
    checks: tuple[CheckResult, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    log_e: float = 0.0
    """ln of the weighted average of FAIL e-values."""
    log_threshold: float = 0.0
    requests: int = 0
    """Candidate requests judged in this pass."""
    harmed: int = 0
    """Bad answers of the candidate that users saw in this pass."""
    rate_rps: float | None = None
    """Highest rate of all live requests in the last 60 s; None: unknown."""
    interval_s: float = 1.0
    """Longest time between two used polls in the last 60 s, seconds."""
    cause: str = ""
    """Reason constant of a failure that is not a failed check (``ControlWon``)."""
    winner: str = ""
    """The variant that a passed test is won by; empty: the candidate."""
    differences: tuple[Difference, ...] = ()
    """The worst differences of answers on a shadow rung, worst first; at most 20."""


# --- what runs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a revision runs: its id and the pod template as parsed JSON, opaque to the engine."""

    release: str
    revision: RevisionId
    template: Mapping[str, Any]
    """Kubernetes PodTemplateSpec."""
    port: str | int = "http"
    """Name or number of the container port that takes requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """What a platform sees of one revision."""

    revision: RevisionId
    desired: int
    """Size last asked for."""
    ready: tuple[Endpoint, ...]
    """Replicas that pass their readiness probe."""
    ready_since_ms: Mapping[str, int] = field(default_factory=dict)
    """When each ready endpoint became ready, UTC ms, by name: warm-up is counted from it."""
    running: int = 0
    """Started replicas, ready or not, including those that are draining."""
    restarts: int = 0
    message: str = ""
    """Why replicas are not ready, in one line: the last exit, the failing probe."""


# --- questions out, news out -------------------------------------------------------------------


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
