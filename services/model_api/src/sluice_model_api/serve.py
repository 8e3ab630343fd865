"""One server process: load beside serving, ready when warm, drain without losing a request."""

import asyncio
import logging
import signal
import socket
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

import structlog
import uvicorn

from sluice_model_api import memory
from sluice_model_api.errors import BundleError
from sluice_model_api.faults import Faults
from sluice_model_api.parts import Parts
from sluice_model_api.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sluice_model_api.rpc.server import RpcServer

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn with a drain: first not ready, then a delay, then the port closes, then exit 0."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts
        self._drain_from_s: float | None = None
        self._delay_s = parts.settings.drain_delay_s
        self._loading: asyncio.Task[None] | None = None
        self._rpc: RpcServer | None = None
        self.exit_code = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second one, or Ctrl-C: stop as soon as no request is in flight."""
        if self._drain_from_s is not None or sig == signal.SIGINT:
            self._delay_s = 0.0
        if self._drain_from_s is None:
            self._parts.service.drain()
            self._drain_from_s = time.monotonic()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settings = self._parts.settings
        if settings.grpc_port is not None:
            self._rpc = _make_rpc(self._parts, settings.grpc_port)
            await self._rpc.start()
            log.info("server.listening_grpc", host=settings.host, port=self._rpc.port)
        self._loading = asyncio.create_task(self._load())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._loading is not None:
            self._loading.cancel()
        if self._rpc is not None:
            await self._rpc.stop(self._parts.settings.grace_s)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        started = self._drain_from_s
        if started is not None and time.monotonic() - started >= self._delay_s:
            log.info("server.closing", in_flight=self._parts.metrics.in_flight)
            self.should_exit = True
        return await super().on_tick(counter)

    async def _load(self) -> None:
        started = time.perf_counter()
        try:
            # Slept here and not in the thread, so that SIGTERM need not wait for it.
            await asyncio.sleep(self._parts.injector.faults.slow_start_s)
            await asyncio.to_thread(self._parts.load)
        except BundleError as error:
            complain(str(error))
            self.exit_code = 1
            self.should_exit = True
            return
        memory.settle()
        for entry in self._parts.repository.entries():
            log.info(
                "model.ready",
                model=entry.manifest.name,
                version=entry.manifest.version,
                digest=entry.digest,
                load_s=round(time.perf_counter() - started, 3),
            )


def _make_rpc(parts: Parts, port: int) -> "RpcServer":
    try:
        from sluice_model_api.rpc.server import RpcServer  # off: not even imported
    except ImportError as error:
        raise SettingsError("MODEL_API_GRPC_PORT needs the extra sluice-model-api[grpc]") from error
    return RpcServer(parts, host=parts.settings.host, port=port)


def serve(settings: Settings, faults: Faults) -> int:
    """Serve until SIGTERM; returns the exit code.

    Raises:
        BundleError: a bundle must not be served.
        SettingsError: the port is taken.
        StoreError: the prediction log cannot be opened.
    """
    memory.one_arena()
    parts = Parts(settings, faults)
    listener = _bind(settings.host, settings.port)
    config = uvicorn.Config(
        parts.service,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=int(settings.grace_s),
    )
    server = Server(config, parts)
    # uvicorn takes over when its loop runs; before that a SIGTERM would kill instead of drain.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    log.info("server.listening", host=settings.host, port=listener.getsockname()[1])
    try:
        server.run(sockets=[listener])
    finally:
        parts.close()
    log.info("server.stopped", exit_code=server.exit_code)
    return server.exit_code


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # Who connects from now on waits for the event loop instead of being refused.
    listener.listen(2048)
    return listener


def complain(message: str) -> None:
    """One line on stderr for a person who looks at why it did not start."""
    print(f"model-api: {' '.join(message.split())}", file=sys.stderr, flush=True)  # noqa: T201


def configure_logging(level: str) -> None:
    """JSON lines on stderr, or readable ones on a terminal; libraries' warnings as well."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """Standard library records as events of structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("library.message", logger=record.name, message=record.getMessage())
