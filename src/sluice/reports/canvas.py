"""What a renderer must know of the place it draws on."""

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
LABEL_WIDTH = 10
"""Columns of the words that name a line, so that all views align."""


def labelled(label: str, value: str | Text, *, style: str = "") -> Text:
    """A line that starts with its name in a column of its own."""
    text = Text(f"{label:<{LABEL_WIDTH}}", style="bold")
    text.append(value if isinstance(value, Text) else Text(value, style=style))
    return text


def paragraph(label: str, value: str | Text, width: int, *, style: str = "") -> list[Text]:
    """The same over as many lines as the words need, with a hanging indent."""
    body = value if isinstance(value, Text) else Text(value, style=style)
    lines = list(_wrapped(body, max(20, width - LABEL_WIDTH)))
    return [labelled(label if i == 0 else "", line) for i, line in enumerate(lines)]


def _wrapped(body: Text, width: int) -> list[Text]:
    # rich wraps with a console only; a plain one of our own gives the same breaks everywhere
    words = body.split(" ")
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
