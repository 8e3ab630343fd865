"""From the raw counts of a load test to a verdict that says how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, log, sqrt

from sluice.analysis import wording
from sluice.analysis.binomial import (
    LEAST_SLICES,
    design_effect,
    lower_bound,
    requests_to_decide,
    upper_bound,
)
from sluice.analysis.checks import Batch, bets, slo_factors
from sluice.analysis.latency import slower_than
from sluice.analysis.loadrun import LoadRun
from sluice.analysis.mixture import ONCE, fresh, score
from sluice.nouns import Objective, VerdictKind

_WRONG_SHARE = 0.5
_BUSY_SHARE = 0.1
_SHORT_SHARE = 0.01
_EARLY_SLICES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRules:
    """How sure a verdict must be, and when the generator is not to be believed."""

    confidence: float = 0.95
    """Of each one-sided bound."""
    late_ms: int = 10
    """An arrival begun later than this is late; on ``LATENCY_GRID_MS``."""
    late_share: float = 0.001
    """Largest share of late arrivals."""
    busy_cpu: float = 0.9
    """A generator process above this share of a core is saturated; above it in more than a tenth
    of the slices, the run is invalid."""
    early_alpha: float = 0.001
    """Chance that an early stop is wrong."""


STANDARD = LoadRules()
"""What everything uses unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveVerdict:
    """What a run says about one objective."""

    objective: str
    sli: str
    """The objective in words: ``answered within 300 ms``."""
    kind: VerdictKind
    target: float
    requests: int
    bad: int
    rate: float
    """Bad share."""
    low: float
    high: float
    """One-sided bounds of the bad share, each at the rules' confidence."""
    allowed: float
    """Largest bad share that the objective allows."""
    design_effect: float
    """Requests are worth this many times less than independent ones."""
    more: int | None
    """Inconclusive: requests still needed if the bad share stays; None: none, or no number would
    do."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadVerdict:
    """What a run says, over all objectives."""

    kind: VerdictKind
    reason: str
    objectives: tuple[ObjectiveVerdict, ...] = ()
    faults: tuple[str, ...] = ()
    """Why the measurement cannot be trusted."""
    notes: tuple[str, ...] = ()
    """What a reader should know although it does not change the verdict."""


def judge(
    run: LoadRun, objectives: Sequence[Objective], rules: LoadRules = STANDARD
) -> LoadVerdict:
    """Judge a run against objectives.

    Args:
        run: Raw counts.
        objectives: At least one.
        rules: How sure to be.

    Returns:
        ``invalid`` when the generator or the test is at fault, ``error`` without any request,
        otherwise the worst of the objectives: ``failed``, ``inconclusive``, ``passed``.

    Source: exact bounds at n / design effect; docs/explanation/load-tests.md.
    """
    whole = run.whole()
    if whole.total == 0:
        return LoadVerdict(
            kind=VerdictKind.ERROR, reason="no request was counted: nothing can be said"
        )
    verdicts = tuple(_objective(run, objective, rules) for objective in objectives)
    faults, notes = _faults(run, rules)
    if faults:
        return LoadVerdict(
            kind=VerdictKind.INVALID,
            reason=f"the measurement cannot be trusted: {faults[0]}",
            objectives=verdicts,
            faults=faults,
            notes=notes,
        )
    kinds = [verdict.kind for verdict in verdicts]
    order = (VerdictKind.FAILED, VerdictKind.INCONCLUSIVE, VerdictKind.PASSED)
    kind = next(kind for kind in order if kind in kinds)
    worst = next(verdict for verdict in verdicts if verdict.kind is kind)
    said = f"{worst.objective}: {worst.reason}"
    if kind is VerdictKind.PASSED:
        said = f"every objective holds at {rules.confidence:.0%} confidence"
    return LoadVerdict(kind=kind, reason=said, objectives=verdicts, notes=notes)


def sli(objective: Objective) -> str:
    """An objective's SLI in words."""
    if objective.threshold_ms is None:
        return "answered below 500"
    return f"answered within {objective.threshold_ms} ms"


def certain_failure(
    series: Sequence[tuple[int, int]], objective: Objective, *, alpha: float
) -> bool:
    """Whether a run that is still going can be stopped, because it fails for certain.

    Args:
        series: (requests, bad requests) of the slices that are over.
        objective: What is judged.
        alpha: Chance of ever being wrong when looking after every slice.

    Source: the e-process of the ``slo`` check, to the power 1 / design effect, which keeps it an
    e-value (Jensen). Before the effect can be estimated a slice counts as one request; ten are
    needed.
    """
    requests, bad = sum(n for n, _ in series), sum(k for _, k in series)
    busy = sum(n > 0 for n, _ in series)
    if busy < _EARLY_SLICES:
        return False
    known = bets(objective)
    effect = design_effect(series) or max(1.0, requests / busy)
    batch = Batch(n_candidate=requests, bad_candidate=bad, n_stable=0, bad_stable=0)
    factors = [factor / effect for factor in slo_factors(known, batch)]
    return score(fresh(len(factors), ONCE), factors, requests, ONCE).log_e >= -log(alpha)


def _objective(run: LoadRun, objective: Objective, rules: LoadRules) -> ObjectiveVerdict:
    series = run.series(objective)
    requests, bad = sum(n for n, _ in series), sum(k for _, k in series)
    allowed = 1.0 - objective.target
    estimated = design_effect(series)
    effect = estimated or 1.0
    n, k = requests / effect, bad / effect
    low = lower_bound(k, n, confidence=rules.confidence)
    high = upper_bound(k, n, confidence=rules.confidence)
    rate = bad / requests if requests else 0.0
    more: int | None = None
    if estimated is None:
        kind = VerdictKind.INCONCLUSIVE
        reason = (
            f"{len(series)} time slices are too few to see how far requests fail together: let it "
            f"run for at least {LEAST_SLICES * run.slice_s:g} s"
        )
    elif high <= allowed:
        kind = VerdictKind.PASSED
        reason = f"bad at most {_percent(high)} of the allowed {_percent(allowed)}"
    elif low > allowed:
        kind = VerdictKind.FAILED
        reason = f"bad at least {_percent(low)}, allowed {_percent(allowed)}"
    else:
        kind = VerdictKind.INCONCLUSIVE
        needed = requests_to_decide(rate, allowed, confidence=rules.confidence, effect=effect)
        more = max(1, ceil(needed - requests)) if isfinite(needed) else None
        wants = (
            f"about {more:,} more requests decide if it stays so"
            if more is not None
            else "it lies on the limit: no number of requests would decide"
        )
        reason = f"bad {_percent(low)} to {_percent(high)}, allowed {_percent(allowed)}: {wants}"
    return ObjectiveVerdict(
        objective=objective.name,
        sli=sli(objective),
        kind=kind,
        target=objective.target,
        requests=requests,
        bad=bad,
        rate=rate,
        low=low,
        high=high,
        allowed=allowed,
        design_effect=effect,
        more=more,
        reason=reason,
    )


def _percent(share: float) -> str:
    return wording.percent(share)


def _faults(run: LoadRun, rules: LoadRules) -> tuple[tuple[str, ...], tuple[str, ...]]:
    whole = run.whole()
    faults, notes = [], []
    begun = sum(run.lateness.values())
    late = slower_than(run.lateness, rules.late_ms)
    if begun and late / begun > rules.late_share:
        faults.append(
            f"{_percent(late / begun)} of the arrivals began over {rules.late_ms} ms late "
            f"(allowed {_percent(rules.late_share)}): lower the rate or add generator processes"
        )
    busy = sum(cpu > rules.busy_cpu for cpu in run.cpu.values())
    if run.cpu and busy / len(run.cpu) > _BUSY_SHARE:
        faults.append(
            f"a generator process used over {rules.busy_cpu:.0%} of a core in {busy} of "
            f"{len(run.cpu)} slices: add generator processes"
        )
    short = run.asked - whole.total
    if short > _SHORT_SHARE * run.asked + 4.0 * sqrt(run.asked):
        faults.append(
            f"{whole.total:,} of the {run.asked:,.0f} requests asked for were made: the rate "
            "cannot be reached, or the run was cut short"
        )
    if whole.client_errors > _WRONG_SHARE * whole.total:
        faults.append(
            f"{_percent(whole.client_errors / whole.total)} of the answers are 400 to 499: the "
            "requests are wrong (path, body, host), not the server"
        )
    if whole.dropped:
        who = "counts as bad: the server held every slot"
        if faults:
            who = "is the generator's fault as well"
        notes.append(f"{whole.dropped:,} arrivals were never sent; that {who}")
    return tuple(faults), tuple(notes)
