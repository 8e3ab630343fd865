"""A load generator that costs little: prepared bytes over keep-alive connections."""

import asyncio
import random
import time
from typing import cast

BODY = (
    b'{"id":"1","inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1.6,141,233,8.5]}]}'
)


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


async def open_loop(port: int, *, rate: float, seconds: float, seed: int) -> list[float]:
    """Poisson arrivals, whatever became of those before; latencies from the intended time, ms."""
    request = request_bytes(port)
    idle = await connect(port, 64)
    opened = list(idle)
    chance = random.Random(seed)
    latencies: list[float] = []
    waiting: asyncio.Queue[float] = asyncio.Queue()

    async def serve(connection: Connection) -> None:
        while True:
            due = await waiting.get()
            if due < 0:
                return
            await connection.ask(request)
            latencies.append((time.perf_counter() - due) * 1000)

    workers = [asyncio.create_task(serve(connection)) for connection in opened]
    started = due = time.perf_counter()
    while due < started + seconds:
        due += chance.expovariate(rate)
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        waiting.put_nowait(due)
    for _ in workers:
        waiting.put_nowait(-1.0)
    await asyncio.gather(*workers)
    for connection in opened:
        connection.close()
    return latencies
