"""Helper processes of the supervisor (agent, Envoy): adopted, started again, stopped."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import structlog

from sluice.errors import InvariantError, StateError, TransientError
from sluice.platforms.local import procfs
from sluice.platforms.local.aio import now_s
from sluice.platforms.local.backoff import Backoff
from sluice.platforms.local.folder import StateFolder
from sluice.platforms.local.logs import last_line, log_size
from sluice.platforms.local.process import Exit, Launch, Process
from sluice.platforms.local.records import drop_record, read_records
from sluice.platforms.local.world import inherited_environment

_log = structlog.get_logger(__name__)


class Daemon:
    """One process that should always run, under a name that is its own in the folder.

    It outlives its supervisor like a replica does. The first restart is immediate; a daemon that
    goes on ending is started again after 0.1 s, 0.2 s, ... 5 s.
    """

    def __init__(
        self,
        folder: StateFolder,
        *,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        workdir: Path | None = None,
        log: Path | None = None,
        restart: bool = True,
        grace_s: float = 10.0,
    ) -> None:
        """Args:
        folder: The state folder, claimed by this process.
        name: Its name, unlike that of any replica or other daemon.
        argv: The command. Another command than the running one's means another process: what
            must lead to a restart when it changes belongs here and not into ``env``.
        env: Variables on top of the supervisor's own.
        workdir: Where it starts; by default the folder that the state folder lies in.
        log: Where its output goes; ``logs/<name>.log`` by default.
        restart: Start it again when it ends.
        grace_s: From SIGTERM to SIGKILL when it is stopped, seconds.
        """
        self.restarts = 0
        self.message = ""
        """How it ended last, with the last line of its log."""
        self.adopted = False
        """Whether it was running before this supervisor."""
        self._folder = folder
        self._name = name
        self._argv = tuple(argv)
        self._env = {**inherited_environment(), **(env or {})}
        self._workdir = workdir or folder.path.parent
        self._path = log or folder.logs / f"{name}.log"
        self._restart = restart
        self._grace_s = grace_s
        self._backoff = Backoff(first_s=0.1, max_s=5.0, reset_s=10.0, free=1)
        self._process: Process | None = None
        self._log_from = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.record.pid if self._process is not None else None

    async def start(self) -> None:
        """Adopt the running one, or start it; one that runs another command is stopped first.

        Raises:
            StateError: its log or record cannot be written.
            TransientError: the machine has no process left.
            InvariantError: it was started already.
        """
        if self._task is not None:
            raise InvariantError(f"daemon {self._name} was started already")
        running = await self._find()
        process = running or self._spawn()
        self.adopted = running is not None
        self._process = process
        self._task = asyncio.create_task(self._keep(process), name=f"daemon {self._name}")

    async def wait(self) -> None:
        """Return when it has ended for good, which only ``restart=False`` allows by itself."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """End it; returns when it is gone."""
        process = await self._stop_watching()
        if process is not None:
            ending = await process.stop(self._grace_s)
            drop_record(self._folder.processes, self._name)
            _log.info("daemon.stopped", daemon=self._name, how=str(ending))

    async def leave(self) -> None:
        """Look after it no longer; it runs on for the next supervisor."""
        process = await self._stop_watching()
        if process is not None:
            process.leave()

    async def _stop_watching(self) -> Process | None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        process, self._process = self._process, None
        return process

    async def _find(self) -> Process | None:
        for record in read_records(self._folder.processes):
            if record.name != self._name:
                continue
            process = Process.adopt(record)
            if process is None:
                drop_record(self._folder.processes, record.name)
            elif record.argv == self._argv:
                self.restarts = record.restarts
                _log.info("daemon.adopted", daemon=self._name, pid=record.pid)
                return process
            else:
                _log.info("daemon.replaced", daemon=self._name, pid=record.pid)
                await process.stop(self._grace_s)
        return None

    def _spawn(self) -> Process:
        self._log_from = log_size(self._path)
        process = Process.spawn(
            self._folder.processes,
            Launch(
                name=self._name,
                kind="daemon",
                argv=self._argv,
                env=self._env,
                workdir=self._workdir,
                log=self._path,
                restarts=self.restarts,
            ),
        )
        _log.info("daemon.started", daemon=self._name, pid=process.record.pid)
        return process

    async def _keep(self, process: Process) -> None:
        while True:
            began_s = now_s()
            ending = await process.wait()
            self._process = None
            self._say(ending)
            wait_s = self._backoff.wait_s(now_s() - began_s)
            if not self._restart:
                return
            process = await self._again(wait_s)
            self._process = process

    async def _again(self, wait_s: float) -> Process:
        while True:
            await asyncio.sleep(wait_s)
            self.restarts += 1
            try:
                return self._spawn()
            except (StateError, TransientError) as error:
                self.message = str(error)
                _log.warning("daemon.not_started", daemon=self._name, reason=str(error))
                wait_s = self._backoff.wait_s(0.0)

    def _say(self, ending: Exit) -> None:
        said = last_line(self._path, since=self._log_from)
        self.message = f"{ending}: {said}" if said else str(ending)
        _log.warning("daemon.exited", daemon=self._name, reason=self.message)


async def stop_daemons(folder: StateFolder, *, but: Collection[str] = ()) -> list[str]:
    """End the daemons of earlier supervisors that nobody has taken over.

    Args:
        folder: The state folder, claimed by this process.
        but: Names that are looked after and stay.

    Returns:
        Names of those that were running.
    """
    found = [
        (record, process)
        for record in read_records(folder.processes)
        if record.kind == "daemon" and record.name not in but
        for process in [Process.adopt(record)]
    ]
    running = [process for _, process in found if process is not None]
    await asyncio.gather(*(process.stop(10.0) for process in running))
    for record, _ in found:
        drop_record(folder.processes, record.name)
    return [process.record.name for process in running]


def is_running(folder: StateFolder, name: str) -> bool:
    """Whether a daemon of this name runs in a folder, whoever started it."""
    return any(
        record.name == name
        and record.boot == procfs.boot_id()
        and procfs.start_ticks(record.pid) == record.ticks
        for record in read_records(folder.processes)
    )
