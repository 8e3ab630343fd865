"""The charts of the HTML report: weight, traffic and evidence of one pass on one axis of time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sluice.nouns import BP_TOTAL, RevisionId, Verdict
from sluice.reports import words
from sluice.reports.charts import (
    Axis,
    Curve,
    Mark,
    Points,
    Style,
    chart,
    count_axis,
    legend,
    time_axis,
)
from sluice.reports.model import ReleaseStatus, TrafficPoint
from sluice.reports.passes import Pass

MOST_POINTS = 400
"""Of a curve: more cannot be seen and would only make the page slow."""


def timeline(
    status: ReleaseStatus,
    journey: Pass,
    traffic: Sequence[TrafficPoint],
    verdicts: Sequence[Verdict],
) -> str:
    """Sections with the charts of a pass.

    Args:
        status: Of the release, for names and roles.
        journey: The pass.
        traffic: Requests by second and revision; empty: no chart of them.
        verdicts: Kept verdicts, oldest first; empty: those of the decisions.
    """
    moments = [decision.at_ms for decision in journey.decisions]
    moments += [point.at_ms for point in traffic]
    axis = time_axis(min(moments), max(moments), journey.started_ms)
    marks = [
        Mark(x=decision.at_ms, number=number, title=f"{decision.kind}: {decision.message}")
        for number, decision in enumerate(journey.decisions, start=1)
        if decision.kind != "WeightChanged"
    ]
    text = _weight_chart(journey, axis, marks)
    text += _traffic_charts(status, journey, traffic, axis)
    own = [decision.verdict for decision in journey.decisions if decision.verdict is not None]
    return text + _evidence_chart(verdicts or own, axis)


def _weight_chart(journey: Pass, axis: Axis, marks: Sequence[Mark]) -> str:
    points: list[tuple[float, float]] = [(axis.low, 0.0)]
    points += [(d.at_ms, d.to_bp) for d in journey.decisions if d.to_bp is not None]
    points.append((axis.high, points[-1][1]))
    weight = Curve(name="weight", points=points, style="candidate", stepped=True, filled=True)
    most = max(value for _, value in points)
    top = next(bp for bp in (100, 500, 1_000, 2_500, 5_000, BP_TOTAL) if bp >= min(most, BP_TOTAL))
    y = Axis(low=0, high=top, ticks=tuple((bp, words.weight(bp)) for bp in (0, top // 2, top)))
    label = f"Weight of the candidate over time; at most {words.weight(round(most))}."
    return (
        "<section><h2>Weight of the candidate</h2>"
        '<p class="soft small">Share of the live requests that it gets. The numbers are the '
        "decisions below; time counts from the start of the pass.</p>"
        f"{chart(label=label, x=axis, y=y, curves=[weight], marks=marks)}</section>"
    )


def _traffic_charts(
    status: ReleaseStatus, journey: Pass, traffic: Sequence[TrafficPoint], axis: Axis
) -> str:
    if not traffic:
        return ""
    requests, errors = _rates(traffic)
    order = sorted(requests, key=lambda revision: revision == journey.revision)
    styles = {revision: _style(revision, status, journey) for revision in order}
    names = {revision: words.revision_name(revision, status) for revision in order}
    curves = [
        Curve(name=names[revision], points=requests[revision], style=styles[revision])
        for revision in order
    ]
    bad = [
        Curve(name=names[revision], points=errors[revision], style=styles[revision])
        for revision in order
    ]
    most = max(value for points in requests.values() for _, value in points)
    worst = max(value for points in errors.values() for _, value in points)
    roles = {"candidate": "candidate", "stable": "stable", "other": "earlier revision"}
    key = legend((styles[r], f"{names[r]} ({roles[styles[r]]})") for r in reversed(order))
    said = f"Requests per second by revision, at most {most:.0f}."
    said_bad = f"Errors per second by revision, at most {worst:.0f}."
    return (
        f"<section><h2>Requests per second</h2>{key}"
        f"{chart(label=said, x=axis, y=count_axis(most), curves=curves)}"
        "<h2>Errors per second</h2>"
        f"{chart(label=said_bad, x=axis, y=count_axis(worst), curves=bad, low=True)}</section>"
    )


def _style(revision: RevisionId, status: ReleaseStatus, journey: Pass) -> Style:
    if revision == journey.revision:
        return "candidate"
    serving = status.stable != journey.revision
    return "stable" if revision == status.stable or not serving else "other"


def _rates(
    traffic: Sequence[TrafficPoint],
) -> tuple[Mapping[RevisionId, list[tuple[float, float]]], ...]:
    """Points of requests and of errors per second by revision, thinned to what can be seen."""
    seconds = sorted({point.at_ms // 1_000 for point in traffic})
    width = max(1, -(-(seconds[-1] - seconds[0] + 1) // MOST_POINTS))
    bins = range(seconds[0] // width, seconds[-1] // width + 1)
    sums: dict[RevisionId, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for point in traffic:
        cell = sums[point.revision][point.at_ms // 1_000 // width]
        cell[0] += point.requests
        cell[1] += point.errors
    return tuple(
        {
            revision: [
                (at * width * 1_000.0, (cells[at][which] if at in cells else 0) / width)
                for at in bins
            ]
            for revision, cells in sums.items()
        }
        for which in (0, 1)
    )


def _evidence_chart(verdicts: Sequence[Verdict], axis: Axis) -> str:
    judged = [verdict for verdict in verdicts if verdict.log_threshold > 0]
    if not judged:
        return ""
    against = [(float(v.taken_ms), max(0.0, v.log_e / v.log_threshold)) for v in judged]
    favour = [(float(v.taken_ms), share) for v in judged if (share := _way_to_pass(v)) is not None]
    curves = [
        Curve(name="for it", points=_thin(favour), style="stable", stepped=True),
        Curve(name="against it", points=_thin(against), style="bad", stepped=True),
    ]
    y = Axis(low=0, high=1.25, ticks=((0, "1"), (1, "decides")))
    last = judged[-1]
    label = (
        f"Evidence over time: the e-value against the candidate ended at "
        f"{words.e_value(last.log_e)}; it decides at {words.e_value(last.log_threshold)}."
    )
    key = legend(
        (
            ("bad", f"against it: turned back at e = {words.e_value(last.log_threshold)}"),
            ("stable", "for it: the weakest objective on its way to passed"),
            ("limit", "decides"),
        )
    )
    return (
        "<section><h2>Evidence</h2>"
        '<p class="soft small">E-values on a logarithmic scale, from 1 (nothing is known) to the '
        f"threshold that decides. Looking often does not make them wrong.</p>{key}"
        f"{chart(label=label, x=axis, y=y, curves=curves, limit=1)}</section>"
    )


def _way_to_pass(verdict: Verdict) -> float | None:
    best: dict[str, float] = {}
    for check in verdict.checks:
        if check.check == "non-inferiority" and check.log_threshold > 0:
            share = max(0.0, check.log_e / check.log_threshold)
            best[check.objective] = max(share, best.get(check.objective, 0.0))
    return min(best.values()) if best else None


def _thin(points: Points) -> Points:
    step = -(-len(points) // MOST_POINTS) or 1
    return [*points[:-1:step], points[-1]] if points else points
