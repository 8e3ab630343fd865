"""What many simulated passes came to: ends, and the spread of time, requests and harm."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sluice.reports import words
from sluice.reports.canvas import OUTCOME_STYLE, Canvas, columns, paragraph
from sluice.reports.glyphs import bar, histogram
from sluice.reports.model import SimulationResult

QUANTILES = (("P50", 0.5), ("P90", 0.9), ("P99", 0.99), ("MAX", 1.0))
HISTOGRAM_WIDTH = 20
BAR_WIDTH = 24


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that a share ``q`` of all values does not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def simulation_view(result: SimulationResult, title: str, canvas: Canvas) -> RenderableType:
    """What ``sluice simulate`` shows.

    Args:
        result: Of at least one run.
        title: What was simulated, in one line.
        canvas: Where it is drawn.
    """
    ends = [
        (
            Text(name, style=OUTCOME_STYLE.get(name, "bold")),
            words.count(number),
            words.percent(number / result.runs),
            bar(number / result.runs, BAR_WIDTH, canvas.glyphs),
        )
        for name, number in sorted(result.outcomes.items(), key=lambda item: -item[1])
    ]
    spreads = [
        _spread("time to decision", result.seconds_to_decision, canvas, is_time=True),
        _spread("candidate requests", result.requests_to_decision, canvas),
        _spread("harmed", result.harmed, canvas),
    ]
    names = tuple(name for name, _ in QUANTILES)
    headers = ("IN ONE PASS", *names, "MEAN", "SPREAD, LEAST TO MOST")
    return Group(
        *paragraph("", title, canvas.width, indent=0, style="bold"),
        Text(),
        *columns(("END", "PASSES", "SHARE", ""), ends, canvas=canvas, right=(1, 2)),
        Text(),
        *columns(headers, spreads, canvas=canvas, right=(1, 2, 3, 4, 5)),
    )


def _spread(
    name: str, values: Sequence[float], canvas: Canvas, *, is_time: bool = False
) -> tuple[str | Text, ...]:
    numbers = [quantile(values, q) for _, q in QUANTILES]
    numbers.append(sum(values) / len(values) if values else math.nan)
    drawn = histogram(tuple(values), HISTOGRAM_WIDTH, canvas.glyphs)
    return (
        name,
        *(_number(number, is_time=is_time) for number in numbers),
        Text(drawn, style="cyan"),
    )


def _number(value: float, *, is_time: bool) -> str:
    if math.isnan(value):
        return "-"
    if is_time:
        return words.duration(value * 1_000)
    return words.count(value) if value >= 100 or value == int(value) else f"{value:.1f}"
