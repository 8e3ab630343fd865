"""Starts the load in a process of its own and reads what it says."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sluice.testing.traffic.report import Report


class TrafficProcess:
    """``python -m sluice.testing.traffic`` as an async context manager; entered when load flows.

    ``latest`` is the newest line of progress (``Report.summary``). Leaving the context ends the
    load early; after that, or after :meth:`finished`, ``report`` holds everything.
    """

    def __init__(self, *arguments: str) -> None:
        """Take the command line's arguments, without ``--json``.

        Entering raises RuntimeError when they make no sense.
        """
        self.latest: Mapping[str, Any] = {}
        self.report = Report()
        self._arguments: Sequence[str] = arguments
        self._begun = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-traffic-")
        self._json = Path(self._folder.name) / "report.json"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sluice.testing.traffic",
            *self._arguments,
            "--json",
            str(self._json),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        begun = asyncio.create_task(self._begun.wait())
        await asyncio.wait([self._reading, begun], return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if self._reading.done():
            await self._end()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        await self._end()

    def stop(self) -> None:
        """No more new requests; :meth:`finished` returns when those under way have ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    async def finished(self) -> Report:
        """Wait for the end of the load.

        Raises:
            RuntimeError: it ended with a fault; the text is what it said.
        """
        await asyncio.shield(self._reading)
        return self.report

    async def _end(self) -> None:
        try:
            await asyncio.shield(self._reading)
        finally:
            self._folder.cleanup()

    async def _read(self) -> None:
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            return
        faults = asyncio.create_task(stderr.read())
        async for line in stdout:
            self.latest = json.loads(line)
            self._begun.set()
        status = await self._process.wait()
        said = (await faults).decode("utf-8", "replace").strip()
        if status != 0:
            raise RuntimeError(f"traffic exited with status {status}: {said}")
        self.report = Report.from_json(json.loads(self._json.read_bytes()))
