"""The controller: waits for its turn, leads until another does or it is told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice.cluster.gauges import Gauges
from sluice.cluster.health import Server, build_app
from sluice.cluster.leading import Leadership
from sluice.cluster.lease import Elector
from sluice.cluster.parts import Parts
from sluice.cluster.settings import Settings
from sluice.errors import SluiceError
from sluice.kube.client import KubeClient
from sluice.ports import Clock

T = TypeVar("T")
log = structlog.get_logger()

LEASE = "sluice-controller"
STUCK_S = 60.0
"""A loop that has made no turn for so long is taken for dead: the process is started anew."""

Watch = Callable[[Leadership], Awaitable[None]]
"""Tells a leadership of objects that change, for ever."""
MakeParts = Callable[[Callable[[], int | None]], contextlib.AbstractAsyncContextManager[Parts]]
"""Makes what a leadership works with, given what says its epoch."""


class Controller:
    """One process of several, of which one leads.

    Args:
        settings: Of this process.
        clock: Time.
        lease: A client for the lease alone.
        parts: Makes what a leadership works with.
        watch: Follows the objects of the cluster while this process leads.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        lease: KubeClient,
        parts: MakeParts,
        watch: Watch,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._parts = parts
        self._watch = watch
        self.gauges = Gauges()
        self.elector = Elector(
            lease,
            clock,
            name=LEASE,
            namespace=settings.namespace,
            pod=settings.name,
            lease_s=settings.lease_seconds,
        )
        self.leadership: Leadership | None = None
        """While this process leads."""
        self._stop = asyncio.Event()
        self._epoch: int | None = None

    def stop(self) -> None:
        """Give the lease back and end."""
        self._stop.set()

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT, with health and metrics."""
        app = build_app(alive=self.not_alive, ready=lambda: "", metrics=self.gauges.text)
        server = Server(app, host=self._settings.host, port=self._settings.port)
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self.stop)
        serving = asyncio.create_task(server.serve())
        leading = asyncio.create_task(self.run())
        log.info("controller.started", name=self._settings.name, port=self._settings.port)
        await asyncio.wait({serving, leading}, return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await leading
        server.should_exit = True
        await serving
        log.info("controller.stopped")

    async def run(self) -> None:
        """Wait, lead, wait again, until :meth:`stop`."""
        while not self._stop.is_set():
            held = await self._unless_stopped(self.elector.acquire())
            if held is None:
                break
            self._epoch = held.epoch
            self.gauges.epoch.set(held.epoch)
            log.info("controller.leads", identity=self.elector.identity, epoch=held.epoch)
            try:
                await self._lead()
            finally:
                self.leadership = None
                self.gauges.leader.set(0)
                await self.elector.release()
            # Whatever broke here may not be broken there: the others look first.
            await self._unless_stopped(self._clock.sleep(2 * self.elector.every_s))

    def not_alive(self) -> str:
        """Why the process should be started anew; empty: it need not."""
        leadership = self.leadership
        if leadership is None or leadership.turned_s < STUCK_S:
            return ""
        return f"the loop has made no turn for {leadership.turned_s:.0f} s"

    async def _lead(self) -> None:
        """Lead until another does, something breaks, or this is told to stop."""
        # Renewed from the start: reading back a thousand releases may take longer than the lease.
        keeping = asyncio.create_task(self.elector.keep())
        stopping = asyncio.create_task(self._stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({keeping, stopping, working}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                log.warning("controller.follows", leader=keeping.result())
        finally:
            for task in (keeping, stopping, working):
                task.cancel()
            await asyncio.gather(keeping, stopping, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _work(self) -> None:
        """Do a leader's work until something breaks."""
        try:
            async with self._parts(lambda: self._epoch) as parts:
                leadership = Leadership(self._settings, parts, self._clock, self.gauges)
                async with leadership.working() as tasks:
                    self.leadership = leadership
                    self.gauges.leader.set(1)
                    watching = asyncio.ensure_future(self._watch(leadership))
                    try:
                        await asyncio.wait({watching, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                        for task in (watching, *tasks):
                            if task.done():
                                task.result()
                    finally:
                        watching.cancel()
                        await asyncio.gather(watching, return_exceptions=True)
        except SluiceError as error:
            log.error("controller.cannot_lead", problem=str(error))

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """What the work gives; None when this was told to stop before."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
