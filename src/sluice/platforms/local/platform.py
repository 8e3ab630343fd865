"""The laptop platform: ``ports.Platform`` with processes for pods."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from typing import Self

import structlog

from sluice.errors import SpecError, StateError
from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.clock import SystemClock
from sluice.platforms.local.folder import StateFolder
from sluice.platforms.local.logs import cut_log
from sluice.platforms.local.options import LocalOptions
from sluice.platforms.local.process import Process
from sluice.platforms.local.records import drop_record, read_records
from sluice.platforms.local.revisions import RevisionSet, read_wanted
from sluice.platforms.local.world import World
from sluice.ports import Clock

_log = structlog.get_logger(__name__)
_STRAY_GRACE_S = 30.0


class LocalPlatform:
    """Runs revisions as processes of this machine, one per replica.

    Processes outlive it on purpose: :meth:`open` adopts those of an earlier supervisor, however
    that one ended, and goes on with what was asked for then.
    """

    def __init__(self, world: World) -> None:
        """Use :meth:`open`."""
        self.version = 0
        """Grows when an endpoint comes or goes, or a replica ends."""
        self._world = world
        self._news = asyncio.Event()
        self._revisions: dict[tuple[str, RevisionId], RevisionSet] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._strays: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        folder: StateFolder,
        *,
        options: LocalOptions | None = None,
        wanted: Collection[str] | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Take over what runs in a state folder, or begin with nothing.

        Replicas that live are adopted, and those that were ready count as ready again when they
        answer one probe, which is awaited. What was asked for and does not run is started; what
        runs and nobody wants is drained.

        Args:
            folder: The state folder, claimed by this process.
            options: Figures; the defaults suit a person who watches.
            wanted: Releases to go on with; the others are drained. None: all.
            clock: Time of ``ready_since_ms``.

        Raises:
            StateError: the folder cannot be read or written.
        """
        self: Self
        world = World(
            folder, options or LocalOptions(), clock or SystemClock(), lambda: self._bump()
        )
        self = cls(world)
        await self._adopt(wanted)
        self._chore(self._cut_logs())
        return self

    async def scale(self, workload: Workload, replicas: int) -> None:
        """See ``ports.Platform``.

        Raises:
            SpecError: the template asks for what a laptop cannot run; every fault, by path.
            StateError: the request cannot be kept in the state folder; never for size 0.
        """
        key = (workload.release, workload.revision)
        known = self._revisions.get(key)
        if known is None:
            known = RevisionSet(self._world, workload)
            if replicas == 0:
                return
            self._revisions[key] = known
        known.resize(replicas)
        self._tidy()

    async def observe(self, release: str) -> Sequence[Replicas]:
        """See ``ports.Platform``; never waits."""
        self._tidy()
        return [
            revision.observe() for (name, _), revision in self._revisions.items() if name == release
        ]

    async def replace(self, release: str, revision: RevisionId, endpoint: str) -> None:
        """See ``ports.Platform``."""
        known = self._revisions.get((release, revision))
        if known is not None:
            known.replace(endpoint)

    async def remove(self, release: str) -> None:
        """See ``ports.Platform``; returns at once, ``observe`` shows what still drains."""
        for (name, _), revision in self._revisions.items():
            if name == release:
                revision.resize(0)
        self._tidy()

    def releases(self) -> frozenset[str]:
        """Releases that have, or were asked for, replicas."""
        self._tidy()
        return frozenset(name for name, _ in self._revisions)

    def confirm_removed(self, names: Iterable[str]) -> None:
        """Say that no router sends requests to these endpoints any more.

        With ``LocalOptions.drain_confirm_s`` a draining replica waits for this before it is
        stopped. Names of replicas that are ready, or unknown, are passed over.
        """
        known = frozenset(names)
        for revision in self._revisions.values():
            revision.confirm_removed(known)

    async def wait_change(self, seen: int) -> int:
        """Return ``version`` once it is above ``seen``: no change between two calls is missed."""
        while self.version <= seen:
            await self._news.wait()
        return self.version

    async def close(self, *, stop: bool) -> None:
        """End the supervision.

        Args:
            stop: Drain and stop every replica first. Otherwise all run on, and the next
                :meth:`open` adopts them.
        """
        if stop:
            for revision in self._revisions.values():
                revision.resize(0)
            endings = [item.ended() for item in self._revisions.values()]
            await asyncio.gather(self._confirm_all(), *endings, *self._strays)
            self._tidy()
        for revision in self._revisions.values():
            await revision.leave()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)

    async def _confirm_all(self) -> None:
        """Whoever confirmed removals so far is leaving too: the grace must do."""
        await asyncio.sleep(self._world.options.drain_grace_s)
        for revision in self._revisions.values():
            revision.confirm_removed(None)

    async def _adopt(self, wanted: Collection[str] | None) -> None:
        folder = self._world.folder
        sizes: list[tuple[RevisionSet, int]] = []
        for request in read_wanted(folder.workloads):
            workload = request.workload
            try:
                revision = RevisionSet(self._world, workload)
            except SpecError as error:  # kept by a version of Sluice that could run it
                _log.warning("revision.unknown", release=workload.release, reason=str(error))
                continue
            self._revisions[workload.release, workload.revision] = revision
            unwanted = wanted is not None and workload.release not in wanted
            sizes.append((revision, 0 if unwanted else request.replicas))
        adopted = []
        for record in read_records(folder.processes):
            if record.kind != "replica":
                continue
            process = Process.adopt(record)
            if process is None:
                drop_record(folder.processes, record.name)
                continue
            known = self._revisions.get((record.release, RevisionId(record.revision)))
            if known is None:
                self._strays.append(self._chore(self._end_stray(process)))
            else:
                adopted.append(known.adopt(process))
        await asyncio.gather(*(item.answered() for item in adopted if not item.draining))
        for revision, size in sizes:
            revision.resize(size)
        self._tidy()
        if adopted:
            _log.info("platform.adopted", replicas=[replica.name for replica in adopted])

    async def _end_stray(self, process: Process) -> None:
        record = process.record
        _log.warning("platform.stray", process=record.name, pid=record.pid)
        await asyncio.sleep(self._world.options.drain_grace_s)
        await process.stop(_STRAY_GRACE_S)
        drop_record(self._world.folder.processes, record.name)

    async def _cut_logs(self) -> None:
        options, folder = self._world.options, self._world.folder.logs
        while True:
            await asyncio.sleep(options.log_check_s)
            for path in list(folder.glob("**/*.log")):
                try:
                    await asyncio.to_thread(cut_log, path, options.log_max_bytes)
                except StateError as error:
                    _log.warning("log.not_cut", path=str(path), reason=str(error))

    def _tidy(self) -> None:
        for key, revision in list(self._revisions.items()):
            if revision.gone:
                revision.forget()
                del self._revisions[key]

    def _chore(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    def _bump(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()
