"""``make capacity``: the highest rate at which a server keeps its SLO, and where it bends.

Doubles the rate until the SLO breaks, then halves the interval; each rate is judged by the same
verdict as a load test, and stopped early when it fails for certain.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.__main__ import Parser, add_common, asked_of, said
from loadtests.asked import objectives_of
from loadtests.run import Asked, run
from sluice.analysis.latency import quantile_ms
from sluice.analysis.load import LoadRules, judge
from sluice.analysis.loadrun import LoadRun
from sluice.cli.exits import ExitCode
from sluice.errors import SluiceError
from sluice.nouns import Objective, VerdictKind
from sluice.reports import document, words

KNEE = 2.0
"""The knee is the lowest rate at which p95 is over so many times that of the lowest rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rate that was tried."""

    rate: float
    kind: VerdictKind
    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What was found."""

    version: str
    """Whose answers were judged; empty: all."""
    highest: float | None
    """Highest rate that passed, requests per second; None: none did."""
    lowest_bad: float | None
    """Lowest rate that did not; None: every rate up to the limit passed."""
    knee: float | None
    rungs: tuple[Rung, ...]
    """In order of their rates."""


def find(
    measure: Callable[[float], LoadRun],
    objectives: Sequence[Objective],
    rules: LoadRules,
    *,
    low: float,
    high: float,
    precision: float,
    version: str = "",
    tell: Callable[[Rung], None] = lambda _: None,
) -> Capacity:
    """Find the capacity.

    Args:
        measure: Runs a load at a rate.
        objectives: What must hold.
        rules: How sure to be.
        low: First rate, requests per second.
        high: No higher rate than this.
        precision: Ends when the interval is so small a share of its upper end.
        version: Judge its answers only.
        tell: Hears of each rate.
    """
    tried: dict[float, Rung] = {}

    def holds(rate: float) -> bool:
        counted = measure(rate)
        if version:
            counted = replace(
                counted.only(version), asked=float(counted.only(version).whole().total)
            )
        verdict = judge(counted, objectives, rules)
        buckets = counted.whole().buckets
        tried[rate] = rung = Rung(
            rate=rate,
            kind=verdict.kind,
            p50_ms=quantile_ms(buckets, 0.5),
            p95_ms=quantile_ms(buckets, 0.95),
            p99_ms=quantile_ms(buckets, 0.99),
            requests=counted.whole().total,
            reason=verdict.reason,
        )
        tell(rung)
        return verdict.kind is VerdictKind.PASSED

    good: float | None = None
    bad: float | None = None
    rate = low
    while bad is None and (good is None or good < high):
        if holds(rate):
            good, rate = rate, min(high, 2 * rate)
        else:
            bad = rate
    while good is not None and bad is not None and bad - good > precision * bad:
        middle = float(f"{(good + bad) / 2:.4g}")
        if holds(middle):
            good = middle
        else:
            bad = middle
    rungs = tuple(tried[rate] for rate in sorted(tried))
    floor = rungs[0].p95_ms
    knee = next((rung.rate for rung in rungs if rung.p95_ms > KNEE * floor), None)
    return Capacity(version=version, highest=good, lowest_bad=bad, knee=knee, rungs=rungs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Find and print it: 0 some rate passed, 1 none did, 3 none could be measured."""
    parser = Parser(prog="python -m loadtests.capacity", description=__doc__)
    add_common(parser)
    add = parser.add_argument
    add("--from", dest="low", type=float, default=10.0, help="first rate (default %(default)g)")
    add("--to", dest="high", type=float, default=1_000.0, help="highest rate to try")
    add("--precision", type=float, default=0.1, help="share of the rate (default %(default)g)")
    add("--each", default="60s", help="time at each rate (default %(default)s)")
    add("--version", default="", help="judge the answers of this version only")
    options = parser.parse_args(arguments)
    if not 0 < options.low <= options.high or not 0 < options.precision < 1:
        parser.error("needs 0 < --from <= --to, and --precision between 0 and 1")
    if not options.slo and not options.threshold:
        parser.error('nothing to judge by: give --slo FILE, or --threshold "p(95)<200"')

    def measure(rate: float) -> LoadRun:
        asked: Asked = asked_of(options, profile="constant", rate=rate, length=options.each)
        file = Path(options.out).absolute() / f"run-{rate:g}.json"
        return run(replace(asked, run_file=file, stop_early=True))

    try:
        objectives = objectives_of(options.slo, options.threshold)
        found = find(
            measure,
            objectives,
            LoadRules(late_ms=options.late_ms),
            low=options.low,
            high=options.high,
            precision=options.precision,
            version=options.version,
            tell=_tell,
        )
    except SluiceError as error:
        return said(error)
    path = Path(options.out) / "capacity.json"
    path.write_bytes(document.dump_json(found, indent=2))
    sys.stdout.write(f"{summary(found)}\ncounts and document: {path}\n")
    if found.highest is not None:
        return ExitCode.DONE
    unmeasured = all(rung.kind is VerdictKind.INVALID for rung in found.rungs)
    return ExitCode.NOT_MEASURED if unmeasured else ExitCode.FAILED


def summary(found: Capacity) -> str:
    """The end of it in one line."""
    who = f" of {found.version}" if found.version else ""
    if found.highest is None:
        first = found.rungs[0]
        return f"no rate passed{who}: {first.rate:g} a second is {first.kind}: {first.reason}"
    text = f"capacity{who}: {found.highest:g} requests a second keep the SLO"
    if found.lowest_bad is not None:
        kind = next(rung.kind for rung in found.rungs if rung.rate == found.lowest_bad)
        text += f", {found.lowest_bad:g} do not ({kind})"
    else:
        text += ", the highest that was tried"
    return text + (f"; the knee is at {found.knee:g}" if found.knee is not None else "")


def _tell(rung: Rung) -> None:
    sys.stdout.write(
        f"{rung.rate:8g} a second: {rung.kind:<12} p50 {words.duration(rung.p50_ms)}, "
        f"p95 {words.duration(rung.p95_ms)}, p99 {words.duration(rung.p99_ms)}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
