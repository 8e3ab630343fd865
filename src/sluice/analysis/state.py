"""What the analysis is told, and what it remembers."""

from dataclasses import dataclass, field

from sluice.analysis.mixture import Mixture
from sluice.analysis.order import Order
from sluice.analysis.pods import Pod
from sluice.analysis.srm import SrmState
from sluice.errors import InvariantError
from sluice.nouns import LATENCY_GRID_MS, Objective, Purpose, RevisionId, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisConfig:
    """How one pass is judged; fixed before its first poll."""

    objectives: tuple[Objective, ...]
    alpha: float = 0.001
    """Chance that a candidate no worse than allowed is ever failed in the whole pass."""
    beta: float = 0.05
    """Chance that PASS is ever given to a candidate at or beyond a PASS margin."""
    polls: int
    """Polls until deadline plus keepWarm: the span over which late starts are spread."""
    gamma0: float = 0.7
    """Stake of FAIL checks that starts at once; the rest is spread evenly over ``polls``."""
    delta: float = 0.01
    """Chance that an interval ever misses the true rate."""
    warm_up_ms: int = 30_000
    """Age below which an endpoint counts as young; the runtime says so in each poll."""
    regression_weight: float = 0.65
    slo_weight: float = 0.2
    order_weight: float = 0.1
    clients_weight: float = 0.05
    """Shares of the FAIL checks in their average, relative to each other: the first two are spread
    over the objectives, the others are one check for the release."""
    latency_order: bool = True
    """Whether whole latency distributions are compared."""
    compare_client_errors: bool = True
    """Whether the share of answers 400 to 499 is compared."""
    max_harmed: int | None = None
    """Bad answers that users may see in the pass; one more fails it. None: no such budget."""
    comparisons: bool = True
    """False: nothing concurrent is left to compare with (after a switch); only ``slo`` judges."""

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "delta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InvariantError(f"{name} {getattr(self, name)} is outside (0, 1)")
        if not 0.0 < self.gamma0 <= 1.0:
            raise InvariantError(f"gamma0 {self.gamma0} is outside (0, 1]")
        if self.polls < 1:
            raise InvariantError(f"polls {self.polls} is below 1")
        if min(self.regression_weight, self.slo_weight) <= 0.0:
            raise InvariantError("the weights of regression and slo must be positive")
        if min(self.order_weight, self.clients_weight) < 0.0:
            raise InvariantError("the weights of latency-order and client-errors are negative")
        if self.max_harmed is not None and self.max_harmed < 0:
            raise InvariantError(f"maxHarmed {self.max_harmed} is below 0")
        for objective in self.objectives:
            if not 0.0 < objective.target < 1.0:
                raise InvariantError(f"target {objective.target} is outside (0, 1)")
            if objective.weight < 0.0 or not 0.0 < objective.pass_budget <= 1.0:
                raise InvariantError(f"objective {objective.name}: weight or passBudget")
            if objective.kind == "latency" and objective.threshold_ms not in LATENCY_GRID_MS:
                raise InvariantError(
                    f"objective {objective.name}: {objective.threshold_ms} ms is not measured"
                )
            if objective.max_ratio < 1.0 or objective.pass_ratio <= 1.0:
                raise InvariantError(f"objective {objective.name}: maxRatio or passRatio")
        acting = [objective for objective in self.objectives if not objective.dry_run]
        if acting and sum(objective.weight for objective in acting) <= 0.0:
            raise InvariantError("the weights of all objectives are 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How live requests were to be shared, one by one and at random, since the last poll began."""

    generation: int
    shares: tuple[tuple[RevisionId, int], ...]
    """Weight of each live arm, basis points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One reading of the counters, as the runtime saw it."""

    taken_ms: int
    snapshots: tuple[Snapshot, ...]
    candidate: RevisionId
    stable: RevisionId | None
    """None: no other revision takes live requests."""
    purpose: Purpose = Purpose.LIVE
    """Which requests of the candidate are judged; stable's are always the live ones. Only live
    ones are compared: a mirrored request and its original are a pair, not two draws."""
    young: tuple[str, ...] = ()
    """Endpoints of the candidate younger than the warm-up: what they answer counts for ``slo``,
    never for comparisons and PASS."""
    settled: int = 1
    """Endpoints of the candidate that are older; 0 silences PASS."""
    split: Split | None = None
    """None: routers were changing, or users are sticky, so that shares prove nothing."""
    user_share: float | None = None
    """The candidate's share of the users of both arms, fraction, as it is to be now; None: requests
    are drawn one by one, or one arm has no users."""
    problem: str = ""
    """Why nothing could be read; makes the verdict ``error`` and changes no e-value."""
    rate_rps: float | None = None
    """Passed through to the verdict, for the ramp."""
    interval_s: float = 1.0
    """Likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where the counters of one arm stood on one router at the last used poll; all cumulative."""

    router: str
    epoch: str
    revision: RevisionId
    purpose: Purpose = Purpose.LIVE
    counts: tuple[tuple[int, int], ...]
    """(requests, bad) of each objective."""
    shielded: int
    total: int = 0
    client_errors: int = 0
    begun: int = 0
    """Requests that the router had sent here, ended or not."""
    users: int | None = None
    """Users whose first bad answer came from here; None: not known."""
    slower: tuple[int, ...] = ()
    """Timed answers, then those above each of ``Order.columns``; empty while there are none."""
    pods: tuple[tuple[str, int, int], ...] = ()
    """(endpoint, requests, bad); of the arm that is judged only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveState:
    """Evidence on one objective since the pass began."""

    n_candidate: int = 0
    bad_candidate: int = 0
    n_stable: int = 0
    bad_stable: int = 0
    slo: Mixture
    regression: Mixture
    ratio: Mixture
    """PASS by ratio to stable."""
    budget: Mixture
    """PASS by share of the error budget."""
    incident: tuple[float, ...]
    """Evidence that stable itself breaks the SLO now (``sluice.analysis.incident``)."""
    harmed: int = 0
    """Bad live answers of the candidate in the whole pass; the counts above are of the purpose
    that is judged now, and leave out pods that were replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisState:
    """All that one pass remembers between polls; small, and written down exactly."""

    objectives: tuple[ObjectiveState, ...]
    """In the order of the configuration's."""
    marks: tuple[Mark, ...]
    compares: bool
    """Whether the pass began with comparisons: decides the shares of the FAIL checks for good."""
    clients: Mixture
    """Evidence of ``client-errors``."""
    client_counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Candidate's answers, those of 400 to 499, and the same of stable, as they were compared."""
    order: Order | None = None
    """Evidence of ``latency-order``; None until stable's latencies are known."""
    srm: SrmState = field(default_factory=SrmState)
    """Evidence that requests are not shared as routed."""
    generation: int = 0
    """Of ``Poll.split`` at the last used poll; 0: there was none."""
    user_shares: tuple[float, ...] = ()
    """``Poll.user_share`` of the last polls, the newest last; empty: requests are compared."""
    taken_ms: int = 0
    """Time of the last used poll; 0: none yet."""
    purpose: Purpose = Purpose.LIVE
    """What the counts of the objectives belong to."""
    pods: tuple[Pod, ...] = ()
    """Endpoints of the candidate, and what is known without each."""
    spared: tuple[tuple[str, int], ...] = ()
    """(endpoint that was found sick, until when what it answers does not count), oldest first."""
    sick: str = ""
    """Endpoint that the last used poll found sick."""
    shielded: int = 0
    """Candidate failures of this pass that the user did not see."""
    log_e: float = 0.0
    """ln of the weighted average of all FAIL e-values now."""
    peak: float = 0.0
    """Highest ln of the averaged FAIL e-value so far: once failed, always failed."""
