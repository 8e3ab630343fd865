"""Following releases until something happens: a live view for people, lines for logs."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sluice.cli.exits import TimeOut
from sluice.cli.output import console, live_canvas
from sluice.errors import TransientError, UnknownRelease
from sluice.reports.canvas import Canvas
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.release_view import release_view
from sluice.reports.releases import decision_line, releases_table, status_line

PATIENCE_S = 30.0
"""A supervisor that was killed and started again is back within seconds; then we go on."""

Statuses = tuple[ReleaseStatus, ...]


class Show(Protocol):
    """Where a followed release is seen."""

    def update(self, statuses: Statuses) -> None:
        """The newest values."""
        ...

    def gap(self, reason: str) -> None:
        """There is no answer at the moment."""
        ...


def follow(
    fetch: Callable[[], Statuses],
    show: Show,
    *,
    over: Callable[[Statuses], bool] = lambda _: False,
    timeout_s: float | None = None,
    poll_s: float,
) -> Statuses:
    """Ask again and again until ``over``.

    Args:
        fetch: Reads the releases.
        show: Told of every reading.
        over: Whether this reading ends it.
        timeout_s: How long to wait at most; None: for ever.
        poll_s: Pause between two questions.

    Returns:
        The reading that ended it.

    Raises:
        TimeOut: ``timeout_s`` was over.
        UnknownRelease, TransientError: from the first reading, or when there was no
            answer for ``PATIENCE_S``.
    """
    began = answered = time.monotonic()
    first = True
    while True:
        try:
            statuses = fetch()
        except (TransientError, UnknownRelease) as error:
            if first or time.monotonic() - answered > PATIENCE_S:
                raise
            show.gap(str(error))
        else:
            first, answered = False, time.monotonic()
            show.update(statuses)
            if over(statuses):
                return statuses
        if timeout_s is not None and time.monotonic() - began >= timeout_s:
            raise TimeOut("time is over")
        time.sleep(poll_s)


class LiveShow(AbstractContextManager["LiveShow"]):
    """A view in the terminal that is drawn anew in place; the last one stays."""

    def __init__(self) -> None:
        self._console = console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
        self._statuses: Statuses = ()

    def __enter__(self) -> "LiveShow":
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def update(self, statuses: Statuses) -> None:
        self._statuses = statuses
        self._live.update(view(statuses, live_canvas(self._console)), refresh=True)

    def gap(self, reason: str) -> None:
        text = Text(f"no answer: {reason}", style="bold yellow")
        drawn = view(self._statuses, live_canvas(self._console))
        self._live.update(Group(drawn, Text(), text), refresh=True)


def view(statuses: Sequence[ReleaseStatus], place: Canvas) -> RenderableType:
    """One release in full, several as a table."""
    if len(statuses) == 1:
        return release_view(statuses[0], place)
    return releases_table(statuses, place)


class LineShow:
    """A line a change, for logs: each decision once, and what changed without one.

    Args:
        write: Takes a line.
        known: Releases as they were before; their decisions are not told again. None: what the
            first reading has is old.
        keeper: Who answers, for people.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        known: Iterable[ReleaseStatus] | None = None,
        keeper: str,
    ) -> None:
        self._write = write
        self._keeper = keeper
        self._told: set[tuple[object, ...]] = set()
        self._state: dict[str, tuple[object, ...]] = {}
        self._fresh = known is None
        self._gap = ""
        for status in known or ():
            self._told.update(_key(status.name, decision) for decision in status.decisions)

    def update(self, statuses: Statuses) -> None:
        if self._gap:
            self._write(f"{self._keeper} answers again")
            self._gap = ""
        for status in statuses:
            self._one(status)
        self._fresh = False

    def _one(self, status: ReleaseStatus) -> None:
        news = [
            (key, decision)
            for decision in status.decisions
            if (key := _key(status.name, decision)) not in self._told
        ]
        self._told.update(key for key, _ in news)
        state = (status.phase, status.reason, status.weight_bp)
        changed = self._state.get(status.name) != state
        self._state[status.name] = state
        if self._fresh:
            self._write(status_line(status))
            return
        for _, decision in news:
            self._write(decision_line(status.name, decision))
        if changed and not news:
            self._write(status_line(status))

    def gap(self, reason: str) -> None:
        if reason != self._gap:
            self._write(f"no answer: {reason}")
            self._gap = reason


def _key(release: str, decision: Decision) -> tuple[object, ...]:
    return (release, decision.at_ms, decision.kind, decision.reason, decision.generation)


def is_live() -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
