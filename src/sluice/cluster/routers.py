"""The routers of one leadership: whom to speak to, and the doors that lead to them."""

import asyncio
from collections.abc import Sequence

from sluice.cluster.extras import Described
from sluice.cluster.settings import Settings
from sluice.connections import AgentAddress
from sluice.errors import SluiceError
from sluice.kube.client import KubeClient
from sluice.platforms.kubernetes.front import FrontDoor
from sluice.platforms.kubernetes.routers import RouterPods

DOORS_S = 1.0
"""So often every door is looked at; one that is as it should be costs no call."""

START_S = 60.0
"""A router that starts, or ends, is no problem of every release; one that does so for longer is."""


class Routers:
    """Router pods and front doors.

    Args:
        settings: Of the controller.
        client: For pods.
        doors: For Services and EndpointSlices alone: all of them change with a router.
        described: What is known of releases.
    """

    def __init__(
        self, settings: Settings, client: KubeClient, doors: KubeClient, described: Described
    ) -> None:
        self._described = described
        self._pods = RouterPods(
            client,
            namespace=settings.namespace,
            selector=settings.router_selector,
            agent_port=settings.agent_port,
        )
        self._doors = FrontDoor(
            doors,
            routers=self._pods.ready,
            router_namespace=settings.namespace,
            describe=described,
            namespaces=tuple(name for name in settings.namespaces if name is not None),
        )
        self._shut: dict[str, str] = {}
        """Why a release's door is not as it should be."""
        self._since: dict[str, float] = {}
        self._lasting: tuple[str, ...] = ()

    async def start(self) -> None:
        """Return once everything has been seen.

        Raises:
            RefusedError: it could not be listed in time.
        """
        await asyncio.gather(self._pods.start(), self._doors.start())

    async def close(self) -> None:
        """Follow no more; everything runs on."""
        await self._pods.stop()
        await self._doors.stop()

    def agents(self) -> Sequence[AgentAddress]:
        """Every router that can be spoken to; those that are not ready are not awaited."""
        ready = {pod.name for pod in self._pods.ready()}
        return [
            AgentAddress(name=agent.name, url=agent.url, awaited=agent.name in ready)
            for agent in self._pods.agents()
        ]

    def ready(self) -> Sequence[AgentAddress]:
        """Routers whose counters are read: one that does not answer must not hold every poll."""
        return [agent for agent in self.agents() if agent.awaited]

    def members(self) -> object:
        """Differs when a router comes, goes, or gets ready."""
        return tuple((agent.name, agent.url, agent.awaited) for agent in self.agents())

    def problems(self, key: str) -> Sequence[str]:
        """What is wrong with a release's door, and with routers for longer than a start takes."""
        door = self._shut.get(key)
        return (*([door] if door else ()), *self._lasting)

    def look(self, now_s: float) -> None:
        """Note which routers cannot be spoken to, and since when."""
        lines = {line.partition(":")[0]: line for line in self._pods.unreachable()}
        self._since = {name: self._since.get(name, now_s) for name in lines}
        self._lasting = tuple(
            line for name, line in lines.items() if now_s - self._since[name] >= START_S
        )

    async def leave(self, key: str) -> None:
        """A release is gone: so is its door."""
        self._shut.pop(key, None)
        if self._described(key) is not None:
            await self._doors.remove(key)

    async def keep_doors(self) -> None:
        """Keep the door of every release, for ever."""
        running = asyncio.get_running_loop()
        while True:
            self.look(running.time())
            for key in self._described.releases:
                try:
                    await self._doors.keep(key)
                    self._shut.pop(key, None)
                except SluiceError as error:
                    self._shut[key] = str(error)
            await asyncio.sleep(DOORS_S)
