"""Writes what people see of each release: at once when something was decided, and rarely else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from sluice.cluster.book import Book
from sluice.cluster.fitting import packed_view
from sluice.cluster.news import News
from sluice.cluster.shown import Look, status_for, view_of
from sluice.cluster.store import Store
from sluice.errors import RefusedError, SpecError, TransientError
from sluice.platforms.clock import sleep_or
from sluice.ports import Clock
from sluice.reports.model import ReleaseStatus
from sluice.runtime.loop import Loop
from sluice.runtime.tracked import Tracked

log = structlog.get_logger()

TICK_S = 1.0
NUMBERS_S = 2.0
"""Counts of a running pass are written so often, and no more often."""
CALM_S = 60.0
"""Counts of a release without a pass."""
NUMBERS_AT_ONCE = 8
"""Writes of mere numbers per second, over all releases: decisions must not wait behind them."""
REFUSED_S = 30.0
"""A write that the API server does not allow is tried again after so long."""
PROBLEM_S = 300.0
"""The same release's problems are an Event at most so often."""


@dataclass(slots=True, kw_only=True)
class _Shown:
    mark: object = None
    numbers: ReleaseStatus | None = None
    numbers_ms: int = 0
    blocked_ms: int = 0
    told: frozenset[str] = frozenset()
    told_ms: int = 0


class Presenter:
    """Compares what is with what was written.

    Args:
        store: Which releases there are.
        book: Writes status.
        loop: What runs.
        news: Tells problems.
        clock: Time.
        problems: What else is wrong with a release, one line each.
    """

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        loop: Loop,
        news: News,
        clock: Clock,
        problems: Callable[[str], Sequence[str]],
    ) -> None:
        self._store = store
        self._book = book
        self._loop = loop
        self._news = news
        self._clock = clock
        self._problems = problems
        self._wake = asyncio.Event()
        self._shown: dict[str, _Shown] = {}

    def soon(self, key: str) -> None:
        """Something was decided: do not wait for the next tick."""
        if key in self._store.releases:
            self._wake.set()

    async def run(self) -> None:
        """Present for ever."""
        while True:
            await sleep_or(self._clock, TICK_S, self._wake)
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Write what has changed of every release."""
        for gone in self._shown.keys() - self._store.releases.keys():
            del self._shown[gone]
        now = self._clock.now_ms()
        changed, numbers = [], []
        for key in self._store.releases:
            shown = self._shown.setdefault(key, _Shown())
            # Nobody has looked at a new object yet: there is nothing to say of it.
            if now < shown.blocked_ms or not self._book[key].acceptance.seen:
                continue
            tracked = self._loop.releases.get(key)
            mark = self._mark(key, tracked)
            if mark != shown.mark:
                changed.append((key, mark))
            elif tracked is not None and now - shown.numbers_ms >= _pause_ms(tracked):
                numbers.append(key)
        if changed:
            await asyncio.gather(*(self._write(key, mark) for key, mark in changed))
        # Whose numbers are oldest comes first, so that every release has its turn.
        numbers.sort(key=lambda key: self._shown[key].numbers_ms)
        for key in numbers[:NUMBERS_AT_ONCE]:
            await self._write(key, self._shown[key].mark)

    def _mark(self, key: str, tracked: Tracked | None) -> object:
        """Differs when something changed that is more than a number."""
        entry = self._book[key]
        said = (entry.acceptance, tuple(entry.consumed.items()), tuple(entry.command.items()))
        if tracked is None:
            return said
        state = tracked.core.state
        return (
            *said, state.mode, state.reason, state.message, state.weight_bp, state.stage,
            state.rung, state.generation, state.acknowledged, state.verdict, state.paused,
            state.hold, state.frozen, state.ready, state.sizes, state.stable, state.candidates,
            state.queued, self._troubles(key, tracked), tracked.notices,
            tracked.core.decisions[-1:],
        )  # fmt: skip

    def _troubles(self, key: str, tracked: Tracked | None) -> tuple[str, ...]:
        own = tracked.problems.values() if tracked is not None else ()
        return (*own, *self._problems(key))

    async def _write(self, key: str, mark: object) -> None:
        shown, now = self._shown[key], self._clock.now_ms()
        entry, tracked = self._book[key], self._loop.releases.get(key)
        status = self._loop.status(key) if tracked is not None else None
        troubles = self._troubles(key, tracked)
        look = Look(
            key=key,
            acceptance=entry.acceptance,
            status=status,
            state=tracked.core.state if tracked is not None else None,
            troubles=troubles,
            consumed=entry.consumed,
            command=entry.command,
            conditions=entry.status.get("conditions") or (),
        )
        changes: dict[str, Any] = status_for(look, now)
        if status is not None:
            numbers = replace(status, updated_ms=0)
            if numbers != shown.numbers:
                changes["view"] = packed_view(*view_of(status))
        try:
            await self._book.write(key, changes)
        except TransientError as error:
            log.debug("status.not_written", release=key, problem=str(error))
            return
        except (RefusedError, SpecError) as error:
            log.error("status.refused", release=key, problem=str(error))
            shown.blocked_ms = now + round(REFUSED_S * 1000)
            return
        shown.mark, shown.numbers_ms = mark, now
        shown.numbers = replace(status, updated_ms=0) if status is not None else None
        self._tell(key, shown, troubles, now)

    def _tell(self, key: str, shown: _Shown, troubles: Sequence[str], now: int) -> None:
        """New problems as an Event."""
        new = [line for line in troubles if line not in shown.told]
        shown.told &= frozenset(troubles)
        if new and now - shown.told_ms >= PROBLEM_S * 1000:
            shown.told, shown.told_ms = frozenset(troubles), now
            self._news.say(key, reason="Problem", note="; ".join(new), warning=True)


def _pause_ms(tracked: Tracked) -> int:
    return round((NUMBERS_S if tracked.core.state.in_pass else CALM_S) * 1000)
