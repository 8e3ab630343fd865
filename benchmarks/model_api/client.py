"""A load generator that costs little: prepared bytes over keep-alive connections."""

import asyncio
import random
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

BODY = (
    b'{"id":"1","inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1.6,141,233,8.5]}]}'
)
_LONGEST_WAIT_S = 0.05


def request_bytes(port: int) -> bytes:
    """One inference request of one row as it goes over the wire."""
    head = (
        "POST /v2/models/bench/infer HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop has transports of its own class.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            assert self._answer is not None
            self._answer.set_result(int(head[9:12]))

    async def ask(self, request: bytes) -> int:
        """Send one request; returns the code of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


async def connect(port: int, count: int) -> list[Connection]:
    """Open connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def closed_loop(port: int, *, connections: int, requests: int) -> float:
    """Each connection sends its next request when it has its answer; returns requests per second."""  # noqa: E501
    request = request_bytes(port)
    opened = await connect(port, connections)

    async def drive(connection: Connection, count: int) -> None:
        for _ in range(count):
            code = await connection.ask(request)
            if code != 200:
                raise RuntimeError(f"answered {code}")

    started = time.perf_counter()
    await asyncio.gather(*(drive(one, requests // connections) for one in opened))
    elapsed = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return requests // connections * connections / elapsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What an open-model run saw."""

    latency_ms: Sequence[float]
    """From the moment a request was due to the end of its answer, per request."""
    lag_ms: Sequence[float]
    """From the moment a request was due to when it was sent: the client's own share."""

    def latency_quantile_ms(self, share: float) -> float:
        """Latency that ``share`` of the requests stayed within."""
        return _quantile(self.latency_ms, share)

    def lag_quantile_ms(self, share: float) -> float:
        """Lateness of the client that ``share`` of the requests stayed within."""
        return _quantile(self.lag_ms, share)


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def open_loop(port: int, *, rate: float, seconds: float, seed: int, connections: int = 64) -> Tail:
    """Poisson arrivals, whatever became of those before.

    Written without an event loop, which wakes on whole milliseconds and costs more a request than
    the fastest server here: its own lateness would be most of the tail.
    """
    request = request_bytes(port)
    chance = random.Random(seed)
    poll = select.epoll()
    by_number: dict[int, socket.socket] = {}
    for _ in range(connections):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        poll.register(opened, select.EPOLLIN)
        by_number[opened.fileno()] = opened
    idle = list(by_number.values())
    due_of: dict[int, float] = {}
    parts: dict[int, bytes] = {}
    latency_ms: list[float] = []
    lag_ms: list[float] = []
    clock = time.perf_counter
    started = clock()
    due = started + chance.expovariate(rate)
    while due < started + seconds or due_of:
        now = clock()
        while due <= now and due < started + seconds and idle:
            free = idle.pop()
            free.send(request)
            due_of[free.fileno()] = due
            lag_ms.append((now - due) * 1000)
            due += chance.expovariate(rate)
        # `select` on the epoll itself: the one wait of the standard library in microseconds.
        pause = due - clock() if idle and due < started + seconds else _LONGEST_WAIT_S
        if pause > 0:
            select.select([poll], [], [], min(pause, _LONGEST_WAIT_S))
        for number, _ in poll.poll(0):
            answer = parts.pop(number, b"") + by_number[number].recv(1 << 16)
            if not _whole(answer):
                parts[number] = answer
                continue
            latency_ms.append((clock() - due_of.pop(number)) * 1000)
            idle.append(by_number[number])
    poll.close()
    for opened in by_number.values():
        opened.close()
    return Tail(latency_ms=latency_ms, lag_ms=lag_ms)


def _whole(answer: bytes) -> bool:
    """The answer has arrived to its last byte.

    Raises:
        RuntimeError: it is no 200, or the server has hung up.
    """
    if answer[9:12] != b"200":
        raise RuntimeError(f"answered {answer[9:12]!r}" if answer else "closed by the server")
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    return bool(separator) and len(body) >= length
