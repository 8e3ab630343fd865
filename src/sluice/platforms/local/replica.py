"""One replica from its first start to its end: started, watched, started again, drained."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from sluice.errors import StateError, TransientError
from sluice.nouns import Endpoint
from sluice.platforms.local.aio import first, now_s
from sluice.platforms.local.backoff import Backoff
from sluice.platforms.local.health import Health
from sluice.platforms.local.logs import last_line, log_size
from sluice.platforms.local.ports import PortLease, in_use
from sluice.platforms.local.probes import Target, ask
from sluice.platforms.local.process import Exit, Launch, Process
from sluice.platforms.local.process_spec import ProcessSpec, Sleep, render
from sluice.platforms.local.records import ProcessRecord, drop_record, write_record
from sluice.platforms.local.world import World, inherited_environment

_log = structlog.get_logger(__name__)
_LEAST_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    exit: Exit
    unwell: str = ""
    """The probe that made us end it."""


REVISION = "SLUICE_REVISION"
"""Variable that tells a replica its revision, which it may write with what it logs."""


class Replica:
    """Keeps one process running until it is drained; the rest of the platform only looks."""

    def __init__(
        self, world: World, spec: ProcessSpec, *, name: str, release: str, revision: str
    ) -> None:
        self.name = name
        self.endpoint: Endpoint | None = None
        """Where it takes requests; None while it is not ready."""
        self.ready_since_ms = 0
        self.restarts = 0
        self.message = "starting"
        self._world = world
        self._spec = spec
        self._release = release
        self._revision = revision
        self._unwanted = asyncio.Event()
        self._answered = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._left_ready_s: float | None = None
        self._process: Process | None = None
        self._began_s = 0.0
        self._been_ready = False
        self._ended = ""
        """Why the process before this one ended; empty once it has been ready since."""
        self._log_from = 0
        options = world.options
        self._crashes = Backoff(
            first_s=options.backoff_first_s,
            max_s=options.backoff_max_s,
            reset_s=options.backoff_reset_s,
        )
        self._collisions = Backoff(first_s=0.5, max_s=30.0, reset_s=60.0, free=3)
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def draining(self) -> bool:
        return self._unwanted.is_set()

    @property
    def log(self) -> Path:
        return self._world.folder.logs / self._release / f"{self.name}.log"

    def start(self, adopted: Process | None = None) -> "asyncio.Task[None]":
        """Begin, with a process of an earlier supervisor or one of its own; the task ends last."""
        if adopted is not None:
            record = adopted.record
            self.restarts = record.restarts
            self._been_ready = record.ready_since_ms is not None
            self._began_s = now_s() - (self._world.clock.now_ms() - record.started_ms) / 1000
            self._log_from = log_size(self.log)
            if record.draining:
                # It may have been ready until a moment ago, so give routers their time again.
                self._left_ready_s = now_s()
                self._unwanted.set()
        self._task = asyncio.create_task(self._run(adopted), name=f"replica {self.name}")
        return self._task

    def drain(self) -> None:
        """Take no more requests, finish those begun, end. Returns at once."""
        if not self.draining:
            self._unwanted.set()
            self._unready("draining")

    def confirm_removed(self) -> None:
        """No router sends requests here any more."""
        if self.endpoint is None:
            self._confirmed.set()

    async def answered(self) -> None:
        """Return when the first readiness probe was answered, or the replica has ended."""
        await first(self._answered.wait(), self.ended())

    async def ended(self) -> None:
        """Return when the replica is gone."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def kill(self) -> None:
        """End the process at once, with all that it started."""
        if self._process is not None:
            self._process.kill()

    async def leave(self) -> None:
        """Look after it no longer; the process runs on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None:
            self._process.leave()

    async def _run(self, process: Process | None) -> None:
        while process is not None or not self.draining:
            if process is None:
                process = self._start()
            if process is None:  # the reason is in the message
                await self._pause(self._crashes.wait_s(0.0))
                continue
            self._process = process
            ending = await self._live(process)
            self._process = None
            self._forget_process()
            if self.draining:
                break
            await self._pause(self._after(ending, process.record))
            process = None

    def _start(self) -> Process | None:
        leases: dict[str, PortLease] = {}
        try:
            for port in self._spec.ports:
                leases[port.key] = self._world.ports.take()
            ports = {key: lease.port for key, lease in leases.items()}
            host = self._world.options.host
            argv, _ = render(self._spec, name=self.name, host=host, ports=ports)
            self._log_from, self._began_s, self._been_ready = log_size(self.log), now_s(), False
            process = Process.spawn(
                self._world.folder.processes,
                Launch(
                    name=self.name,
                    kind="replica",
                    argv=argv,
                    env=self._environment(ports),
                    workdir=self._workdir,
                    log=self.log,
                    release=self._release,
                    revision=self._revision,
                    restarts=self.restarts,
                    ports=ports,
                    kept=[lease.descriptor for lease in leases.values()],
                ),
            )
        except (StateError, TransientError) as error:
            self.message = str(error)
            _log.warning("replica.not_started", replica=self.name, reason=str(error))
            return None
        finally:
            for lease in leases.values():
                lease.release()  # the process holds it now
        _log.info("replica.started", replica=self.name, pid=process.record.pid, ports=ports)
        return process

    async def _live(self, process: Process) -> _Ending:
        """Until the process has ended, whoever ends it."""
        if not self.draining:
            health = Health(
                self._spec,
                self._target(process.record),
                eager_s=self._world.options.eager_probe_s,
                ready_before=self._been_ready,
                tell=self._hear,
            )
            news = await first(process.wait(), self._unwanted.wait(), health.watch())
            if isinstance(news, Exit):
                return _Ending(exit=news)
            if isinstance(news, str):
                self._unready(news)
                _log.warning("replica.unwell", replica=self.name, reason=news)
                return _Ending(exit=await self._end(process), unwell=news)
        return _Ending(exit=await self._drain(process))

    def _hear(self, ready: bool, fault: str) -> None:
        if self._process is None or self.draining:
            return
        if ready:
            self._ready(self._process)
            self.message = fault
        else:
            self._unready(f"{self._ended}; now {fault}" if self._ended else fault)
        self._answered.set()

    def _ready(self, process: Process) -> None:
        if self.endpoint is not None:
            return
        port = process.record.ports[self._spec.traffic]
        self.endpoint = Endpoint(name=self.name, host=self._world.options.host, port=port)
        # An adopted one keeps its time: warm-up is counted from it.
        self.ready_since_ms = process.record.ready_since_ms or self._world.clock.now_ms()
        self._been_ready = True
        self._ended = ""
        self._confirmed.clear()
        self._keep(replace(process.record, ready_since_ms=self.ready_since_ms))
        _log.info("replica.ready", replica=self.name, port=port)
        self._world.changed()

    def _unready(self, reason: str) -> None:
        self.message = reason
        if self._process is not None and self._process.record.ready_since_ms is not None:
            self._keep(replace(self._process.record, ready_since_ms=None))
        if self.endpoint is not None:
            self.endpoint = None
            self._left_ready_s = now_s()
            _log.info("replica.not_ready", replica=self.name, reason=reason)
            self._world.changed()

    def _keep(self, record: ProcessRecord) -> None:
        if self._process is None:
            return
        self._process.record = record
        try:
            write_record(self._world.folder.processes, record)
        except StateError as error:
            # The older record still names the process, so that it will be found.
            _log.warning("replica.record_not_updated", replica=self.name, reason=str(error))

    async def _drain(self, process: Process) -> Exit:
        self._unready("draining")
        self._keep(replace(process.record, draining=True))
        options = self._world.options
        if self._left_ready_s is not None:
            if options.drain_confirm_s is None:
                wait_s = max(0.0, self._left_ready_s + options.drain_grace_s - now_s())
                await first(process.wait(), asyncio.sleep(wait_s))
            else:
                patience = asyncio.sleep(options.drain_confirm_s)
                await first(process.wait(), self._confirmed.wait(), patience)
        return await self._end(process)

    async def _end(self, process: Process) -> Exit:
        """``preStop``, SIGTERM, SIGKILL; all within the grace period, as in Kubernetes."""
        kill_at_s = now_s() + self._spec.grace_s
        if self._spec.pre_stop is not None and not process.exited:
            await first(process.wait(), self._pre_stop(process.record))
        left_s = kill_at_s - now_s()
        if self._spec.grace_s > 0:
            left_s = max(left_s, _LEAST_GRACE_S)
        ending = await process.stop(max(0.0, left_s))
        _log.info("replica.stopped", replica=self.name, how=str(ending))
        return ending

    async def _pre_stop(self, record: ProcessRecord) -> None:
        hook, limit_s = self._spec.pre_stop, self._spec.grace_s
        if hook is None:
            return
        if isinstance(hook, Sleep):
            await asyncio.sleep(min(hook.seconds, limit_s))
            return
        fault = await ask(hook, self._target(record), timeout_s=limit_s)
        if fault:
            _log.warning("replica.pre_stop_failed", replica=self.name, reason=fault)

    def _after(self, ending: _Ending, record: ProcessRecord) -> float:
        """Seconds to wait before the next start; the message says why it is needed."""
        # Whoever is killed from outside has no last words, only an unsuspecting line.
        outside = ending.exit.status in (-signal.SIGKILL, -signal.SIGTERM)
        said = "" if outside else last_line(self.log, since=self._log_from)
        why = ending.unwell or (f"{ending.exit}: {said}" if said else str(ending.exit))
        self._unready(why)
        self._ended = why
        lived_s = now_s() - self._began_s
        taken = [port for port in record.ports.values() if in_use(port)]
        if taken and not self._been_ready and ending.exit.status != 0:
            # Somebody took the port between our look and its bind: no fault of the replica's.
            wait_s = self._collisions.wait_s(lived_s)
            self.message = f"another process took port {taken[0]}: trying another port"
        else:
            self.restarts += 1
            wait_s = self._crashes.wait_s(lived_s)
            self.message = f"{why} (restart {self.restarts} in {wait_s:g} s)"
        _log.warning(
            "replica.exited", replica=self.name, reason=self.message, lived_s=round(lived_s, 3)
        )
        self._answered.set()
        self._world.changed()
        return wait_s

    def _forget_process(self) -> None:
        try:
            drop_record(self._world.folder.processes, self.name)
        except StateError as error:
            # Harmless: nothing alive matches the record any more.
            _log.warning("replica.record_not_removed", replica=self.name, reason=str(error))

    async def _pause(self, seconds: float) -> None:
        await first(self._unwanted.wait(), asyncio.sleep(seconds))

    def _target(self, record: ProcessRecord) -> Target:
        return Target(
            host=self._world.options.host,
            ports=record.ports,
            env=self._environment(record.ports),
            workdir=self._workdir,
        )

    def _environment(self, ports: Mapping[str, int]) -> dict[str, str]:
        _, env = render(self._spec, name=self.name, host=self._world.options.host, ports=ports)
        ours = {"PYTHONUNBUFFERED": "1", REVISION: self._revision}
        return {**inherited_environment(), **ours, **env}

    @property
    def _workdir(self) -> Path:
        return self._world.workdir / (self._spec.workdir or "")
