"""Real Envoy, real agent, tiny upstreams: what the tests of this area run against."""

import asyncio
import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import uvicorn
from pydantic import SecretStr

from sluice.agent.launch import envoy_argv, write_files
from sluice.agent.service import running
from sluice.agent.settings import Settings
from sluice.kube.client import KubeClient

T = TypeVar("T")

TOKEN = "a-token-for-tests"  # noqa: S105  # no secret


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.01)


async def eventually(
    probe: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], *, timeout_s: float = 10.0
) -> T:
    """Ask until the answer is the wanted one."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = await probe()
        if wanted(value):
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {timeout_s} s"
        await asyncio.sleep(0.02)


@dataclass
class EnvoyProcess:
    """One Envoy in a folder of its own, with its settings."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.settings.config_dir / "envoy.log"

    def start(self) -> None:
        write_files(self.settings)
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                envoy_argv(self.settings), stdout=stream, stderr=subprocess.STDOUT
            )
        wait_for(self._listens, "Envoy listening")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        address = (self.settings.traffic_host, self.settings.traffic_port)
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=0.2):
            return self.settings.layout.admin_socket.exists()
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=10)
            self.process = None


def router_settings(folder: Path, **changes: object) -> Settings:
    values: dict[str, object] = {
        "config_dir": folder,
        "name": "router-0",
        "token": SecretStr(TOKEN),
        "port": free_port(),
        "traffic_port": free_port(),
        "linger_s": 0.3,
        "connect_timeout_ms": 500,
        "log_level": "warning",
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]  # validated by pydantic


@contextlib.contextmanager
def envoy_process(**changes: object) -> Iterator[EnvoyProcess]:
    # Not pytest's own folders: a unix socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        envoy = EnvoyProcess(router_settings(Path(folder), **changes))
        envoy.start()
        try:
            yield envoy
        finally:
            envoy.stop()


@contextlib.asynccontextmanager
async def agent_of(settings: Settings, client: KubeClient | None = None) -> AsyncIterator[str]:
    """An agent with a real server; its URL."""
    async with running(settings, client) as app, serving(app, settings.port or 0):
        yield f"http://127.0.0.1:{settings.port}"


@contextlib.asynccontextmanager
async def serving(app: object, port: int) -> AsyncIterator[None]:
    """An ASGI application on a port of loopback."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI application
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@dataclass
class Upstream:
    """A model server in a few lines: answers its name, or misbehaves as told."""

    name: str
    mode: str = "ok"
    """ok, an HTTP code, hang, reset, or slow:MILLISECONDS."""
    body: bytes | None = None
    """What it answers; None: its name."""
    media_type: str = ""
    stream: asyncio.Event | None = None
    """Half of the body waits for it."""
    seen: list[str] = field(default_factory=list)
    """Heads of the requests that arrived, lower case."""
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._talk(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                for line in head.splitlines():
                    if line.startswith("content-length:"):
                        await reader.readexactly(int(line.partition(":")[2]))
                self.seen.append(head)
                if not await self._answer(writer):
                    break
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> bool:
        mode = self.mode
        if mode == "reset":
            writer.transport.abort()
            return False
        if mode == "hang":
            await asyncio.sleep(60)
        if mode.startswith("slow:"):
            await asyncio.sleep(int(mode.removeprefix("slow:")) / 1000)
        code = int(mode) if mode.isdecimal() else 200
        body = self.name.encode() if self.body is None else self.body
        head = f"HTTP/1.1 {code} X\r\ncontent-length: {len(body)}\r\n"
        head += f"content-type: {self.media_type}\r\n" if self.media_type else ""
        half = len(body) // 2 if self.stream is not None else len(body)
        writer.write(head.encode() + b"\r\n" + body[:half])
        if self.stream is not None:
            await self.stream.wait()
            writer.write(body[half:])
        return True

    async def stop(self) -> None:
        """Stop at once, as a killed pod does: open connections are reset."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._server = None


@dataclass(frozen=True)
class Reply:
    """An answer that a user got."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Users:
    """Users of a router: one connection per worker, kept open, nothing remembered in between."""

    port: int
    workers: int = 8
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def ask(
        self,
        host: str,
        *,
        method: str = "POST",
        path: str = "/predict",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"{}",
        timeout_s: float = 10.0,
    ) -> Reply:
        """One request.

        Raises:
            ConnectionError: the router closed the connection.
            TimeoutError: no whole answer in time; the connection is closed, as an impatient
                client does.
        """
        reader, writer = await self._connection()
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        try:
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            reply = await asyncio.wait_for(_reply(reader), timeout_s)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            writer.transport.abort()
            if isinstance(error, asyncio.IncompleteReadError):
                raise ConnectionResetError("the router closed the connection") from error
            raise
        if reply.headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return reply

    async def ask_all(self, requests: Sequence[Callable[[], Awaitable[Reply]]]) -> list[Reply]:
        """Many requests, as many at once as there are workers, answers in order."""
        replies: dict[int, Reply] = {}
        todo = iter(enumerate(requests))

        async def work() -> None:
            for index, request in todo:
                replies[index] = await request()

        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(work())
        return [replies[index] for index in range(len(requests))]

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        self._idle.clear()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def _reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(int(first.split(" ", 2)[1]), headers, body.decode())
