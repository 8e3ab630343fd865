"""What a load test is shown as: one value that table, JSON, JUnit and page are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice.analysis.latency import EDGES_MS, quantile_ms
from sluice.analysis.load import STANDARD, LoadRules, LoadVerdict, judge
from sluice.analysis.loadrun import Cell, LoadRun
from sluice.nouns import Objective, VerdictKind

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Percentiles of the answers of one version; ``""`` is all of them."""

    version: str
    requests: int
    errors: int
    quantiles_ms: tuple[float, ...]
    """At ``QUANTILES``, from the time a request was due; NaN without an answer."""
    longest_ms: float
    """Upper end of the highest bucket that holds an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the run that is judged on its own: a version, or a stretch of time."""

    name: str
    verdict: LoadVerdict
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One objective in two runs."""

    objective: str
    before: float
    after: float
    """Bad shares."""
    says: str
    """``better``, ``worse`` or ``not told apart``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """A load test with its verdict."""

    url: str
    profile: str
    started_ms: int
    duration_s: float
    processes: int
    asked: float
    requests: int
    lost: int
    dropped: int
    late_p99_ms: float
    """How late the generator began 99% of the arrivals at most."""
    verdict: LoadVerdict
    latencies: tuple[Latencies, ...]
    versions: tuple[Part, ...] = ()
    """Each version on its own, when there are several."""
    windows: tuple[Part, ...] = ()
    """Stretches of the run that were judged on their own."""
    baseline: tuple[Change, ...] = ()
    """Against an earlier run."""
    baseline_latencies: tuple[Latencies, ...] = ()


def load_report(
    run: LoadRun,
    objectives: Sequence[Objective],
    rules: LoadRules = STANDARD,
    *,
    baseline: LoadRun | None = None,
    windows: Sequence[tuple[str, float, float]] = (),
    changes: Sequence[tuple[str, float, float]] = (),
) -> LoadReport:
    """Judge a run and put together all that is shown of it.

    Args:
        run: Raw counts.
        objectives: At least one.
        rules: How sure to be.
        baseline: An earlier run to compare with.
        windows: (name, from, to) in seconds: parts to be judged on their own.
        changes: The same round changes of routing: too short for an objective, long enough to say
            that nothing was lost.
    """
    whole = run.whole()
    names = run.versions
    return LoadReport(
        url=run.url,
        profile=run.profile,
        started_ms=run.started_ms,
        duration_s=run.duration_s,
        processes=run.processes,
        asked=run.asked,
        requests=whole.total,
        lost=whole.lost,
        dropped=whole.dropped,
        late_p99_ms=quantile_ms(run.lateness, 0.99),
        verdict=judge(run, objectives, rules),
        latencies=(
            latencies("", whole),
            *(latencies(name, run.only(name).whole()) for name in names if len(names) > 1),
        ),
        versions=tuple(
            _part(name, _alone(run.only(name)), objectives, rules)
            for name in names
            if len(names) > 1
        ),
        windows=tuple(
            _part(name, _alone(run.between(start, end)), objectives, rules)
            for name, start, end in windows
        )
        + tuple(_change(name, run.between(start, end)) for name, start, end in changes),
        baseline=_changes(run, baseline, objectives, rules) if baseline else (),
        baseline_latencies=(latencies("", baseline.whole()),) if baseline else (),
    )


def latencies(version: str, cell: Cell) -> Latencies:
    """Percentiles of one cell."""
    longest = max(cell.buckets, default=0)
    return Latencies(
        version=version,
        requests=cell.total,
        errors=cell.errors,
        quantiles_ms=tuple(quantile_ms(cell.buckets, q) for q in QUANTILES),
        longest_ms=EDGES_MS[min(longest, len(EDGES_MS) - 1)] if cell.buckets else float("nan"),
    )


def _alone(run: LoadRun) -> LoadRun:
    # what was asked of a part is not known beforehand: it is what came
    return replace(run, asked=float(run.whole().total))


def _part(name: str, run: LoadRun, objectives: Sequence[Objective], rules: LoadRules) -> Part:
    return Part(name=name, verdict=judge(run, objectives, rules), lost=run.whole().lost)


def _change(name: str, run: LoadRun) -> Part:
    whole = run.whole()
    kind = VerdictKind.FAILED if whole.lost else VerdictKind.PASSED
    reason = f"{whole.lost} of {whole.total} requests were lost"
    return Part(name=name, verdict=LoadVerdict(kind=kind, reason=reason), lost=whole.lost)


def _changes(
    run: LoadRun, baseline: LoadRun, objectives: Sequence[Objective], rules: LoadRules
) -> tuple[Change, ...]:
    before, after = judge(baseline, objectives, rules), judge(run, objectives, rules)
    changes = []
    for old, new in zip(before.objectives, after.objectives, strict=False):
        says = "not told apart"
        if new.high < old.low:
            says = "better"
        elif new.low > old.high:
            says = "worse"
        changes.append(Change(objective=new.objective, before=old.rate, after=new.rate, says=says))
    return tuple(changes)
