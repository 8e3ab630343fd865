"""A load test on a terminal and as JUnit XML."""

import math
from collections.abc import Iterator

from rich.text import Text

from sluice.analysis.load import LoadVerdict
from sluice.nouns import VerdictKind
from sluice.reports import words
from sluice.reports.canvas import VERDICT_STYLE
from sluice.reports.junit import attribute
from sluice.reports.load import QUANTILES, Latencies, LoadReport

_MARK = {
    VerdictKind.PASSED: "+",
    VerdictKind.FAILED: "x",
    VerdictKind.INCONCLUSIVE: "?",
    VerdictKind.INVALID: "!",
    VerdictKind.ERROR: "!",
}


def load_view(report: LoadReport) -> Text:
    """The report as lines for a terminal or a log."""
    text = Text()
    for line in _lines(report):
        text.append_text(line)
        text.append("\n")
    text.rstrip()
    return text


def _lines(report: LoadReport) -> Iterator[Text]:
    kind = report.verdict.kind
    yield Text.assemble((str(kind), VERDICT_STYLE[kind]), f": {report.verdict.reason}")
    rate = report.requests / report.duration_s if report.duration_s else 0.0
    yield Text(
        f"{report.requests:,} requests in {words.duration(report.duration_s * 1000)} "
        f"({words.rate(rate)} a second, asked {report.asked:,.0f}) to {report.url}; "
        f"{report.lost:,} lost, {report.dropped:,} never sent"
    )
    yield Text(f"profile {report.profile}; arrivals at most {_ms(report.late_p99_ms)} late (p99)")
    for fault in report.verdict.faults:
        yield Text(f"! {fault}", style="yellow")
    for note in report.verdict.notes:
        yield Text(f"  {note}")
    yield Text()
    yield from _objectives(report.verdict)
    yield Text()
    yield Text("latency, from the time a request was due", style="bold")
    heads = "".join(f"{f'p{q * 100:g}':>10}" for q in QUANTILES)
    yield Text(f"  {'version':<16}{'requests':>10}{heads}{'longest':>10}")
    for row in report.latencies:
        yield _latency(row)
    for row in report.baseline_latencies:
        yield _latency(row, name="baseline")
    for title, parts in (("versions", report.versions), ("windows", report.windows)):
        if parts:
            yield Text()
            yield Text(title, style="bold")
        for part in parts:
            yield Text.assemble(
                f"  {part.name}: ",
                (str(part.verdict.kind), VERDICT_STYLE[part.verdict.kind]),
                f", {part.lost} lost: {part.verdict.reason}",
            )
    if report.baseline:
        yield Text()
        yield Text("against the baseline", style="bold")
    for change in report.baseline:
        before, after = words.percent(change.before), words.percent(change.after)
        yield Text(f"  {change.objective}: {change.says} ({before} bad before, {after} now)")


def _objectives(verdict: LoadVerdict) -> Iterator[Text]:
    for item in verdict.objectives:
        yield Text.assemble(
            (f"{_MARK[item.kind]} {item.kind}", VERDICT_STYLE[item.kind]),
            f"  {item.objective}: {100 * item.target:.6g}% {item.sli}",
        )
        effect = f", design effect {item.design_effect:.3g}" if item.design_effect > 1.05 else ""
        yield Text(f"    {item.bad:,} of {item.requests:,} bad{effect}: {item.reason}")


def _latency(row: Latencies, *, name: str = "") -> Text:
    cells = "".join(f"{_ms(value):>10}" for value in (*row.quantiles_ms, row.longest_ms))
    return Text(f"  {name or row.version or 'all':<16}{row.requests:>10,}{cells}")


def _ms(value: float) -> str:
    return words.duration(value) if not math.isnan(value) else "-"


def load_junit(report: LoadReport) -> str:
    """The report as one JUnit suite with a case for each objective.

    ``failed`` is a failure; ``inconclusive``, ``invalid`` and ``error`` are errors with that word,
    so that no CI server takes them for passed.
    """
    verdict = report.verdict
    items = [(item.objective, item.kind, item.reason) for item in verdict.objectives]
    if verdict.kind in (VerdictKind.INVALID, VerdictKind.ERROR):
        items = [("measurement", verdict.kind, verdict.reason), *items]
    failures = sum(kind is VerdictKind.FAILED for _, kind, _ in items)
    errors = sum(kind not in (VerdictKind.FAILED, VerdictKind.PASSED) for _, kind, _ in items)
    seconds = f'time="{report.duration_s:.3f}"'
    counts = f'tests="{len(items)}" failures="{failures}" errors="{errors}" {seconds}'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name="load" {counts}>',
    ]
    for name, kind, reason in items:
        head = f'    <testcase classname="sluice.load" name={attribute(name)} {seconds}'
        if kind is VerdictKind.PASSED:
            lines.append(f"{head}/>")
            continue
        tag = "failure" if kind is VerdictKind.FAILED else "error"
        said = f"<{tag} type={attribute(str(kind))} message={attribute(reason)}/>"
        lines += [f"{head}>", f"      {said}", "    </testcase>"]
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])
