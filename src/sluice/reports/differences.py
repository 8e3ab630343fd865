"""The worst differences between stable's answers and the candidate's, a line each."""

from collections.abc import Sequence

from rich.text import Text

from sluice.nouns import Difference
from sluice.reports.canvas import Canvas, columns

_HEADERS = ("DIFFERENCE IN", "STABLE", "CANDIDATE", "BY", "REQUEST")


def difference_lines(
    differences: Sequence[Difference], canvas: Canvas, *, indent: int = 0
) -> list[Text]:
    """A table of differences; nothing where there are none.

    Args:
        differences: Worst first.
        canvas: Where it is drawn.
        indent: Spaces before each line.
    """
    if not differences:
        return []
    rows = [
        (
            item.field,
            item.stable,
            item.candidate,
            "-" if item.distance is None else f"{item.distance:.4g}",
            item.request_id,
        )
        for item in differences
    ]
    return columns(_HEADERS, rows, canvas=canvas, right=(3,), shrink=4, indent=indent)
