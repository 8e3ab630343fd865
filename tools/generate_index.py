"""The contents of the documentation and the index of decisions, from the pages themselves."""

import re
from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
KINDS = {
    "tutorial": "Learn",
    "how-to": "Do",
    "reference": "Look up",
    "explanation": "Understand",
    "decisions": "Why it is so",
}
"""Folders in the order of the contents."""
ROOMS = {
    0: "Engine and repository",
    1: "Judging a candidate",
    2: "Files",
    3: "Router and agent",
    4: "The laptop",
    5: "The model API",
    6: "The command line",
    7: "More checks",
    8: "Gates and messages",
    9: "A/B tests, conformance",
    10: "Load tests",
    11: "A cluster: its API server, and the objects of a release",
    12: "Definitions, images, and routers in a cluster",
    13: "The command line of a cluster",
    14: "What a replica costs, and users as units",
}
"""What the pages of each ten are about."""

_CONTENTS = """\
# Documentation

<!-- written by `make update` from the pages themselves; do not edit -->
"""
_DECISIONS = """\
# Decisions

<!-- written by `make update` from the pages themselves; do not edit -->

One page each: what made us decide, what we decided, what we turned down, what follows, and the
tests that fail if we drift. A new page takes the next number of its ten and has the same sections.
"""


def decisions() -> list[Path]:
    """Every decision, by number."""
    return sorted((DOCS / "decisions").glob("[0-9][0-9][0-9][0-9]-*.md"))


def contents() -> str:
    """The page of all pages; decisions are listed on their own."""
    return "\n".join([_CONTENTS, *(_kind(folder, title) for folder, title in KINDS.items())])


def _kind(folder: str, title: str) -> str:
    if folder == "decisions":
        found = [DOCS / "decisions" / "README.md"]
    else:
        found = sorted((DOCS / folder).glob("*.md"))
    rows = [f"- [{_title(path)}]({folder}/{path.name})" for path in found]
    return "\n".join([f"## {title}", "", *rows, ""])


def index() -> str:
    """The index of decisions."""
    found = decisions()
    by_room = {room: [p for p in found if int(p.name[:4]) // 10 == room] for room in ROOMS}
    return "\n".join([_DECISIONS, *(_room(room, some) for room, some in by_room.items() if some)])


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
