"""What the analysis is told, what it remembers, and how that is written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.analysis.mixture import Mixture
from sluice.errors import InvariantError, StateError
from sluice.nouns import LATENCY_GRID_MS, Objective, RevisionId, Snapshot

_FORMAT = 1


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
    """Age below which an endpoint counts as warming; the runtime says so in each poll."""
    regression_weight: float = 0.7
    slo_weight: float = 0.3
    """Shares of the two FAIL checks within an objective, relative to each other."""
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
        if self.objectives and sum(objective.weight for objective in self.objectives) <= 0.0:
            raise InvariantError("the weights of all objectives are 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One reading of the counters, as the runtime saw it."""

    taken_ms: int
    snapshots: tuple[Snapshot, ...]
    candidate: RevisionId
    stable: RevisionId | None
    """None: no other revision takes live requests."""
    warming: bool = False
    """An endpoint of the candidate is younger than the warm-up: silences comparisons and PASS,
    never ``slo``."""
    problem: str = ""
    """Why nothing could be read; makes the verdict ``error`` and changes no e-value."""
    rate_rps: float | None = None
    """Passed through to the verdict, for the ramp."""
    interval_s: float = 1.0
    """Likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where the counters of one revision stood on one router at the last used poll."""

    router: str
    epoch: str
    revision: RevisionId
    counts: tuple[tuple[int, int], ...]
    """(requests, bad) of each objective, cumulative."""
    shielded: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisState:
    """All that one pass remembers between polls; small, and written down exactly."""

    objectives: tuple[ObjectiveState, ...]
    """In the order of the configuration's."""
    marks: tuple[Mark, ...]
    compares: bool
    """Whether the pass began with comparisons: decides the shares of the FAIL checks for good."""
    shielded: int = 0
    """Candidate failures of this pass that the user did not see."""
    log_e: float = 0.0
    """ln of the weighted average of all FAIL e-values now."""
    peak: float = 0.0
    """Highest ln of the averaged FAIL e-value so far: once failed, always failed."""


def to_json(state: AnalysisState) -> dict[str, Any]:
    """The state as plain JSON values; ``from_json`` gives back an equal state."""
    return {
        "format": _FORMAT,
        "compares": state.compares,
        "shielded": state.shielded,
        "log_e": state.log_e,
        "peak": state.peak,
        "marks": [
            [m.router, m.epoch, m.revision, [list(pair) for pair in m.counts], m.shielded]
            for m in state.marks
        ],
        "objectives": [
            {
                "counts": [o.n_candidate, o.bad_candidate, o.n_stable, o.bad_stable],
                "slo": _mixture_to_json(o.slo),
                "regression": _mixture_to_json(o.regression),
                "ratio": _mixture_to_json(o.ratio),
                "budget": _mixture_to_json(o.budget),
                "incident": list(o.incident),
            }
            for o in state.objectives
        ],
    }


def from_json(record: Mapping[str, Any]) -> AnalysisState:
    """The state that ``to_json`` wrote.

    Raises:
        StateError: the record is not one of ours, or of a format that this version cannot read.
    """
    if record.get("format") != _FORMAT:
        raise StateError(f"analysis state has format {record.get('format')}, not {_FORMAT}")
    try:
        return AnalysisState(
            compares=bool(record["compares"]),
            shielded=int(record["shielded"]),
            log_e=float(record["log_e"]),
            peak=float(record["peak"]),
            marks=tuple(
                Mark(
                    router=str(router),
                    epoch=str(epoch),
                    revision=RevisionId(revision),
                    counts=tuple((int(n), int(bad)) for n, bad in counts),
                    shielded=int(shielded),
                )
                for router, epoch, revision, counts, shielded in record["marks"]
            ),
            objectives=tuple(_objective_from_json(entry) for entry in record["objectives"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"analysis state cannot be read: {error!r}") from error


def _objective_from_json(entry: Mapping[str, Any]) -> ObjectiveState:
    n_candidate, bad_candidate, n_stable, bad_stable = (int(n) for n in entry["counts"])
    return ObjectiveState(
        n_candidate=n_candidate,
        bad_candidate=bad_candidate,
        n_stable=n_stable,
        bad_stable=bad_stable,
        slo=_mixture_from_json(entry["slo"]),
        regression=_mixture_from_json(entry["regression"]),
        ratio=_mixture_from_json(entry["ratio"]),
        budget=_mixture_from_json(entry["budget"]),
        incident=tuple(float(value) for value in entry["incident"]),
    )


def _mixture_to_json(mixture: Mixture) -> list[Any]:
    head = [mixture.used, mixture.requests, mixture.log_e, mixture.peak]
    return [*head, list(mixture.log_weights)]


def _mixture_from_json(entry: Any) -> Mixture:
    used, requests, log_e, peak, log_weights = entry
    return Mixture(
        used=int(used),
        requests=int(requests),
        log_e=float(log_e),
        peak=float(peak),
        log_weights=tuple(float(weight) for weight in log_weights),
    )
