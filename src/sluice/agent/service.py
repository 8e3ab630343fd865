"""A running agent: its parts put together, its background work, its server."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette

from sluice.agent.api import build_api
from sluice.agent.callers import Callers
from sluice.agent.captures import Captures
from sluice.agent.catcher import Catcher
from sluice.agent.cluster import ClusterWatch
from sluice.agent.core import RETRY_S, Agent
from sluice.agent.intake import Intake
from sluice.agent.rendering import Renderer
from sluice.agent.sampler import Sampler
from sluice.agent.settings import Settings
from sluice.agent.store import FragmentStore
from sluice.agent.users import BadUsers
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.dataplanes.envoyfiles import EnvoyFiles
from sluice.errors import RoutingRefused, StateError, TransientError
from sluice.kube.client import KubeClient
from sluice.nouns import Routing

log = structlog.get_logger(__name__)

WINDOW_MARGIN_S = 2.0
"""An answer waits for its counterpart so much longer than a copy may take, seconds."""


def build_agent(settings: Settings, admin: EnvoyAdmin) -> Agent:
    """The agent of a router, with everything that is on disk taken up again."""
    layout = settings.layout
    agent = Agent(
        name=settings.name,
        sink=EnvoyFiles(layout, admin, ack_timeout_s=settings.ack_timeout_s),
        renderer=Renderer(eds_dir=str(layout.endpoints), limits=settings.limits),
        store=FragmentStore(layout.state / "fragments"),
        now_s=time.monotonic,
        linger_s=settings.linger_s,
    )
    agent.restore()
    return agent


@contextlib.asynccontextmanager
async def running(settings: Settings, client: KubeClient | None = None) -> AsyncIterator[Starlette]:
    """The agent at work, as an application that still needs a server.

    Args:
        settings: Of this router.
        client: The API server that ``settings.cluster`` asks for; None: the pod's own.

    Raises:
        StateError: a router of a cluster without an account there; a folder cannot be read.
    """
    async with EnvoyAdmin(settings.layout.admin_socket) as admin:
        agent = build_agent(settings, admin)
        if not await _envoy_answers(admin):
            agent.prepare()
        sampler = Sampler(
            name=settings.name,
            admin=admin,
            ledger_path=settings.layout.state / "ledger.json",
            fragments=lambda: agent.fragments,
            users=BadUsers(settings.layout.bad_answers, lambda: _salts(agent)),
        )
        captures = Captures(
            router=settings.name,
            routing_of=lambda release: _capturing(agent, release),
            now_s=time.monotonic,
            window_s=settings.mirror_timeout_ms / 1000 + WINDOW_MARGIN_S,
            memory_bytes=settings.capture_memory_bytes,
        )
        callers = Callers(settings.layout.state / "epoch", time.monotonic)
        intake = _Server(_config(Intake(captures)))
        socket_path = settings.layout.capture_socket
        work = [
            asyncio.create_task(intake.serve(sockets=[_unix_socket(socket_path)])),
            asyncio.create_task(_confirm(agent)),
            asyncio.create_task(agent.watch_leases()),
            asyncio.create_task(sampler.run(settings.sample_interval_s)),
            asyncio.create_task(_sweep(agent, sampler, settings.sample_interval_s)),
        ]
        watch: ClusterWatch | None = None
        if settings.cluster:
            client = client or KubeClient.connect()
            places = [place.strip() for place in settings.namespaces.split(",") if place.strip()]
            watch = ClusterWatch(agent, callers, client, namespaces=places)
            work.append(asyncio.create_task(watch.run()))
            work.append(asyncio.create_task(_stand_in(Catcher(settings.listen, admin))))
        try:
            yield build_api(
                agent,
                sampler,
                admin,
                captures,
                callers,
                token=settings.token.get_secret_value(),
                waiting_for=lambda: watch.waiting_for if watch else "",
            )
        finally:
            intake.stop()
            for task in work[1:]:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if settings.cluster and client is not None:
                await client.close()
            sampler.save()


def _capturing(agent: Agent, release: str) -> Routing | None:
    fragment = agent.fragment(release)
    if fragment is None or fragment.routing.capture is None:
        return None
    return fragment.routing


def _salts(agent: Agent) -> dict[str, str]:
    """What users are hashed with, of releases whose users are sticky."""
    return {
        release: fragment.routing.sticky.salt
        for release, fragment in agent.fragments.items()
        if fragment.routing.sticky is not None
    }


async def _envoy_answers(admin: EnvoyAdmin) -> bool:
    try:
        await admin.get("/ready")
    except TransientError:
        return False
    return True


async def _stand_in(catcher: Catcher) -> None:
    try:
        await catcher.run()
    except StateError as error:
        # A router without it serves as well as one with it, until Envoy is killed.
        log.error("agent.no_stand_in", reason=str(error))


async def _confirm(agent: Agent) -> None:
    while True:
        try:
            await agent.confirm()
        except TransientError:
            await asyncio.sleep(RETRY_S)
        else:
            log.info("agent.ready", releases=len(agent.fragments))
            return


async def _sweep(agent: Agent, sampler: Sampler, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            if agent.has_ripe:
                await sampler.tallies()
                await agent.sweep(sampler.is_busy)
        except (TransientError, RoutingRefused, StateError) as error:
            log.warning("agent.sweep_failed", reason=str(error))


def open_socket(settings: Settings) -> socket.socket:
    """The socket that the API listens on.

    Raises:
        StateError: it is taken, or cannot be made; says which and what to do.
    """
    if settings.uds is not None:
        return _unix_socket(settings.uds)
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise StateError(
            f"the agent cannot listen on {settings.host}:{settings.port}: {error.strerror};"
            " set SLUICE_ROUTER_PORT to a free port, or stop what uses this one"
        ) from error
    return listener


def _unix_socket(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise StateError(f"the agent cannot listen on {path}: {error}") from error
    return listener


async def serve(settings: Settings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        StateError: its port is taken, or its folder cannot be written.
    """
    listener = open_socket(settings)
    async with running(settings) as app:
        server = _Server(_config(app))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        await server.serve(sockets=[listener])


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
    )


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: it would raise the signal again at the end."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield

    def stop(self) -> None:
        """Finish the requests under way, then end."""
        self.should_exit = True
