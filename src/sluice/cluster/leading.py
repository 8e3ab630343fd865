"""One leadership: a loop with everything around it, from the taking of the lease to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from sluice.cluster.book import Book
from sluice.cluster.follower import Follower
from sluice.cluster.gauges import Gauges
from sluice.cluster.hosts import Hosts
from sluice.cluster.journal import StatusJournal
from sluice.cluster.keys import Object, key_of, split
from sluice.cluster.news import News
from sluice.cluster.parts import Parts
from sluice.cluster.presenter import Presenter
from sluice.cluster.settings import Settings
from sluice.cluster.shelf import Shelf
from sluice.cluster.store import POLICY, SLOS, Store
from sluice.cluster.store import RELEASE as RELEASES
from sluice.cluster.wanted import Wanted, checked, wanted
from sluice.errors import RefusedError, SluiceError, SpecError, TransientError
from sluice.hooks.outbox import Outbox
from sluice.kube.kinds import CONFIG_MAP, RELEASE, RELEASE_POLICY, Kind
from sluice.metrics.prometheus import PrometheusCounts
from sluice.nouns import Snapshot
from sluice.outcomes import open_outcomes
from sluice.platforms.local.journal import FileJournal
from sluice.ports import Clock, MetricSource
from sluice.runtime.abtest import AbTest
from sluice.runtime.loop import Loop
from sluice.runtime.queries import QueryJudge, query_targets
from sluice.runtime.shadow import ShadowJudge
from sluice.spec import SLO_LABEL

log = structlog.get_logger()

RESYNC_S = 600.0
"""Everything is listed anew so often: a deletion that no watch has told is seen then."""
SLOS_SELECTOR = f"{SLO_LABEL}=true"
LISTED: tuple[tuple[str, Kind, str], ...] = (
    (POLICY, RELEASE_POLICY, ""),
    (SLOS, CONFIG_MAP, SLOS_SELECTOR),
    (RELEASES, RELEASE, ""),
)
"""Name in the store, kind, label selector; releases last, so that nothing they refer to is
missing."""
OUTCOMES = Path("/var/lib/sluice/outcomes")
"""Where relative paths of outcomes begin: mount a volume there."""


class Leadership:
    """Everything that only a leader does.

    Args:
        settings: Of this controller.
        parts: What it works with.
        clock: Time.
        gauges: Where it is measured.
    """

    def __init__(self, settings: Settings, parts: Parts, clock: Clock, gauges: Gauges) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = clock
        self._gauges = gauges
        self._turned_ms = clock.now_ms()
        self.store = Store()
        self.book = Book(parts.status)
        self.news = News(parts.objects, self.book, clock, instance=settings.name)
        files = FileJournal(settings.journal_dir) if settings.journal_dir else None
        self._files = files
        self.journal = StatusJournal(
            parts.status, self.book, settings.namespaces, told=self._decided, files=files
        )
        self._ab_tests = AbTest(partial(open_outcomes, folder=OUTCOMES))
        self._outbox = Outbox(clock)
        self._metrics = PrometheusCounts(
            _Measured(parts.metrics, gauges),
            lambda: query_targets(item.core for item in self.loop.releases.values()),
            clock,
        )
        self.loop = Loop(
            platform=parts.platform,
            dataplane=parts.dataplane,
            metrics=self._metrics,
            judges=(
                QueryJudge(self._metrics.faults),
                ShadowJudge(parts.answers),
                self._ab_tests,
            ),
            journal=self.journal,
            clock=clock,
            hook=parts.hook,
            notifier=self._outbox,
            router_url=lambda: parts.router_url,
            hints=self._hints,
            routers=parts.routers,
            on_turn=self._turned,
        )
        self.presenter = Presenter(
            store=self.store,
            book=self.book,
            loop=self.loop,
            news=self.news,
            clock=clock,
            problems=parts.problems,
        )
        self.follower = Follower(
            client=parts.objects,
            store=self.store,
            book=self.book,
            loop=self.loop,
            dataplane=parts.dataplane,
            news=self.news,
            clock=clock,
            compile=self._compile,
            leave=parts.leave,
            unreadable=self.journal.unreadable,
            shown=self.presenter.soon,
        )

    @property
    def turned_s(self) -> float:
        """Seconds since the loop last looked at everything."""
        return (self._clock.now_ms() - self._turned_ms) / 1000

    def _turned(self, seconds: float) -> None:
        self._turned_ms = self._clock.now_ms()
        self._gauges.turns.observe(seconds)

    def _hints(self, key: str) -> Sequence[str]:
        return (*self._metrics.hints(key), *self._parts.problems(key))

    def _decided(self, key: str, decision: Mapping[str, Any]) -> None:
        self.news.decided(key, decision)
        self.presenter.soon(key)

    # --- what comes from the watches ---

    def put(self, obj: Object) -> None:
        """An object is there, or has changed."""
        if self.store.put(obj):
            self.follower.nudge()

    def drop(self, kind: str, key: str) -> None:
        """An object is gone."""
        if self.store.drop(kind, key):
            self.follower.nudge()

    async def list_all(self) -> None:
        """Take up everything as it is.

        Raises:
            TransientError: the API server cannot be reached.
            RefusedError: the account may not list this.
        """
        for name, kind, labels in LISTED:
            found: list[Object] = []
            for namespace in self._settings.namespaces:
                found += await self._parts.objects.list(kind, namespace, labels=labels)
            # Elements of a list do not name their kind.
            self.store.reset(
                name, [{**obj, "apiVersion": kind.api_version, "kind": kind.kind} for obj in found]
            )
        self.follower.nudge()

    # --- life ---

    @asynccontextmanager
    async def working(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """The leadership at work, as tasks that end only by a fault.

        Raises:
            StateError: checkpoints cannot be read.
            SluiceError: objects cannot be listed.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            if self._parts.prepare is not None:
                await self._parts.prepare()
            await self.loop.load()
            await self.list_all()
            self._gauges.leads(self.loop, self._parts.counters)
            jobs: list[Callable[[], Awaitable[None]]] = [
                self.loop.run,
                self.follower.run,
                self.presenter.run,
                self.news.run,
                self._nudge_loop,
                self._resync,
                *self._parts.run,
            ]
            tasks = [asyncio.ensure_future(_forever(job)) for job in jobs]
            try:
                yield tasks
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._gauges.leads(None, tuple)

    async def _close(self) -> None:
        await self._ab_tests.close()
        await self.loop.close()
        await self._outbox.close()
        await self._metrics.close()
        if self._files is not None:
            self._files.close()

    async def _nudge_loop(self) -> None:
        """Tell the loop at once when a replica comes or goes."""
        seen = 0
        while True:
            seen = await self._parts.changes(seen)
            self.loop.nudge()

    async def _resync(self) -> None:
        while True:
            try:
                await self.list_all()
                await self._forget_strangers()
            except SluiceError as error:
                log.warning("controller.resync_failed", problem=str(error))
            await self._clock.sleep(RESYNC_S)

    async def _forget_strangers(self) -> None:
        """Routers that still serve a release which is gone, and whose end nobody saw, let it go."""
        watched = self._settings.namespaces
        for name in sorted({ack.release for ack in await self._parts.dataplane.acks()}):
            ours = watched == (None,) or split(name)[0] in watched
            if ours and name not in self.store.releases and name not in self.loop.releases:
                log.warning("release.stranger_removed", release=name)
                await self._parts.dataplane.remove(name)

    # --- specs ---

    async def _compile(self, obj: Object, shelf: Shelf, hosts: Hosts) -> Wanted:
        try:
            return await self._checked(obj, shelf, hosts)
        except (SpecError, RefusedError):
            self._parts.assume(obj)
            raise

    async def _checked(self, obj: Object, shelf: Shelf, hosts: Hosts) -> Wanted:
        release = checked(obj, shelf)
        key = key_of(obj)
        digest = await self._parts.digest(key, release)
        capabilities = self._parts.dataplane.capabilities
        item = wanted(obj, release, shelf, hosts, capabilities, digest=digest)
        self._parts.describe(item, obj["metadata"]["uid"])
        running = self.loop.releases.get(key)
        known = running.core.workloads if running is not None else {}
        workloads = (item.workload, *(variant for _, variant in item.variants))
        for workload in workloads:
            if known.get(workload.revision) != workload:
                await self._parts.admit(workload)
        return item


async def _forever(job: Callable[[], Awaitable[None]]) -> None:
    await job()


class _Measured:
    """``ports.MetricSource`` that counts the polls which failed."""

    def __init__(self, source: MetricSource, gauges: Gauges) -> None:
        self._source = source
        self._gauges = gauges

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """See ``ports.MetricSource``."""
        try:
            return await self._source.read()
        except TransientError:
            self._gauges.polls_failed.inc()
            raise
