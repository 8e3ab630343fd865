"""What came of judging a pass again, for people."""

from rich.text import Text

from sluice.reports import words
from sluice.reports.canvas import Canvas
from sluice.runtime.replay import Replay

_SHOWN = 5


def replay_view(name: str, found: Replay, canvas: Canvas) -> Text:
    """One line that says what was recomputed from what; the first differences under it.

    Args:
        name: Of the release.
        found: What came of it.
        canvas: Where it is drawn.
    """
    dot = canvas.glyphs.dot
    count = words.count(found.verdicts)
    text = Text(f"{name} {dot} pass {found.pass_number}: ")
    if found.source == "polls":
        text.append(f"{count} verdicts judged again from every kept poll, ")
    else:
        text.append(
            f"{found.gap}: intervals, averages and kinds of {count} verdicts recomputed from the "
            "kept decisions, not their e-values, "
        )
    if found.holds:
        text.append("all the same", style="green")
        return text
    text.append(f"{words.count(len(found.mismatches))} differ", style="bold red")
    for item in found.mismatches[:_SHOWN]:
        text.append(f"\n  {words.moment(item.at_ms)}\n    then  {item.kept}")
        text.append(f"\n    again {item.recomputed}")
    left = len(found.mismatches) - _SHOWN
    if left > 0:
        text.append(f"\n  and {words.count(left)} more")
    return text
