"""One supervisor per state folder."""

import errno
import fcntl
import os
import time
from pathlib import Path

from sluice.errors import RefusedError, StateError

# A killed supervisor holds the lock until the kernel has torn it down; more is somebody at work.
_PATIENCE_S = 0.5


class SupervisorLock:
    """``flock`` on ``supervisor.lock``: the kernel gives it back however the holder ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> "SupervisorLock":
        """Take the lock of a folder that exists.

        Raises:
            RefusedError: another process holds it; the text names its pid.
            StateError: the lock file cannot be written.
        """
        path = folder / "supervisor.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"cannot write {path}: {error.strerror}; make the folder writable for this user, "
                "or choose another one"
            ) from error
        try:
            _lock(descriptor, path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise StateError(f"cannot lock {path}: {error.strerror}") from error
        except RefusedError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; a second call changes nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(folder: Path) -> int | None:
    """Process id of the supervisor that holds a folder; None when nobody does.

    Raises:
        StateError: the lock file is there and cannot be read.
    """
    path = folder / "supervisor.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}") from error
    try:
        # Shared, so that two who ask do not take each other for a supervisor.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise StateError(f"cannot read {path}: {error.strerror}") from error
        return _pid(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            if time.monotonic() >= give_up:
                raise RefusedError(
                    f"another supervisor (pid {_pid(descriptor)}) looks after {path.parent}: "
                    "stop it first, or use another folder"
                ) from error
            time.sleep(0.02)
        else:
            return


def _pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0
