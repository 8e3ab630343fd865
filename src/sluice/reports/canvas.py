"""What a renderer must know of the place it draws on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text

from sluice.nouns import Phase, VerdictKind
from sluice.reports.glyphs import UNICODE, Glyphs


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Signs, width and the moment; colours are the console's affair."""

    now_ms: int
    """UTC ms: ages are counted from it."""
    width: int = 80
    """Columns."""
    glyphs: Glyphs = UNICODE
    height: int | None = None
    """Lines that can be seen at once; None: as many as it takes."""


PHASE_STYLE = {
    Phase.PROGRESSING: "bold cyan",
    Phase.PAUSED: "bold yellow",
    Phase.HEALTHY: "bold green",
    Phase.DEGRADED: "bold red",
    Phase.ABORTED: "bold red",
}
VERDICT_STYLE = {
    VerdictKind.PASSED: "green",
    VerdictKind.FAILED: "bold red",
    VerdictKind.INCONCLUSIVE: "",
    VerdictKind.INVALID: "bold yellow",
    VerdictKind.ERROR: "bold yellow",
}
KIND_STYLE = {
    "Promoted": "bold green",
    "Aborted": "bold red",
    "Held": "bold yellow",
    "Paused": "bold yellow",
}
OUTCOME_STYLE = {
    "promoted": "bold green",
    "aborted": "bold red",
    "held": "bold yellow",
    "running": "cyan",
}
GAP = 2
"""Columns between the columns of a table, where there is room."""
SHRUNK = 24
"""A column that is cut keeps so much before the gaps of its table become narrow."""
LABEL_WIDTH = 10
"""Columns of the words that name a line, so that all views align."""


def paragraph(
    label: str,
    value: str | Text | Sequence[Text],
    width: int,
    *,
    style: str = "",
    indent: int = LABEL_WIDTH,
) -> list[Text]:
    """Words over as many lines as they need, the first after its label, all with an indent.

    A sequence of texts is broken only between them.
    """
    if isinstance(value, str):
        value = Text(value, style=style)
    words = value.split(" ") if isinstance(value, Text) else value
    lines = _wrapped(words, max(20, width - indent))
    first, rest = Text(f"{label:<{indent}}", style="bold"), Text(" " * indent)
    return [(first if i == 0 else rest).copy().append(line) for i, line in enumerate(lines)]


def _wrapped(words: Iterable[Text], width: int) -> list[Text]:
    # rich wraps only with a console at hand; the height of a view must be known without one
    lines: list[Text] = []
    line = Text()
    for word in words:
        if line.cell_len and line.cell_len + 1 + word.cell_len > width:
            lines.append(line)
            line = Text()
        if line.cell_len:
            line.append(" ")
        line.append(word)
    return [*lines, line]


def columns(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    canvas: Canvas,
    right: Sequence[int] = (),
    shrink: int = 0,
    indent: int = 0,
) -> list[Text]:
    """A table as lines that never wrap and never leave the canvas.

    Args:
        headers: One word a column; all empty: no header line.
        rows: Cells; as many as headers.
        canvas: Where it is drawn.
        right: Columns that are aligned to the right.
        shrink: The column that is cut when the lines are too long.
        indent: Spaces before each line.
    """
    cells = [[Text(c) if isinstance(c, str) else c for c in row] for row in rows]
    if any(headers):
        cells.insert(0, [Text(header, style="dim") for header in headers])
    widths = [max((row[i].cell_len for row in cells), default=0) for i in range(len(headers))]
    least = sum(widths) - widths[shrink] + min(widths[shrink], SHRUNK)
    gap = GAP if least + GAP * (len(widths) - 1) + indent <= canvas.width else 1
    over = sum(widths) + gap * (len(widths) - 1) + indent - canvas.width
    if over > 0:
        widths[shrink] = max(4, widths[shrink] - over)
    lines = []
    for row in cells:
        line = Text(" " * indent)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            if cell.cell_len > width:
                cell = cell.copy()
                cell.truncate(width - 1)
                cell.append(canvas.glyphs.ellipsis)
            space = " " * (width - cell.cell_len)
            line.append(space if i in right else "")
            line.append(cell)
            line.append("" if i in right else space)
            line.append(" " * gap if i < len(row) - 1 else "")
        line.rstrip()
        lines.append(line)
    return lines
