"""Connections that come while Envoy is being started again: taken, and handed to it when it serves.

When Envoy is killed, its pod is sent new connections until the cluster's rules have changed, for a
second or two. They would be refused. The agent is bound to the same port without listening; the
moment Envoy is gone it listens. Decision 126.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog

from sluice.dataplanes.bootstrap import Listen
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.errors import StateError

log = structlog.get_logger(__name__)

PATIENCE_S = 10.0
"""Users wait so long at most: a container is started again within a second the first time, and
after ten when it has failed again."""
POLL_S = 0.05
BACKLOG = 1_024
LONGEST_LINE = 65_536
"""Bytes of a request line that are looked at."""
CLOSE = b"connection: close\r\n"
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where to ask what listens everywhere


class Catcher:
    """Stands in for one Envoy's listener.

    Args:
        listen: Where Envoy listens, with ``SO_REUSEPORT`` (its default).
        admin: That Envoy.
        patience_s: Longest time that connections are held, seconds.
    """

    def __init__(
        self, listen: Listen, admin: EnvoyAdmin, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._listen = listen
        self._admin = admin
        self._patience_s = patience_s
        self._relays: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Wait for Envoy's end and its return, again and again, until cancelled.

        Raises:
            StateError: the port cannot be shared.
        """
        try:
            while True:
                while not await self._admin.ready():  # noqa: ASYNC110  # another process's state
                    await asyncio.sleep(POLL_S)
                with self._bound() as door:
                    await self._gone()
                    await self._catch(door)
        finally:
            for relay in self._relays:
                relay.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)

    @contextlib.contextmanager
    def _bound(self) -> Iterator[socket.socket]:
        """A socket that has the port, and gets nothing until it listens."""
        family = socket.AF_INET6 if ":" in self._listen.host else socket.AF_INET
        with socket.socket(family) as door:
            door.setblocking(False)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                door.bind((self._listen.host, self._listen.port))
            except OSError as error:
                raise StateError(
                    f"the agent cannot share {self._listen.host}:{self._listen.port} with Envoy:"
                    f" {error.strerror}; both must run as the same user"
                ) from error
            yield door

    async def _gone(self) -> None:
        """Return the moment Envoy has ended: its admin socket is closed, and opens no more."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._admin.socket))
            except OSError:
                return
            try:
                with contextlib.suppress(OSError):
                    await reader.read(1)
            finally:
                writer.close()

    async def _catch(self, door: socket.socket) -> None:
        door.listen(BACKLOG)
        log.warning("agent.envoy_gone", port=self._listen.port)
        caught: list[socket.socket] = []
        try:
            back = await self._wait(door, caught)
        except BaseException:
            _close(caught)
            raise
        log.warning("agent.envoy_back" if back else "agent.envoy_stays_away", caught=len(caught))
        if not back:
            _close(caught)
            return
        for connection in caught:
            relay = asyncio.create_task(self._relay(connection))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _wait(self, door: socket.socket, caught: list[socket.socket]) -> bool:
        """Take what comes until Envoy serves; False: it did not in time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._patience_s
        while not (back := await self._admin.ready()) and loop.time() < end_s:
            caught += _waiting(door)
            await asyncio.sleep(POLL_S)
        caught += _waiting(door)
        door.close()
        return back

    async def _relay(self, connection: socket.socket) -> None:
        """One request and its answer; then the client's next connection is Envoy's own."""
        reader, writer = await asyncio.open_connection(sock=connection)
        host = ANY.get(self._listen.host, self._listen.host)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                first = await _first(reader)
                there, envoy = await asyncio.open_connection(host, self._listen.port)
                try:
                    envoy.write(first)
                    await asyncio.gather(_copy(reader, envoy), _copy(there, writer))
                finally:
                    envoy.close()
        finally:
            writer.close()


def _waiting(door: socket.socket) -> list[socket.socket]:
    """Connections that have come since the last look."""
    found = []
    with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
        while True:
            connection, _ = door.accept()
            connection.setblocking(False)
            found.append(connection)
    return found


def _close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


async def _first(reader: asyncio.StreamReader) -> bytes:
    """The first bytes of a connection; a request of HTTP/1.1 asks for the end of it."""
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        return await reader.read(LONGEST_LINE)
    return line + CLOSE if line.endswith(b"HTTP/1.1\r\n") else line


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
