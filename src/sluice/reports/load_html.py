"""A load test as one HTML page without scripts, readable on a phone and in the dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from sluice.analysis.latency import EDGES_MS
from sluice.analysis.loadrun import LoadRun
from sluice.nouns import Objective, VerdictKind
from sluice.reports import words
from sluice.reports.charts import Axis, Curve, Mark, Style, chart, count_axis, legend, time_axis
from sluice.reports.html import html_table
from sluice.reports.html_style import STYLE
from sluice.reports.load import QUANTILES, Latencies, LoadReport, Part

_BADGE = {
    VerdictKind.PASSED: "promoted",
    VerdictKind.FAILED: "aborted",
    VerdictKind.INCONCLUSIVE: "held",
    VerdictKind.INVALID: "held",
    VerdictKind.ERROR: "held",
}
_STYLES: tuple[Style, ...] = ("candidate", "stable", "bad", "other")
_MOST_POINTS = 240
_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def load_html(report: LoadReport, run: LoadRun, objectives: Sequence[Objective]) -> str:
    """The report as a self-contained page.

    Args:
        report: What is shown.
        run: Its raw counts, for the charts.
        objectives: What it was judged by, for the lines of the charts.

    Returns:
        HTML text; everything from outside is escaped.
    """
    kind = report.verdict.kind
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>load test: {escape(kind)}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            f'<header><h1>Load test</h1><span class="badge {_BADGE[kind]}">{escape(kind)}</span>'
            f"<p>{escape(report.verdict.reason)}</p></header>",
            _tiles(report),
            _objectives(report),
            _distribution(run, objectives),
            _timeline(run, objectives),
            _versions(report),
            _baseline(report),
            _footer(report),
            "</main></body></html>",
            "",
        ]
    )


def _tiles(report: LoadReport) -> str:
    first = report.latencies[0]
    tiles = [
        ("requests", words.count(report.requests)),
        ("a second", words.rate(report.requests / max(report.duration_s, 1e-9))),
        ("lost: no answer at all", words.count(report.lost)),
        ("never sent", words.count(report.dropped)),
        ("95% within", _ms(first.quantiles_ms[2])),
        ("99% within", _ms(first.quantiles_ms[3])),
    ]
    body = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in tiles)
    return f'<dl class="tiles">{body}</dl>'


def _objectives(report: LoadReport) -> str:
    rows = [
        (
            item.objective,
            f"{100 * item.target:.6g}% {item.sli}",
            str(item.kind),
            f"{words.count(item.bad)} of {words.count(item.requests)}",
            words.share_interval(item.low, item.high),
            f"{item.rate / item.allowed:.0%} of the budget",
            item.reason,
        )
        for item in report.verdict.objectives
    ]
    heads = ("Objective", "Asks", "Says", "Bad", "Likely", "Budget used", "Why")
    faults = "".join(
        f'<p class="verdict-failed">{escape(fault)}</p>' for fault in report.verdict.faults
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.verdict.notes)
    table = html_table(heads, rows)
    return f"<section><h2>Objectives and their budgets</h2>{faults}{notes}{table}</section>"


def _distribution(run: LoadRun, objectives: Sequence[Objective]) -> str:
    names = run.versions or ("",)
    parts = {name: run.only(name).whole().buckets for name in names}
    parts = {name: buckets for name, buckets in parts.items() if buckets}
    if not parts:
        return "<section><h2>Latency</h2><p>No request was answered.</p></section>"
    shown = list(parts.items())[: len(_STYLES)]
    highest = max(max(buckets) for _, buckets in shown)
    top = EDGES_MS[min(highest, len(EDGES_MS) - 1)]
    limits = [o.threshold_ms for o in objectives if o.threshold_ms is not None]
    top = max(top, *(1.1 * limit for limit in limits), 1.0)
    x = Axis(
        low=0,
        high=-math.log10(1 - _NINES[-1]),
        ticks=tuple((-math.log10(1 - q), f"{q * 100:g}%") for q in _NINES),
    )
    low = math.log10(max(0.1, min(_floor(buckets) for _, buckets in shown)))
    decades = range(math.floor(low), math.ceil(math.log10(top)) + 1)
    y = Axis(
        low=float(decades[0]),
        high=float(max(decades[-1], decades[0] + 1)),
        ticks=tuple((float(d), words.duration(10.0**d)) for d in decades),
    )
    curves = [
        Curve(name=name, points=_percentiles(buckets), style=style, stepped=False)
        for (name, buckets), style in zip(shown, _STYLES, strict=False)
    ]
    entries: list[tuple[str, str]] = [
        (curve.style, curve.name or "all answers") for curve in curves
    ]
    limit = math.log10(limits[0]) if limits else None
    if limits:
        entries.append(("limit", f"objective: {limits[0]} ms"))
    label = "Latency by share of requests that are not slower, one line for each version"
    drawing = chart(label=label, x=x, y=y, curves=curves, limit=limit)
    return (
        "<section><h2>Latency distribution</h2>"
        '<p class="soft small">From the time a request was due, so that a stalled server cannot '
        f"hide. Share of requests that are not slower.</p>{legend(entries)}{drawing}</section>"
    )


def _floor(buckets: Mapping[int, int]) -> float:
    return EDGES_MS[min(min(buckets), len(EDGES_MS) - 1)]


def _percentiles(buckets: Mapping[int, int]) -> list[tuple[float, float]]:
    total, seen, points = sum(buckets.values()), 0, []
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        share = min(seen / total, 1 - 1 / (2 * total))
        at = EDGES_MS[min(bucket, len(EDGES_MS) - 1)]
        points.append((-math.log10(1 - share), math.log10(at)))
    return points


def _timeline(run: LoadRun, objectives: Sequence[Objective]) -> str:
    joined = max(1, math.ceil(run.slices / _MOST_POINTS))
    step_s = run.slice_s * joined
    x = time_axis(0, run.duration_s * 1000, 0)
    marks = [
        Mark(x=event.at_s * 1000, number=number, title=event.what)
        for number, event in enumerate(run.events, start=1)
    ]
    text = ""
    rates: dict[str, list[float]] = {}
    for cell in run.cells:
        line = rates.setdefault(cell.version, [0.0] * math.ceil(run.slices / joined))
        line[min(cell.slice // joined, len(line) - 1)] += cell.total / step_s
    names = sorted(rates, key=lambda name: (name == "", name))[: len(_STYLES)]
    curves = [
        Curve(
            name=name or "no version",
            points=[(i * step_s * 1000, value) for i, value in enumerate(rates[name])],
            style=style,
            stepped=True,
        )
        for name, style in zip(names, _STYLES, strict=False)
    ]
    most = max((value for line in rates.values() for value in line), default=1.0)
    text += "<h2>Requests per second, by version</h2>"
    text += legend((curve.style, curve.name) for curve in curves)
    text += chart(
        label="Requests per second over time",
        x=x,
        y=count_axis(most),
        curves=curves,
        marks=marks,
    )
    for objective in objectives:
        text += _bad_over_time(run, objective, joined, x, marks)
    events = "".join(
        f'<li><span class="number">{n}</span><div class="what">{escape(event.what)}'
        f'<span class="soft">+{words.duration(event.at_s * 1000)}</span></div></li>'
        for n, event in enumerate(run.events, start=1)
    )
    return f"<section>{text}{f'<ol class=steps>{events}</ol>' if events else ''}</section>"


def _bad_over_time(
    run: LoadRun, objective: Objective, joined: int, x: Axis, marks: Sequence[Mark]
) -> str:
    series = run.series(objective)
    points = []
    for first in range(0, len(series), joined):
        part = series[first : first + joined]
        requests, bad = sum(n for n, _ in part), sum(k for _, k in part)
        share = 100 * bad / requests if requests else 0.0
        points.append((first * run.slice_s * 1000, share))
    most = max(100 * 2 * (1 - objective.target), *(share for _, share in points))
    y = Axis(low=0, high=most, ticks=tuple((v, f"{v:.3g}%") for v in (0.0, most / 2, most)))
    curve = Curve(name="bad", points=points, style="bad", stepped=True, filled=True)
    allowed = f"allowed: {words.percent(1 - objective.target)}"
    return (
        f"<h2>{escape(objective.name)}: bad requests</h2>"
        f"{legend((('bad', 'bad requests'), ('limit', allowed)))}"
        + chart(
            label=f"Share of bad requests of {objective.name} over time",
            x=x,
            y=y,
            curves=[curve],
            limit=100 * (1 - objective.target),
            marks=marks,
            low=True,
        )
    )


def _versions(report: LoadReport) -> str:
    heads = ("Version", "Requests", *(f"p{q * 100:g}" for q in QUANTILES), "Longest")
    text = html_table(heads, [_row(row) for row in report.latencies])
    text = f"<section><h2>Versions</h2>{text}{_parts(report.versions)}</section>"
    if report.windows:
        text += f"<section><h2>Windows</h2>{_parts(report.windows)}</section>"
    return text


def _row(row: Latencies, name: str = "") -> tuple[str, ...]:
    values = (*row.quantiles_ms, row.longest_ms)
    return (name or row.version or "all", words.count(row.requests), *map(_ms, values))


def _parts(parts: Sequence[Part]) -> str:
    rows = [
        (part.name, str(part.verdict.kind), words.count(part.lost), part.verdict.reason)
        for part in parts
    ]
    return html_table(("Part", "Says", "Lost", "Why"), rows)


def _baseline(report: LoadReport) -> str:
    if not report.baseline:
        return ""
    changes = html_table(
        ("Objective", "Says", "Bad before", "Bad now"),
        [
            (item.objective, item.says, words.percent(item.before), words.percent(item.after))
            for item in report.baseline
        ],
    )
    heads = ("Run", "Requests", *(f"p{q * 100:g}" for q in QUANTILES), "Longest")
    rows = [_row(report.latencies[0], "this run")]
    rows += [_row(row, "baseline") for row in report.baseline_latencies]
    table = html_table(heads, rows)
    return f"<section><h2>Against the baseline</h2>{changes}{table}</section>"


def _footer(report: LoadReport) -> str:
    return (
        f"<footer>{escape(report.url)}, {escape(report.profile)}, began "
        f"{words.moment(report.started_ms)}; arrivals at most {_ms(report.late_p99_ms)} late "
        f"(p99), {report.processes} generator process(es). Written by sluice.</footer>"
    )


def _ms(value: float) -> str:
    return "none" if math.isnan(value) else words.duration(value)
