"""A real HTTP server on loopback that answers what it is told to and remembers what it was asked.

Written on sockets, so that it can also misbehave: hang, break off, answer nonsense.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Got:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Receiver:
    """What it answers and what it got."""

    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"")])
    """Status and body one after the other, the last again and again; status 0: breaks off, -1:
    never answers."""
    respond: Callable[[Got], tuple[int, bytes]] | None = None
    """Answers instead of ``answers``."""
    headers: str = ""
    """Further header lines of every answer."""
    got: list[Got] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def wait(self, count: int) -> list[Got]:
        """Requests, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.more.clear()
                await self.more.wait()
        return self.got

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ", 2)
        headers: dict[str, str] = {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.got.append(Got(method=method, path=path, headers=headers, body=body))
        self.more.set()
        status, content = self._next(self.got[-1])
        if status == -1:
            await reader.read()
            return False
        if status == 0:
            return False
        head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(content)}\r\n{self.headers}\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        return True

    def _next(self, got: Got) -> tuple[int, bytes]:
        if self.respond is not None:
            return self.respond(got)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def receiver(*answers: tuple[int, bytes], headers: str = "") -> AsyncIterator[Receiver]:
    """A server that is up."""
    made = Receiver(answers=list(answers) or [(200, b"")], headers=headers)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(made.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
