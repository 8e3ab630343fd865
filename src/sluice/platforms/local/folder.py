"""The state folder: who may use it, how its files are written, what is said when that fails."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sluice.errors import StateError
from sluice.platforms.local.lock import SupervisorLock

_ADVICE = {
    errno.EACCES: "make it writable for this user, or choose another folder",
    errno.EPERM: "make it writable for this user, or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.ENOTDIR: "a file stands where a folder is needed: move it, or choose another folder",
}


@contextmanager
def state_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StateError of one line: what failed, where, what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the folder and try again")
        reason = error.strerror or str(error)
        raise StateError(f"cannot {doing} {path}: {reason}; {advice}") from error


def private_folder(path: Path) -> Path:
    """Make a folder that only this user can enter, parents included; keep it when it is there.

    Raises:
        StateError: it cannot be made.
    """
    with state_errors("make the folder", path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def replace_file(path: Path, text: str, *, durable: bool) -> None:
    """Put ``text`` in place of a file: readers see the old one or the new one, never a part.

    Args:
        path: The file; its folder exists.
        text: The whole content.
        durable: Survive a power cut too (fsync of file and folder). A killed process loses
            nothing either way: the page cache outlives it.

    Raises:
        StateError: it cannot be written; the old content stands.
    """
    # One writer per folder (the lock), so that a fixed name does, and leaves no litter behind.
    draft = path.with_name(f".{path.name}.tmp")
    with state_errors("write", path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(draft, path)
        if durable:
            _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Mapping[str, Any] | None:
    """The object in a JSON file, or None when there is none or the file is torn.

    Raises:
        StateError: the file is there and cannot be read.
    """
    try:
        with state_errors("read", path):
            value = json.loads(path.read_bytes())
    except StateError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class StateFolder:
    """A state folder that this process, and no other, looks after while it is open.

    ``processes/`` holds a record of every process, ``workloads/`` what was asked for, ``logs/``
    what the processes wrote; a :class:`FileJournal` keeps its files beside them.
    """

    def __init__(self, path: Path, lock: SupervisorLock) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> "StateFolder":
        """Make the folder when it is missing and become its only supervisor.

        Raises:
            RefusedError: another supervisor has it; says which process.
            StateError: the folder cannot be made or written.
        """
        path = path.absolute()
        private_folder(path)
        lock = SupervisorLock.acquire(path)
        try:
            for name in ("processes", "workloads", "logs"):
                private_folder(path / name)
        except StateError:
            lock.release()
            raise
        return cls(path, lock)

    @property
    def processes(self) -> Path:
        """Records of running processes, one JSON file each."""
        return self.path / "processes"

    @property
    def workloads(self) -> Path:
        """Revisions that were asked for, one JSON file each."""
        return self.path / "workloads"

    @property
    def logs(self) -> Path:
        """What the processes wrote."""
        return self.path / "logs"

    def release(self) -> None:
        """Let another supervisor have the folder; everything in it stays."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
