"""Makes the loop run what the Release objects ask for, and does what people ask by annotations.

Level-based: one look at a release compares all of it with what runs, so that nothing depends on
which events were seen, or in which order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from sluice.cluster.asked import asked, still, waits
from sluice.cluster.book import Book
from sluice.cluster.conditions import Acceptance
from sluice.cluster.finalizer import has_finalizer, with_finalizer, without_finalizer
from sluice.cluster.hosts import Hosts
from sluice.cluster.keys import Object
from sluice.cluster.news import News
from sluice.cluster.shelf import Shelf
from sluice.cluster.store import Store
from sluice.cluster.wanted import Wanted
from sluice.engine.state import Mode
from sluice.errors import (
    RefusedError,
    SpecError,
    StateError,
    TransientError,
    UnknownRelease,
)
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict, NotThere
from sluice.kube.kinds import RELEASE
from sluice.platforms.clock import sleep_or
from sluice.ports import Clock, DataPlane
from sluice.runtime.loop import Loop
from sluice.runtime.verbs import event_of

log = structlog.get_logger()

TICK_S = 1.0
TRACKED_S = 30.0
"""Tracked ConfigMaps and Secrets are read so often: the account may not list Secrets."""
RETRY_S = 2.0
LONGEST_RETRY_S = 60.0
AT_ONCE = 8
"""Releases that are looked at side by side."""

Compile = Callable[[Object, Shelf, Hosts], Awaitable[Wanted]]
"""Checks an object with all that belongs to it. Raises SpecError, RefusedError, TransientError."""


class Follower:
    """Between objects and loop.

    Args:
        client: Writes finalizers.
        store: What is in the cluster.
        book: What is said in status.
        loop: Runs releases.
        dataplane: Forgets releases that the loop does not know.
        news: Tells what was refused.
        clock: Time.
        compile: Makes what the loop takes of an object.
        leave: Takes away what is left of a release that is gone.
        unreadable: Why a release's checkpoint cannot be used, by key.
        shown: Told that there is something new to show of a release.
    """

    def __init__(
        self,
        *,
        client: KubeClient,
        store: Store,
        book: Book,
        loop: Loop,
        dataplane: DataPlane,
        news: News,
        clock: Clock,
        compile: Compile,  # noqa: A002  # what it does
        leave: Callable[[str], Awaitable[None]],
        unreadable: Mapping[str, str],
        shown: Callable[[str], None],
    ) -> None:
        self._client = client
        self._store = store
        self._book = book
        self._loop = loop
        self._dataplane = dataplane
        self._news = news
        self._clock = clock
        self._compile = compile
        self._take_away = leave
        self._unreadable = unreadable
        self._shown = shown
        self._wake = asyncio.Event()
        self._running: dict[str, Wanted] = {}
        self._later: dict[str, int] = {}
        """When to look again at a release, UTC ms."""
        self._pauses: dict[str, float] = {}
        self._leaving: set[str] = set()
        self._waiting: dict[str, str | None] = {}
        """Releases with a verb for a revision that is not the candidate, and which that was."""
        self._slots = asyncio.Semaphore(AT_ONCE)

    def nudge(self) -> None:
        """The store has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await sleep_or(self._clock, TICK_S, self._wake)
            self._wake.clear()
            await self.settle()

    async def settle(self) -> None:
        """Look at every release that has changed, or whose time has come."""
        now = self._clock.now_ms()
        for key in [key for key, at in self._later.items() if at <= now]:
            del self._later[key]
            self._store.mark(key)
        for key in self._leaving - self._loop.releases.keys():
            self._store.mark(key)
        for key, before in self._waiting.items():
            if self._candidate(key) != before:
                self._store.mark(key)
        due = self._store.take()
        if due:
            await asyncio.gather(*(self._guarded(key) for key in sorted(due)))

    async def _guarded(self, key: str) -> None:
        """One look; what fails is tried again after a while and stops no other release."""
        async with self._slots:
            try:
                await self._look(key)
            except (TransientError, StateError, UnknownRelease) as error:
                log.warning("release.not_followed", release=key, problem=str(error))
                self._again(key)
            except RefusedError as error:
                self._say(key, "Refused", str(error))
                self._again(key)
            except Exception as error:  # one broken release must not stop the others
                log.exception("release.follow_failed", release=key)
                self._say(key, "InternalFault", f"{type(error).__name__}: {error}")
                self._again(key)
            else:
                self._pauses.pop(key, None)
        self._shown(key)

    def _again(self, key: str) -> None:
        pause = self._pauses.get(key, RETRY_S)
        self._pauses[key] = min(pause * 2, LONGEST_RETRY_S)
        self._later[key] = self._clock.now_ms() + round(pause * 1000)

    async def _look(self, key: str) -> None:
        obj = self._store.releases.get(key)
        if obj is None:
            await self._vanished(key)
            return
        entry = self._book[key]
        entry.uid = obj["metadata"]["uid"]
        if obj["metadata"].get("deletionTimestamp"):
            await self._leave(key, obj)
            return
        if not has_finalizer(obj):
            await self._finalize(obj, with_finalizer)
        await self._deploy(key, obj)
        await self._do_verbs(key, obj)

    # --- specs ---

    async def _deploy(self, key: str, obj: Object) -> None:
        generation = int(obj["metadata"].get("generation", 0))
        if key in self._unreadable:
            self._say(key, "StateUnreadable", self._unreadable[key])
            return
        namespace = obj["metadata"]["namespace"]
        try:
            item = await self._compile(obj, self._store.shelf(namespace), self._store.hosts(key))
            same = replace(item, generation=0)
            if self._running.get(key) != same:
                await self._loop.deploy(
                    item.workload,
                    item.plan,
                    item.settings,
                    variants=item.variants,
                    notices=item.notices,
                )
                self._running[key] = same
        except SpecError as error:
            self._say(key, "SpecFault", str(error).replace("\n", "; "))
            # Something that is outside of these objects may heal it: a quota, an admission rule.
            self._later[key] = self._clock.now_ms() + round(TRACKED_S * 1000)
            return
        except RefusedError as error:
            self._say(key, "Refused", str(error))
            self._later[key] = self._clock.now_ms() + round(TRACKED_S * 1000)
            return
        self._book[key].acceptance = Acceptance(seen=generation, running=generation)
        if item.release.spec.tracked is not None:
            self._later[key] = self._clock.now_ms() + round(TRACKED_S * 1000)

    def _say(self, key: str, reason: str, message: str) -> None:
        """The newest spec is not what runs; the one before it goes on."""
        obj = self._store.releases.get(key)
        entry = self._book[key]
        before = entry.acceptance
        seen = int(obj["metadata"].get("generation", 0)) if obj else before.seen
        entry.acceptance = replace(before, seen=seen, reason=reason, message=message)
        if (before.reason, before.message) != (reason, message):
            log.warning("release.not_accepted", release=key, reason=reason, problem=message)
            self._news.say(key, reason=reason, note=message, warning=True)

    # --- verbs ---

    async def _do_verbs(self, key: str, obj: Object) -> None:
        entry = self._book[key]
        entry.consumed = still(obj, entry.consumed)
        for ask in list(asked(obj, entry.consumed, self._candidate(key))):
            # Before the verb: the checkpoint that has its effect has this as well.
            entry.consumed = {**entry.consumed, ask.annotation: ask.value}
            what = f"{ask.verb} by {ask.body.by}" if ask.body.by else ask.verb
            entry.command = {"id": ask.id, "outcome": "done", "message": what}
            try:
                if ask.fault:
                    raise RefusedError(ask.fault)
                if key not in self._loop.releases:
                    raise RefusedError("the release has never run: see its condition Accepted")
                status = await self._loop.command(key, event_of(ask.verb, ask.body))
            except (RefusedError, UnknownRelease) as error:
                entry.command = {"id": ask.id, "outcome": "refused", "message": str(error)}
                note = f"{ask.verb or ask.annotation} refused: {error}"
                self._news.say(key, reason="VerbRefused", note=note, warning=True)
            else:
                message = f"{what}: {status.message}"
                entry.command = {"id": ask.id, "outcome": "done", "message": message}
            log.info("release.verb", release=key, verb=ask.verb, by=ask.body.by, **entry.command)
        self._waiting.pop(key, None)
        if waits(obj, entry.consumed):
            self._waiting[key] = self._candidate(key)

    def _candidate(self, key: str) -> str | None:
        tracked = self._loop.releases.get(key)
        return tracked.core.state.candidate if tracked is not None else None

    # --- the end ---

    async def _leave(self, key: str, obj: Object) -> None:
        """Routing goes first, then the replicas, then the finalizer; each look goes a bit on."""
        tracked = self._loop.releases.get(key)
        if tracked is not None:
            self._leaving.add(key)
            if tracked.core.state.mode is not Mode.DELETING:
                await self._loop.delete(key, by="")
            return
        if key in self._unreadable:
            await self._dataplane.remove(key)
        await self._take_away(key)
        if has_finalizer(obj):
            await self._finalize(obj, without_finalizer)
        self._drop(key)

    async def _vanished(self, key: str) -> None:
        """The object is gone, with or without us."""
        if key in self._loop.releases:
            self._leaving.add(key)
            await self._loop.delete(key, by="")
            return
        await self._take_away(key)
        self._drop(key)
        self._book.drop(key)

    def _drop(self, key: str) -> None:
        self._leaving.discard(key)
        for known in (self._running, self._later, self._pauses, self._waiting):
            known.pop(key, None)

    async def _finalize(self, obj: Object, change: Callable[[Object], Sequence[str]]) -> None:
        """Set or take our finalizer; a list is replaced whole, so nobody else's may be lost."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        seen: Object | None = obj
        while seen is not None:
            body: dict[str, Any] = {
                "metadata": {
                    "finalizers": list(change(seen)),
                    "resourceVersion": seen["metadata"]["resourceVersion"],
                }
            }
            try:
                await self._client.patch(RELEASE, name, namespace, body)
            except NotThere:
                return
            except Conflict:
                seen = await self._client.get(RELEASE, name, namespace)
            else:
                return
