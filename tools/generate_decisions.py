"""The index of decisions, from the pages themselves."""

import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
ROOMS = {
    0: "Engine and repository",
    1: "Judging a candidate",
    2: "Files",
    3: "Router and agent",
    4: "The laptop",
    5: "The model API",
    6: "The command line",
}
"""What the pages of each ten are about."""

_HEAD = """\
# Decisions

<!-- written by `make update` from the pages themselves; do not edit -->

One page each: what made us decide, what we decided, what we turned down, what follows, and the
tests that fail if we drift. A new page takes the next number of its ten and has the same sections.
"""


def pages() -> list[Path]:
    """Every decision, by number."""
    return sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]-*.md"))


def page() -> str:
    """The whole index."""
    found = pages()
    rooms = sorted({int(path.name[:4]) // 10 for path in found})
    return "\n".join(
        [
            _HEAD,
            *(_room(room, (p for p in found if int(p.name[:4]) // 10 == room)) for room in rooms),
        ]
    )


def _room(room: int, found: Iterable[Path]) -> str:
    rows = [f"- [{path.name[:4]}]({path.name}) {_title(path)}" for path in found]
    return "\n".join([f"## {ROOMS[room]}", "", *rows, ""])


def _title(path: Path) -> str:
    """The first heading without its number.

    Raises:
        ValueError: the page does not begin with one.
    """
    first = path.read_text().splitlines()[0]
    heading = re.fullmatch(r"# (?:\d+[.:]? )?(.+)", first)
    if heading is None:
        raise ValueError(f"{path.name} does not begin with '# ' and its title")
    return heading[1]
