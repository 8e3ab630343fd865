"""Load in the open model: requests come when they come, however the server is doing."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from sluice.testing.traffic.connection import Connection, Head
from sluice.testing.traffic.report import Answer, Outcome, Report

_SWEEP_S = 0.05
# What Envoy writes when it found nobody to ask. Headers do not tell: those that a route adds are
# on its own answers too (measured with 1.40).
_ENVOYS_WORDS = (b"no healthy upstream", b"upstream connect error or disconnect/reset")


class _Request:
    __slots__ = ("connection", "due_s", "index", "payload", "retried", "waiter")

    def __init__(self, index: int, due_s: float, payload: bytes) -> None:
        self.index = index
        self.due_s = due_s
        self.payload = payload
        self.connection: Connection | None = None
        self.waiter: asyncio.Task[None] | None = None
        self.retried = False


def nothing(_: int) -> bytes:
    """A body of no bytes."""
    return b""


def no_headers(_: int) -> Mapping[str, str]:
    """No headers of one's own."""
    return {}


def unheard(_: Answer) -> None:
    """Nobody listens."""


class Traffic:
    """Sends requests at a rate, waits for no answer before the next, and counts every end.

    Latency counts from the time a request was *due*, so a stalled server or a busy generator
    cannot hide it (asyncio's timers add up to 1 ms). No answer is ever asked for again: what is
    lost is seen. The one exception is what every HTTP client does: a request on a reused
    connection that the server had closed before it could take it goes out once more on a new one,
    counted in ``reconnects``.

    Use as an async context manager: entering starts the load, leaving ends it and waits for the
    requests under way.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: float,
        duration_s: float = 60.0,
        count: int | None = None,
        poisson: bool = True,
        method: str = "POST",
        body: Callable[[int], bytes] = nothing,
        headers: Callable[[int], Mapping[str, str]] = no_headers,
        host: str | None = None,
        timeout_s: float = 5.0,
        max_connections: int = 1000,
        seed: int = 0,
        on_answer: Callable[[Answer], None] = unheard,
    ) -> None:
        """Args:
        url: ``http://host:port/path``.
        rate: Requests per second, on average.
        duration_s: No request is due later than this, seconds.
        count: No more requests than this.
        poisson: Arrivals of a Poisson process; otherwise evenly spaced.
        method: HTTP method.
        body: Body of the n-th request, n from 0.
        headers: Headers of the n-th request: the user's key, say.
        host: ``Host`` header; the URL's host and port by default.
        timeout_s: A user gives up so long after the request was due, seconds.
        max_connections: Beyond it requests wait, and their latency shows it.
        seed: Of the arrivals.
        on_answer: Called at the end of each request.

        Raises:
            ValueError: the URL is not http, or a number makes no sense.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// URL")
        if rate <= 0 or duration_s <= 0 or timeout_s <= 0 or max_connections < 1:
            raise ValueError("rate, duration, timeout and connections must be above 0")
        self.report = Report()
        self._address = (parts.hostname, parts.port or 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._prefix = f"{method} {target} HTTP/1.1\r\nHost: {host or parts.netloc}\r\n"
        self._rate, self._poisson = rate, poisson
        self._duration_s, self._count = duration_s, count
        self._body, self._headers = body, headers
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._random = random.Random(seed)
        self._on_answer = on_answer
        self._began_s = 0.0
        self._idle: list[Connection] = []
        self._carrying: dict[Connection, _Request] = {}
        self._open = 0
        self._waiting: deque[_Request] = deque()
        self._under_way: dict[int, _Request] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._connecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        arrivals = asyncio.create_task(self._arrive())
        self._tasks = [arrivals, asyncio.create_task(self._sweep())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        try:
            await self.finished()
        finally:
            for task in (*self._tasks, *self._connecting):
                task.cancel()
            await asyncio.gather(*self._tasks, *self._connecting, return_exceptions=True)
            for connection in (*self._idle, *self._carrying):
                connection.abort()
            await asyncio.sleep(0)  # transports close in the next turn of the loop

    def stop(self) -> None:
        """No more new requests; those under way go on."""
        self._tasks[0].cancel()

    async def finished(self) -> Report:
        """Wait until every request was sent and has ended."""
        await asyncio.wait(self._tasks[:1])
        if not self._tasks[0].cancelled():
            self._tasks[0].result()  # a fault in the caller's body or headers must be heard
        await self._quiet.wait()
        return self.report

    def _elapsed_s(self) -> float:
        return self._loop.time() - self._began_s

    async def _arrive(self) -> None:
        due_s, index = 0.0, 0
        while self._count is None or index < self._count:
            due_s += self._random.expovariate(self._rate) if self._poisson else 1 / self._rate
            if due_s > self._duration_s:
                return
            ahead_s = due_s - self._elapsed_s()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
            self._begin(_Request(index, due_s, self._payload(index)))
            index += 1

    def _payload(self, index: int) -> bytes:
        body = self._body(index)
        lines = [f"{name}: {value}\r\n" for name, value in self._headers(index).items()]
        head = f"{self._prefix}Content-Length: {len(body)}\r\n{''.join(lines)}\r\n"
        return head.encode("latin-1") + body

    def _begin(self, request: _Request) -> None:
        self.report.sent += 1
        self.report.elapsed_s = self._elapsed_s()
        self.report.lateness.add((self.report.elapsed_s - request.due_s) * 1000)
        self._under_way[request.index] = request
        self._quiet.clear()
        self._place(request)

    def _place(self, request: _Request) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._carry(connection, request)
                return
        if self._open >= self._max_connections:
            self._waiting.append(request)
        else:
            self._connect(request)

    def _connect(self, request: _Request) -> None:
        self._open += 1
        task = asyncio.create_task(self._dial(request))
        request.waiter = task
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _dial(self, request: _Request) -> None:
        connection = Connection(self._answered, self._lost)
        try:
            await self._loop.create_connection(lambda: connection, *self._address)
        except OSError as error:
            self._open -= 1
            refused = isinstance(error, ConnectionRefusedError)
            self._end(request, Outcome.LOST, reason="refused" if refused else str(error))
            return
        except asyncio.CancelledError:
            self._open -= 1
            connection.abort()  # it may have been made in the very same turn
            raise
        request.waiter = None
        self._carry(connection, request)

    def _carry(self, connection: Connection, request: _Request) -> None:
        request.connection = connection
        self._carrying[connection] = request
        connection.send(request.payload)

    def _answered(self, connection: Connection, head: Head) -> None:
        request = self._carrying.pop(connection, None)
        if connection.usable:
            self._rest(connection)
        if request is None:
            return
        status, reason = head.status, _refusal(connection, head)
        if reason:
            outcome = Outcome.LOST
        elif status < 400:
            outcome = Outcome.OK
        else:
            outcome = Outcome.CLIENT_ERROR if status < 500 else Outcome.SERVER_ERROR
        self._end(request, outcome, status=status, revision=head.version, reason=reason)

    def _rest(self, connection: Connection) -> None:
        if self._waiting:
            self._carry(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _lost(self, connection: Connection, reason: str) -> None:
        self._open -= 1
        request = self._carrying.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        if request is not None:
            if connection.untouched and not request.retried:
                request.retried = True
                self.report.reconnects += 1
                self._connect(request)
            else:
                self._end(request, Outcome.LOST, reason=reason)
        elif self._waiting and self._open < self._max_connections:
            self._connect(self._waiting.popleft())

    async def _sweep(self) -> None:
        """Give up on what is too old; one timer for all, because all have the same patience."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now_s = self._elapsed_s()
            for request in list(self._under_way.values()):
                if now_s - request.due_s < self._timeout_s:
                    break  # in order of their due times
                self._give_up(request)

    def _give_up(self, request: _Request) -> None:
        if request.waiter is not None:
            request.waiter.cancel()
        elif request.connection is not None and request.connection in self._carrying:
            del self._carrying[request.connection]
            self._open -= 1
            request.connection.abort()
        elif request in self._waiting:
            self._waiting.remove(request)
        self._end(request, Outcome.TIMEOUT)
        if self._waiting and self._open < self._max_connections:
            self._connect(self._waiting.popleft())

    def _end(
        self,
        request: _Request,
        outcome: Outcome,
        *,
        status: int = 0,
        revision: str = "",
        reason: str = "",
    ) -> None:
        del self._under_way[request.index]
        answer = Answer(
            index=request.index,
            due_s=request.due_s,
            latency_s=self._elapsed_s() - request.due_s,
            outcome=outcome,
            status=status,
            revision=revision,
            reason=reason,
        )
        self.report.add(answer)
        if not self._under_way:
            self._quiet.set()
        self._on_answer(answer)


def _refusal(connection: Connection, head: Head) -> str:
    """Why the router answered in nobody's name; empty when a revision answered."""
    if head.status != 503:
        return ""
    if connection.excerpt.startswith(_ENVOYS_WORDS):
        return f"503 of the router: {connection.excerpt.decode('ascii', 'replace')}"
    return "" if head.version else "503 of the router"
