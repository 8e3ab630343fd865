"""Charts of the HTML report: inline SVG for the shapes, HTML for the words.

The drawing is stretched to the width of the page and the words are not, so that they can be read
on a phone as on a wall.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from sluice.reports import words

Style = Literal["candidate", "stable", "bad", "other"]
Points = Sequence[tuple[float, float]]
"""(x, y) in the units of the chart's axes."""

WIDTH, HEIGHT = 1_000, 100
"""Units of the drawing; only their ratio to the axes matters."""
FEW = 12
"""Curves of so few points show each as a dot: one alone would not be seen."""
LANES = 3
"""Rows of marks above a chart, so that decisions close together keep their numbers apart."""
LANE_GAP = 0.045
"""Marks nearer than this share of the width take another lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From where to where, with the values that are named."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies, 0 at ``low``, 1 at ``high``; outside values lie on the edge."""
        span = self.high - self.low
        return min(1.0, max(0.0, (value - self.low) / span)) if span > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a chart."""

    name: str
    points: Points
    style: Style
    stepped: bool = False
    """The value holds until the next point."""
    filled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A numbered moment."""

    x: float
    number: int
    title: str


def time_axis(low_ms: float, high_ms: float, zero_ms: float) -> Axis:
    """An axis of time with about five round ticks, told relative to ``zero_ms``."""
    high_ms = max(high_ms, low_ms + 1_000)
    span = (high_ms - low_ms) / 1_000
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200)
    step = next((step for step in steps if span / step <= 5), 86_400 * math.ceil(span / 432_000))
    first = math.ceil((low_ms - zero_ms) / 1_000 / step) * step
    ticks = []
    at: float = first
    while zero_ms + at * 1_000 <= high_ms:
        ticks.append((zero_ms + at * 1_000, words.duration(at * 1_000)))
        at += step
    return Axis(low=low_ms, high=high_ms, ticks=tuple(ticks))


def count_axis(highest: float) -> Axis:
    """An axis from 0 to a round number not below ``highest``, with its half and its end named."""
    size = 10.0 ** math.floor(math.log10(highest)) if highest > 0 else 1.0
    top = next(size * m for m in (1, 2, 3, 4, 6, 8, 10) if size * m >= highest)
    return Axis(low=0, high=top, ticks=tuple((v, f"{v:g}") for v in (0, top / 2, top)))


def chart(
    *,
    label: str,
    x: Axis,
    y: Axis,
    curves: Sequence[Curve],
    limit: float | None = None,
    marks: Sequence[Mark] = (),
    low: bool = False,
) -> str:
    """One chart as HTML.

    Args:
        label: What it shows and says, for those who cannot see it.
        x: Horizontal axis.
        y: Vertical axis.
        curves: Drawn in order, the last one on top.
        limit: A value that decides something, as a dashed line.
        marks: Numbered moments.
        low: Half the height.
    """
    shapes = "".join(
        f'<line class="grid" x1="0" x2="{WIDTH}" y1="{_y(y, value)}" y2="{_y(y, value)}"/>'
        for value, _ in y.ticks
    )
    shapes += "".join(_curve(curve, x, y) for curve in curves)
    if limit is not None:
        at = _y(y, limit)
        shapes += f'<line class="limit" x1="0" x2="{WIDTH}" y1="{at}" y2="{at}"/>'
    kind = "chart" + (" marked" if marks else "") + (" low" if low else "")
    return (
        f'<div class="{kind}">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{shapes}</svg>{_marks(marks, x)}{_ticks(x, y)}</div>'
    )


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """(style, name) of each curve as a list; a limit has the style ``limit``."""
    items = "".join(
        f'<li><svg viewBox="0 0 32 10" aria-hidden="true"><line class="curve {style}" x1="0" '
        f'x2="32" y1="5" y2="5"/></svg>{escape(name)}</li>'
        for style, name in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT * (1 - axis.share(value)), 2)


def _curve(curve: Curve, x: Axis, y: Axis) -> str:
    if not curve.points:
        return ""
    corners: list[tuple[float, float]] = []
    for at, value in curve.points:
        point = (round(WIDTH * x.share(at), 2), _y(y, value))
        if curve.stepped and corners:
            corners.append((point[0], corners[-1][1]))
        corners.append(point)
    path = "M" + "L".join(f"{a:g} {b:g}" for a, b in corners)
    text = ""
    if curve.filled:
        ground = f"L{corners[-1][0]:g} {HEIGHT}L{corners[0][0]:g} {HEIGHT}Z"
        text = f'<path class="area" d="{path}{ground}"/>'
    if len(curve.points) <= FEW:
        # a line of no length with round ends is a dot that stays round however it is stretched
        dots = "".join(f"M{WIDTH * x.share(at):g} {_y(y, value)}h0" for at, value in curve.points)
        text += f'<path class="dots {curve.style}" d="{dots}"/>'
    return f'{text}<path class="curve {curve.style}" d="{path}"/>'


def _marks(marks: Sequence[Mark], x: Axis) -> str:
    ends = [-1.0] * LANES
    text = ""
    for mark in marks:
        at = x.share(mark.x)
        lane = next((i for i, end in enumerate(ends) if at - end >= LANE_GAP), LANES - 1)
        ends[lane] = at
        left = f"left:{at * 100:.2f}%"
        top = f"top:-{1.5 + 1.0 * lane:.1f}rem"
        text += (
            f'<span class="rule" style="{left}"></span><span class="mark" style="{left};{top}" '
            f'title="{escape(mark.title)}">{mark.number}</span>'
        )
    return text


def _ticks(x: Axis, y: Axis) -> str:
    text = ""
    for value, name in x.ticks:
        at = x.share(value)
        kind = "tick x last" if at > 0.93 else "tick x"
        text += f'<span class="{kind}" style="left:{at * 100:.2f}%">{escape(name)}</span>'
    for value, name in y.ticks:
        top = (1 - y.share(value)) * 100
        text += f'<span class="tick y" style="top:{top:.2f}%">{escape(name)}</span>'
    return text
