"""Ports for processes: chosen, leased and handed over so that no two starts collide.

A lease is a ``flock`` on a file named after the port, on a descriptor that the process inherits.
So it lasts exactly as long as the process and what it started, through every death of a
supervisor, and no lease is ever stale: the kernel gives it back.
"""

import errno
import fcntl
import os
import random
import socket
import stat
import tempfile
from pathlib import Path

from sluice.errors import StateError, TransientError
from sluice.platforms.local.folder import private_folder, state_errors

PORTS = range(20_000, 30_000)
"""Below Linux's ephemeral range (32768 and up), so that no outgoing connection sits on one."""


class PortLease:
    """A port that is ours until :meth:`release` and the end of every process that inherited it."""

    def __init__(self, port: int, descriptor: int) -> None:
        self.port = port
        self.descriptor = descriptor

    def release(self) -> None:
        """Let go of it here; a second call changes nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class PortPool:
    """Hands out free ports, each as late again as possible.

    A router may hold the endpoint of a stopped replica a moment longer. Were its port given to
    the next replica at once, requests meant for one revision would be answered by another; so
    the pool goes round its whole range before it comes back to a port.
    """

    def __init__(
        self, ports: range = PORTS, *, folder: Path | None = None, seed: int | None = None
    ):
        """Args:
        ports: Candidates; one process per port.
        folder: Where lease files lie; one for all state folders of this user by default.
        seed: Where to begin, for tests.
        """
        self._ports = ports
        self._folder = folder
        self._next = random.Random(seed).randrange(len(ports))  # noqa: S311  # not a secret

    def take(self) -> PortLease:
        """A port that nobody listens on and nobody has leased.

        Raises:
            TransientError: every port of the range is in use.
            StateError: lease files cannot be written.
        """
        folder = self._leases()
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            lease = _lease(folder, port)
            if lease is None:
                continue
            if in_use(port):
                lease.release()
                continue
            return lease
        first, last = self._ports[0], self._ports[-1]
        raise TransientError(f"every port from {first} to {last} is in use", retry_after_s=5.0)

    def _leases(self) -> Path:
        if self._folder is None:
            self._folder = _shared_folder()
        return private_folder(self._folder)


def in_use(port: int) -> bool:
    """Whether a process on this machine has the port, on any address."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        try:
            # No SO_REUSEADDR: a server may do without it, and then TIME_WAIT is in its way too.
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                if family == socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return False


def _lease(folder: Path, port: int) -> PortLease | None:
    path = folder / str(port)
    with state_errors("write", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return PortLease(port, descriptor)


def _shared_folder() -> Path:
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"sluice-ports-{user}"
    private_folder(folder)
    with state_errors("read", folder):
        facts = folder.lstat()
    # The name can be guessed, so somebody else may have made it first.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != user:
        raise StateError(f"{folder} belongs to another user: remove it, or set TMPDIR")
    return folder
