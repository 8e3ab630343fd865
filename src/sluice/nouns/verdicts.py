"""Objectives, and what the checks say of them."""

from dataclasses import dataclass
from typing import Literal

from sluice.nouns.counters import ArmCounts, Counts
from sluice.nouns.words import LATENCY_GRID_MS, VerdictKind


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

    def on(self, arm: ArmCounts) -> tuple[int, int]:
        """(requests, bad requests) of this objective's SLI on an arm, cumulative."""
        if self.kind == "query":
            # Two queries are answered one after the other: the bad events may be ahead.
            events, bad = arm.extra.get(self.name, (0, 0))
            return max(0, events), min(max(0, bad), max(0, events))
        return self.bad(arm.counts)


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
    acts: bool = True
    """False: of an objective in dry run, which neither aborts nor holds nor slows the ramp."""


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
    """Reason constant of a failure that is not a failed check (``ControlWon``), or of an
    inconclusive test that is over (``HorizonReached``)."""
    winner: str = ""
    """The variant that a passed test is won by; empty: the candidate."""
    sick: str = ""
    """Endpoint of the candidate that alone fails: it is to be replaced, the version is not judged
    by it."""
    warnings: tuple[str, ...] = ()
    """What people should know and no check acts on, one line each."""
    differences: tuple[Difference, ...] = ()
    """The worst differences of answers on a shadow rung, worst first; at most 20."""
