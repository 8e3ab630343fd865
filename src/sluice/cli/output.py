"""How a command speaks: a drawing for people, or the one document for scripts."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum

from rich.console import Console, RenderableType
from rich.text import Text

from sluice.cli.program import hinted
from sluice.reports import document
from sluice.reports.canvas import Canvas
from sluice.reports.glyphs import glyphs_for

LOG_WIDTH = 100
"""Columns when the output is no terminal: files and CI logs have no edge, tables need one."""
MOST_COLUMNS = 120
"""Wider lines are not read but searched."""


class Output(StrEnum):
    """Form of a command's answer on stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def console() -> Console:
    """A console on stdout as it is now, never wider than people read."""
    if sys.stdout.isatty():
        return Console(width=min(shutil.get_terminal_size().columns, MOST_COLUMNS), highlight=False)
    return Console(width=LOG_WIDTH, highlight=False)


def canvas(screen: Console) -> Canvas:
    """What the renderers must know of a console."""
    return Canvas(now_ms=now_ms(), width=screen.width, glyphs=glyphs_for(screen.encoding))


def live_canvas(screen: Console) -> Canvas:
    """The same for a view that must fit on the screen, with a line left for the cursor."""
    return replace(canvas(screen), height=screen.height - 1)


def emit(output: Output, value: object, draw: Callable[[Canvas], RenderableType]) -> None:
    """Write an answer: ``draw`` for people, ``value`` as the document for everything else."""
    match output:
        case Output.TABLE:
            screen = console()
            view = draw(canvas(screen))
            # words in a log stay on their line, so that grep finds them whole
            screen.print(view, soft_wrap=isinstance(view, Text) and not screen.is_terminal)
        case Output.JSON:
            sys.stdout.write(document.dump_json(value, indent=2).decode() + "\n")
        case Output.YAML:
            sys.stdout.write(document.dump_yaml(value))


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something takes its time; says nothing into logs."""
    screen = Console(stderr=True, highlight=False)
    if not screen.is_terminal:
        yield
        return
    with screen.status(what):
        yield


def say(text: str) -> None:
    """One line on stdout, its hints as this command was started."""
    sys.stdout.write(hinted(text) + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line on stderr: never part of the answer."""
    sys.stderr.write(hinted(text) + "\n")
    sys.stderr.flush()
