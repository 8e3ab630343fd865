"""The supervisor of one state folder: starts or adopts everything, serves until told to stop.

Killed with -9 it leaves router and replicas running: users lose nothing, the lease returns
candidate traffic to stable, and the next supervisor adopts all of it. SIGTERM and SIGINT stop
everything, after the requests under way.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from sluice.errors import StateError
from sluice.hooks.asker import Asker
from sluice.hooks.jobs import LocalJobs
from sluice.hooks.outbox import Outbox
from sluice.laptop.api import build_api
from sluice.laptop.deploy import Deployer
from sluice.laptop.library import Library
from sluice.laptop.router import LaptopRouter
from sluice.metrics.prometheus import PrometheusCounts
from sluice.outcomes import open_outcomes
from sluice.platforms.clock import SystemClock
from sluice.platforms.local.folder import StateFolder, state_errors
from sluice.platforms.local.journal import FileJournal
from sluice.platforms.local.options import LocalOptions
from sluice.platforms.local.platform import LocalPlatform
from sluice.runtime.abtest import AbTest
from sluice.runtime.loop import Loop
from sluice.runtime.queries import QueryJudge, query_targets
from sluice.runtime.shadow import ShadowJudge

log = structlog.get_logger()

SOCKET = "supervisor.sock"
DRAIN_CONFIRM_S = 5.0
"""A replica that leaves waits so long for the router to let go of it, when the agent is away."""


async def run(path: Path, *, port: int | None) -> None:
    """Supervise a state folder until SIGTERM, SIGINT or ``down``.

    Args:
        path: The state folder; made when it is missing.
        port: Where users connect; None: as before, at first 8080.

    Raises:
        RefusedError: another supervisor has the folder.
        StateError: the folder cannot be read or written, or the port is taken.
        TransientError: the router did not get ready.
    """
    with StateFolder.claim(path) as folder:
        await Supervisor(folder).run(port)


class Supervisor:
    """One process, one state folder."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._stop = asyncio.Event()
        self._drain = True
        self._started_ms = int(time.time() * 1000)

    async def run(self, port: int | None) -> None:
        """See :func:`run`."""
        folder = self._folder
        library = Library(folder.path / "documents.json")
        journal = FileJournal(folder.path / "releases")
        router = await LaptopRouter.start(folder, port=port)
        options = LocalOptions(drain_confirm_s=DRAIN_CONFIRM_S)
        platform = await LocalPlatform.open(folder, options=options)
        # Relative paths of outcomes start beside the state folder, wherever `sluice up` was typed.
        ab_tests = AbTest(partial(open_outcomes, folder=folder.path.absolute().parent))
        clock = SystemClock()
        asker = Asker(LocalJobs(folder.path.parent))
        outbox = Outbox(clock, kept=folder.path / "outbox.json")
        outbox.load()
        metrics = PrometheusCounts(
            router.metrics,
            lambda: query_targets(item.core for item in loop.releases.values()),
            clock,
        )
        loop = Loop(
            platform=platform,
            dataplane=router.dataplane,
            metrics=metrics,
            judges=(QueryJudge(metrics.faults), ShadowJudge(router.answers), ab_tests),
            journal=journal,
            clock=clock,
            hook=asker,
            notifier=outbox,
            router_url=lambda: router.url,
            hints=metrics.hints,
            on_removed=platform.confirm_removed,
        )
        await loop.load()
        deployer = Deployer(loop, router.dataplane, library)
        app = build_api(
            loop=loop,
            deployer=deployer,
            folder=folder,
            about=lambda: self._about(router),
            stop=self._ask_to_stop,
        )
        work = [asyncio.create_task(loop.run()), asyncio.create_task(_watch(platform, loop))]
        try:
            await self._serve(app, work)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await ab_tests.close()
            await loop.close()
            await outbox.close()
            await asker.close()
            await metrics.close()
            if self._drain:
                await router.stop()
                await platform.close(stop=True)
            else:
                await router.leave()
                await platform.close(stop=False)
            journal.close()
            (folder.path / SOCKET).unlink(missing_ok=True)
            log.info("supervisor.stopped", drained=self._drain)

    def _about(self, router: LaptopRouter) -> Mapping[str, Any]:
        return {
            "pid": os.getpid(),
            "version": version("sluice"),
            "router": {"url": router.url, **router.pids},
            "started_ms": self._started_ms,
        }

    def _ask_to_stop(self, drain: bool) -> None:
        self._drain = drain
        self._stop.set()

    async def _serve(self, app: Any, work: list[asyncio.Task[None]]) -> None:
        listener = _listen(self._folder.path / SOCKET)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        server = _Server(config)
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self._ask_to_stop, True)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(self._stop.wait())
        log.info("supervisor.serving", folder=str(self._folder.path))
        await asyncio.wait({serving, stopping, *work}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()
        await serving
        for task in work:
            if task.done():
                task.result()


def _listen(path: Path) -> socket.socket:
    """The socket that only this user can open; one that a killed supervisor left is replaced.

    Raises:
        StateError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with state_errors("listen on", path):
            path.unlink(missing_ok=True)
            listener.bind(str(path))
    except StateError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: stopping is the supervisor's business."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


async def _watch(platform: LocalPlatform, loop: Loop) -> None:
    """Tell the loop at once when a replica comes or goes."""
    seen = platform.version
    while True:
        seen = await platform.wait_change(seen)
        loop.nudge()
