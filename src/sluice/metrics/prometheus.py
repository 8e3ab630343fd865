"""Objectives that a Prometheus server counts, beside what the routers count.

Queries are asked in rounds in the background: a slow server holds up no poll, and what routers
count is judged as ever. A reading has what the last round found.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from sluice.metrics.series import Counted, NotCounters, Series, parse_vector
from sluice.nouns import ArmCounts, Counts, Objective, Purpose, RevisionId, Snapshot
from sluice.ports import Clock, MetricSource

ROUTER = "prometheus"
"""Name of the reading beside those of the routers."""
TIMEOUT_S = 10.0
AT_ONCE = 8
"""Queries under way, over all releases."""
PATIENCE_MS = 15_000
"""A fault is only said, and holds, when it lasts so long: a scrape or two may be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTarget:
    """A release in a pass whose policy has objectives by query."""

    release: str
    pass_number: int
    url: str
    objectives: tuple[Objective, ...]
    """Those of kind ``query``."""
    revisions: tuple[RevisionId, ...]
    """Candidate and stable."""


@dataclass(kw_only=True)
class _Pass:
    """What was counted in one pass of a release; every pass begins at zero."""

    number: int
    counted: dict[tuple[str, RevisionId], Counted] = field(default_factory=dict)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By objective: since when, and why it cannot be counted."""
    dry: set[str] = field(default_factory=set)
    """Objectives that are only shown."""
    empty: dict[str, int] = field(default_factory=dict)
    """By objective: since when no revision has a series of all events."""


class PrometheusCounts:
    """Adds the counts of queries to those of the routers.

    A query gives counters that only grow (``http_requests_total{...}``, no ``rate``), best with
    one series a replica: then a replica that starts again is seen as that, and not as a loss.

    Args:
        routers: What routers count.
        targets: Returns what is to be asked now; called at every reading.
        clock: Time of a round; both queries of an objective are asked for the same moment.
    """

    def __init__(
        self,
        routers: MetricSource,
        targets: Callable[[], Sequence[QueryTarget]],
        clock: Clock,
    ) -> None:
        self._routers = routers
        self._targets = targets
        self._clock = clock
        self._start = secrets.token_hex(4)
        self._passes: dict[str, _Pass] = {}
        self._round: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S, trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE)
        )

    async def close(self) -> None:
        """End the round under way and close all connections."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        await self._client.aclose()

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """What routers count, with what the last round found; begins the next round.

        Raises:
            TransientError: routers could not be read.
        """
        snapshots = dict(await self._routers.read())
        targets = [item for item in self._targets() if item.release in snapshots]
        known = {item.release: self._pass_of(item) for item in targets}
        self._passes = known
        for item in targets:
            snapshots[item.release] += (self._snapshot(item),)
        if targets and (self._round is None or self._round.done()):
            self._round = asyncio.create_task(self.ask(targets))
        return snapshots

    def faults(self, release: str) -> tuple[str, ...]:
        """Objectives that cannot be counted at the moment: the release is held."""
        return tuple(line for line, dry in self._lasting(release) if not dry)

    def hints(self, release: str) -> tuple[str, ...]:
        """What holds nothing: dry runs that cannot be counted, and queries that find nothing,
        which may be a slip, or no traffic yet.
        """
        known = self._passes.get(release)
        now = self._clock.now_ms()
        nothing = "Prometheus has no series for its query of all events"
        empty = known.empty.items() if known else ()
        return (
            *(line for line, dry in self._lasting(release) if dry),
            *(f"objective {name}: {nothing}" for name, at in empty if now - at >= PATIENCE_MS),
        )

    def _lasting(self, release: str) -> list[tuple[str, bool]]:
        """Faults that have lasted, and whether their objective is a dry run."""
        known = self._passes.get(release)
        now = self._clock.now_ms()
        return [
            (f"objective {name}: {why}", name in known.dry)
            for name, (since, why) in (known.faults.items() if known else ())
            if known is not None and now - since >= PATIENCE_MS
        ]

    async def ask(self, targets: Sequence[QueryTarget]) -> None:
        """One round: every query of every target, for one moment."""
        at_ms = self._clock.now_ms()
        slots = asyncio.Semaphore(AT_ONCE)
        pairs = [(target, objective) for target in targets for objective in target.objectives]
        await asyncio.gather(*(self._objective(*pair, at_ms, slots) for pair in pairs))

    async def _objective(
        self, target: QueryTarget, objective: Objective, at_ms: int, slots: asyncio.Semaphore
    ) -> None:
        known = self._pass_of(target)
        if objective.dry_run:
            known.dry.add(objective.name)
        try:
            found = [
                await self._both(target, objective, revision, at_ms, slots)
                for revision in target.revisions
            ]
        except NotCounters as error:
            self._fault(known, objective.name, str(error), at_ms)
            return
        why = ""
        for revision, (total, bad) in zip(target.revisions, found, strict=True):
            key = (objective.name, revision)
            why = known.counted.setdefault(key, Counted()).take(total, bad) or why
        if why:
            self._fault(known, objective.name, why, at_ms)
        else:
            known.faults.pop(objective.name, None)
        if any(total for total, _ in found):
            known.empty.pop(objective.name, None)
        else:
            known.empty.setdefault(objective.name, at_ms)

    async def _both(
        self,
        target: QueryTarget,
        objective: Objective,
        revision: RevisionId,
        at_ms: int,
        slots: asyncio.Semaphore,
    ) -> tuple[Series, Series]:
        """Series of all events and of the bad ones."""
        given = []
        for query in (objective.query_total, objective.query_bad):
            text = query.replace("$revision", revision).replace("$release", target.release)
            async with slots:
                given.append(await self._query(target.url, text, at_ms))
        return given[0], given[1]

    async def _query(self, url: str, query: str, at_ms: int) -> Series:
        """One instant query.

        Raises:
            NotCounters: no answer, or none that holds counters; the text says why.
        """
        try:
            answer = await self._client.post(
                f"{url.rstrip('/')}/api/v1/query",
                data={"query": query, "time": f"{at_ms / 1000:.3f}"},
            )
            content = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise NotCounters(f"Prometheus cannot be reached: {reason}") from error
        except ValueError as error:
            text = f"Prometheus answered {answer.status_code} without JSON"
            raise NotCounters(text) from error
        return parse_vector(content if isinstance(content, dict) else {})

    def _fault(self, known: _Pass, name: str, why: str, at_ms: int) -> None:
        since, _ = known.faults.get(name, (at_ms, ""))
        known.faults[name] = (since, why)

    def _pass_of(self, target: QueryTarget) -> _Pass:
        known = self._passes.get(target.release)
        if known is None or known.number != target.pass_number:
            known = _Pass(number=target.pass_number)
            self._passes[target.release] = known
        return known

    def _snapshot(self, target: QueryTarget) -> Snapshot:
        known = self._passes[target.release]
        arms = []
        for revision in target.revisions:
            extra: dict[str, Any] = {}
            for objective in target.objectives:
                counted = known.counted.get((objective.name, revision))
                if counted is not None:
                    extra[objective.name] = counted.published
            arms.append(
                ArmCounts(revision=revision, purpose=Purpose.LIVE, counts=Counts(), extra=extra)
            )
        return Snapshot(
            router=ROUTER,
            epoch=f"{self._start}-{target.pass_number}",
            taken_ms=self._clock.now_ms(),
            arms=tuple(arms),
        )
