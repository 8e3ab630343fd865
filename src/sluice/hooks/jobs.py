"""Runs programs as processes of this machine, each in a group that ends with it."""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections import deque
from pathlib import Path

from sluice.nouns import Job, JobEnd

TAIL_BYTES = 2_000
"""Of a program's output, the end is kept: that is where the reason stands."""
LAST_LINES = 3
LONGEST_SAID = 500
"""Characters: it becomes part of a line for people."""
GRACE_S = 2.0
"""From the request to end to the end."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class LocalJobs:
    """Processes that end with their supervisor: killed with -9 it takes them along.

    Args:
        folder: Where relative paths begin.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, job: Job) -> JobEnd:
        """See :class:`sluice.ports.CheckJob`; the same id again is a new process."""
        if not job.command:
            return JobEnd(code=None, said="there is no command")
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *job.command,
                cwd=self._folder,
                env={**os.environ, **job.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except (OSError, ValueError) as error:
            os.close(reading)
            return JobEnd(code=None, said=f"cannot be started: {error}")
        finally:
            os.close(writing)
        tail = _Tail()
        output = asyncio.create_task(tail.follow(reading))
        try:
            async with asyncio.timeout(job.timeout_ms / 1000):
                code = await process.wait()
        except TimeoutError:
            await _end(process)
            await _finish(output)
            late = f"did not end within {job.timeout_ms / 1000:g} s"
            said = tail.lines()
            return JobEnd(code=None, said=f"{late}: {said}" if said else late)
        except asyncio.CancelledError:
            await _end(process)
            output.cancel()
            raise
        _signal(process.pid, signal.SIGKILL)  # what it left behind in its group
        await _finish(output)
        return JobEnd(code=code, said=tail.lines())


class _Tail:
    """The end of an output of any length."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0

    async def follow(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while chunk := await reader.read(64 * 1024):
                self._chunks.append(chunk[-TAIL_BYTES:])
                self._size += len(self._chunks[-1])
                while self._size - len(self._chunks[0]) >= TAIL_BYTES:
                    self._size -= len(self._chunks.popleft())
        finally:
            transport.close()

    def lines(self) -> str:
        text = b"".join(self._chunks)[-TAIL_BYTES:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-LAST_LINES:])[-LONGEST_SAID:]


def _die_with_parent() -> None:
    # Between fork and exec; the library is loaded, and prctl takes no lock.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the whole group to end, then make it."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


async def _finish(output: asyncio.Task[None]) -> None:
    """What is still in the pipe; a grandchild that left the group may hold it open."""
    _, late = await asyncio.wait({output}, timeout=GRACE_S)
    for task in late:
        task.cancel()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
