"""One process that outlives its supervisor: spawned on record, adopted by the next one."""

import asyncio
import fcntl
import os
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sluice.errors import StateError, TransientError
from sluice.platforms.local import launch, procfs
from sluice.platforms.local.folder import private_folder, state_errors
from sluice.platforms.local.records import ProcessRecord, write_record

_LAUNCHER = str(Path(launch.__file__).absolute())
_HIGH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run, and how it will be on record."""

    name: str
    kind: Literal["replica", "daemon"]
    argv: Sequence[str]
    env: Mapping[str, str]
    """The whole environment; the marker is added."""
    workdir: Path
    log: Path
    """Standard output and standard error are added to this file."""
    release: str = ""
    revision: str = ""
    restarts: int = 0
    ports: Mapping[str, int] = field(default_factory=dict)
    kept: Sequence[int] = ()
    """Descriptors that the process inherits and keeps: its port leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended."""

    status: int | None
    """Exit status; negative: killed by that signal; None: unknown, it was another's child."""

    def __str__(self) -> str:
        if self.status is None:
            return "exited (status unknown: started by an earlier supervisor)"
        if self.status < 0:
            return f"was killed by {signal.Signals(-self.status).name}"
        return f"exited with status {self.status}"


class Process:
    """A running process in a session of its own, watched through a pidfd.

    Watching does not need it to be our child, so an adopted one is noticed as fast as one that
    was started here.
    """

    def __init__(self, record: ProcessRecord, descriptor: int) -> None:
        self.record = record
        self._descriptor: int | None = descriptor
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._loop.add_reader(descriptor, self._on_exit)

    @classmethod
    def spawn(cls, folder: Path, what: Launch) -> "Process":
        """Start a process and put it on record in ``folder`` before it runs a line of its own.

        A command that cannot be run exits with 127 or 126 and says why in its log.

        Raises:
            StateError: log or record cannot be written; nothing runs.
            TransientError: the machine has no process or descriptor left.
        """
        token = uuid.uuid4().hex
        private_folder(what.log.parent)
        with state_errors("write", what.log):
            log = os.open(what.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            go_read, go_write = os.pipe()
        except OSError as error:
            os.close(log)
            raise TransientError(f"cannot start {what.name}: {error.strerror}") from error
        try:
            pid = _spawn(what, token, stdin=go_read, log=log)
            descriptor = os.pidfd_open(pid)
            record = _record(what, token, pid)
            try:
                write_record(folder, record)
            except StateError:
                os.close(go_write)  # end of file: the launcher leaves without running anything
                go_write = -1
                os.close(descriptor)
                os.waitpid(pid, 0)
                raise
            os.write(go_write, b"\n")
        except BrokenPipeError:
            pass  # the launcher was killed already: seen through the pidfd like any other exit
        except OSError as error:
            raise TransientError(f"cannot start {what.name}: {error.strerror}") from error
        finally:
            for number in (log, go_read, go_write):
                if number >= 0:
                    os.close(number)
        return cls(record, descriptor)

    @classmethod
    def adopt(cls, record: ProcessRecord) -> "Process | None":
        """Take over a recorded process; None when it is no longer alive."""
        if record.boot != procfs.boot_id():
            return None
        try:
            descriptor = os.pidfd_open(record.pid)
        except OSError:
            return None
        # After the pidfd: if the start time is right now, the pidfd cannot mean a later process.
        if procfs.start_ticks(record.pid) != record.ticks:
            os.close(descriptor)
            return None
        return cls(record, descriptor)

    @property
    def exited(self) -> bool:
        return self._exit.done()

    async def wait(self) -> Exit:
        """How it ended, once it has; may be awaited by many and given up."""
        return await asyncio.shield(self._exit)

    def terminate(self) -> None:
        """SIGTERM to the process alone, as a container's first process gets it."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the process and to all that it started."""
        if procfs.start_ticks(self.record.pid) == self.record.ticks:
            _kill_group(self.record.pid)
        self._signal(signal.SIGKILL)

    async def stop(self, grace_s: float) -> Exit:
        """SIGTERM, ``grace_s`` seconds to end, then SIGKILL; returns when it is gone."""
        self.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def leave(self) -> None:
        """Watch it no longer and let it run."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        self._exit.cancel()

    def _signal(self, number: signal.Signals) -> None:
        if self._descriptor is None or self._exit.done():
            return
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return

    def _on_exit(self) -> None:
        if self._descriptor is None:
            return
        status = _reap(self._descriptor, self.record)
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        self._exit.set_result(Exit(status=status))


def _spawn(what: Launch, token: str, *, stdin: int, log: int) -> int:
    argv = [sys.executable, "-I", "-S", _LAUNCHER]
    argv += [str(len(what.kept)), str(what.workdir), *what.argv]
    # Copied out of the way of the numbers 3.. that they get in the child.
    spare = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH) for number in what.kept]
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    actions += [(os.POSIX_SPAWN_DUP2, number, 3 + i) for i, number in enumerate(spare)]
    try:
        return os.posix_spawn(
            sys.executable,
            argv,
            {**what.env, procfs.MARKER: token},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
        )
    finally:
        for number in spare:
            os.close(number)


def _record(what: Launch, token: str, pid: int) -> ProcessRecord:
    return ProcessRecord(
        name=what.name,
        kind=what.kind,
        pid=pid,
        # None only when it is dead already: nothing will ever match, which is right.
        ticks=procfs.start_ticks(pid) or 0,
        boot=procfs.boot_id(),
        token=token,
        argv=tuple(what.argv),
        log=str(what.log),
        started_ms=time.time_ns() // 1_000_000,
        ports=dict(what.ports),
        release=what.release,
        revision=what.revision,
        restarts=what.restarts,
    )


def _reap(descriptor: int, record: ProcessRecord) -> int | None:
    """Exit status of an ended process; what it left running ends with it, as in a container."""
    try:
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # Reaped by init, so its number may be another's group by now: go by the marker instead.
        for pid in procfs.marked(record.token):
            _kill_marked(pid, record.token)
        return None
    _kill_group(record.pid)  # still a zombie of ours: the number cannot have been used again
    result = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _kill_marked(pid: int, token: str) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if procfs.has_mark(pid, token):  # asked after the pidfd: still the same process
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
