"""What many simulated passes came to: ends, and the spread of time, requests and harm."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.reports import words
from sluice.reports.canvas import OUTCOME_STYLE, Canvas
from sluice.reports.glyphs import bar, histogram
from sluice.reports.model import SimulationResult

QUANTILES = (("P50", 0.5), ("P90", 0.9), ("P99", 0.99), ("MAX", 1.0))
HISTOGRAM_WIDTH = 20


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
    ends = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    ends.add_column("END", no_wrap=True)
    ends.add_column("PASSES", justify="right", no_wrap=True)
    ends.add_column("SHARE", justify="right", no_wrap=True)
    ends.add_column("", no_wrap=True)
    for name, number in sorted(result.outcomes.items(), key=lambda item: -item[1]):
        share = number / result.runs if result.runs else 0.0
        ends.add_row(
            Text(name, style=OUTCOME_STYLE.get(name, "")),
            words.count(number),
            words.percent(share),
            bar(share, 24, canvas.glyphs),
        )
    spread = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    spread.add_column("PER PASS", no_wrap=True)
    for name, _ in QUANTILES:
        spread.add_column(name, justify="right", no_wrap=True)
    spread.add_column("MEAN", justify="right", no_wrap=True)
    spread.add_column("SPREAD, LEAST TO MOST", no_wrap=True)
    rows: tuple[tuple[str, tuple[float, ...], bool], ...] = (
        ("time to decision", result.seconds_to_decision, True),
        ("candidate requests", tuple(map(float, result.requests_to_decision)), False),
        ("harmed", tuple(map(float, result.harmed)), False),
    )
    for name, values, is_time in rows:
        numbers = [quantile(values, q) for _, q in QUANTILES]
        numbers.append(sum(values) / len(values) if values else math.nan)
        spread.add_row(
            name,
            *(_number(number, is_time=is_time) for number in numbers),
            Text(histogram(values, HISTOGRAM_WIDTH, canvas.glyphs), style="cyan"),
        )
    return Group(Text(title, style="bold"), Text(), ends, Text(), spread)


def _number(value: float, *, is_time: bool) -> str:
    if math.isnan(value):
        return "-"
    if is_time:
        return words.duration(value * 1_000)
    return words.count(value) if value >= 100 or value == int(value) else f"{value:.1f}"
