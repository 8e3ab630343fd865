"""The journal in files: a checkpoint and a log per release; ``ports.Journal``."""

import asyncio
import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sluice.errors import StateError
from sluice.platforms.local.folder import private_folder, replace_file, state_errors

_T = TypeVar("_T")


class FileJournal:
    """Checkpoints survive a power cut; the log survives every kill of a process.

    ``<release>.json`` is the checkpoint, replaced whole. ``<release>.jsonl`` is the log, one line
    per entry; beyond its size it becomes ``<release>.jsonl.1``, and the one before that goes.
    """

    def __init__(self, folder: Path, *, log_max_bytes: int = 16 << 20) -> None:
        """Args:
        folder: Made, for this user only, by the first write.
        log_max_bytes: Size at which a log is started anew, bytes; twice that is kept at most.
        """
        self._folder = folder
        self._log_max_bytes = log_max_bytes
        # One thread: fsync keeps no loop waiting, the order of writes is that of the calls, and
        # a caller that is cancelled cannot leave a write half done for the next one to meet.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    async def load(self) -> Mapping[str, Mapping[str, Any]]:
        """See ``ports.Journal``."""
        return await self._do(self._load)

    async def checkpoint(self, release: str, record: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        text = json.dumps({"release": release, "record": record})
        await self._do(lambda: self._checkpoint(release, text))

    async def append(self, release: str, entry: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        line = json.dumps(entry).encode() + b"\n"
        await self._do(lambda: self._append(release, line))

    async def entries(self, release: str) -> Sequence[Mapping[str, Any]]:
        """See ``ports.Journal``."""
        return await self._do(lambda: self._entries(release))

    async def forget(self, release: str) -> None:
        """See ``ports.Journal``."""
        await self._do(lambda: self._forget(release))

    def close(self) -> None:
        """Wait for the last write and end the thread."""
        self._thread.shutdown()

    async def _do(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load(self) -> dict[str, Mapping[str, Any]]:
        found = {}
        with state_errors("read", self._folder):
            paths = sorted(self._folder.glob("*.json"))
        for path in paths:
            with state_errors("read", path):
                text = path.read_bytes()
            try:
                value = json.loads(text)
                found[str(value["release"])] = value["record"]
            except (ValueError, KeyError, TypeError) as error:
                # Never passed over in silence: a release would start again as if it were new.
                raise StateError(
                    f"{path} is not a checkpoint of Sluice: restore it, or move it away to begin "
                    "anew with what runs"
                ) from error
        return found

    def _checkpoint(self, release: str, text: str) -> None:
        private_folder(self._folder)
        replace_file(self._path(release, ".json"), text, durable=True)

    def _append(self, release: str, line: bytes) -> None:
        private_folder(self._folder)
        path = self._path(release, ".jsonl")
        with state_errors("write", path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # after a torn line, so that only that one is lost
                _write_whole(descriptor, line, size)
            finally:
                os.close(descriptor)
            if size + len(line) > self._log_max_bytes:
                os.replace(path, self._path(release, ".jsonl.1"))

    def _entries(self, release: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for suffix in (".jsonl.1", ".jsonl"):
            path = self._path(release, suffix)
            try:
                with state_errors("read", path):
                    lines = path.read_bytes().splitlines()
            except StateError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue
                raise
            found += [entry for line in lines if (entry := _entry(line)) is not None]
        return found

    def _forget(self, release: str) -> None:
        path = self._path(release, ".json")
        with state_errors("remove", path):
            path.unlink(missing_ok=True)

    def _path(self, release: str, suffix: str) -> Path:
        return self._folder / f"{quote(release, safe='')}{suffix}"


def _write_whole(descriptor: int, line: bytes, size: int) -> None:
    """All of the line or nothing of it."""
    written = os.write(descriptor, line)
    if written < len(line):  # the disk became full in the middle
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _entry(line: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:  # torn by a power cut
        return None
    return value if isinstance(value, dict) else None
