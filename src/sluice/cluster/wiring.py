"""What a controller works with in a real cluster: routers' agents, and the API server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from sluice.cluster.extras import Described
from sluice.cluster.parts import Parts
from sluice.cluster.settings import Settings
from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.errors import SluiceError
from sluice.hooks.asker import Asker
from sluice.hooks.kube_jobs import JobPlace, KubeJobs, place_like
from sluice.kube.client import KubeClient
from sluice.metrics.pairs import RouterPairs
from sluice.metrics.routers import RouterCounters
from sluice.nouns import Job, RevisionId, Workload
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.front import FrontDoor
from sluice.platforms.kubernetes.names import MANAGER
from sluice.platforms.kubernetes.objects import MadeFrom, deployment
from sluice.platforms.kubernetes.platform import KubePlatform
from sluice.platforms.kubernetes.routers import RouterPods
from sluice.platforms.kubernetes.tracked import TrackedReader
from sluice.ports import Clock
from sluice.spec import Release

log = structlog.get_logger()

PUSH_S = 8.0
"""Longest wait for one agent, seconds: Envoy has five of them to acknowledge."""
COUNTERS_S = 2.0
"""Longest wait for one router's counters, seconds; it answers in milliseconds."""
DOORS_S = 1.0
LEASE_QPS = 5.0
STATUS_QPS = 40.0


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Clients of the API server, each with a budget of its own."""

    objects: KubeClient
    doors: KubeClient
    status: KubeClient
    lease: KubeClient

    def counters(self) -> Iterator[tuple[str, str, float]]:
        """Requests to the API server since the start."""
        every = (self.objects, self.doors, self.status, self.lease)
        text = "Requests to the API server, watches not counted"
        yield "sluice_controller_api_calls", text, sum(item.calls for item in every)

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings) -> AsyncIterator["Clients"]:
        """All of them.

        Raises:
            StateError: there is no API server to talk to.
        """
        async with AsyncExitStack() as stack:

            def client(qps: float) -> KubeClient:
                found = KubeClient.connect(qps=qps)
                stack.push_async_callback(found.close)
                return found

            yield cls(
                objects=client(settings.qps),
                doors=client(settings.qps),
                status=client(STATUS_QPS),
                lease=client(LEASE_QPS),
            )


class Cluster:
    """Platform, front doors and routers of one leadership.

    Args:
        settings: Of the controller.
        clients: Of the API server.
        clock: Time.
    """

    def __init__(self, settings: Settings, clients: Clients, clock: Clock) -> None:
        namespaces = tuple(name for name in settings.namespaces if name is not None)
        self.described = Described()
        self.routers = RouterPods(
            clients.objects,
            namespace=settings.namespace,
            selector=settings.router_selector,
            agent_port=settings.agent_port,
        )
        self.caches = Caches(clients.objects, namespaces=namespaces)
        self.platform = KubePlatform(
            clients.objects, self.caches, describe=self.described, clock=clock
        )
        self.doors = FrontDoor(
            clients.doors,
            routers=self.routers.ready,
            router_namespace=settings.namespace,
            describe=self.described,
            namespaces=namespaces,
        )
        self.tracked = TrackedReader(clients.objects)
        self._client = clients.objects
        self._clock = clock
        self._closed_doors: dict[str, str] = {}

    async def prepare(self) -> None:
        """Return once everything has been seen.

        Raises:
            RefusedError: it could not be listed in time.
        """
        await asyncio.gather(self.routers.start(), self.caches.start(), self.doors.start())

    def agents(self) -> Sequence[AgentAddress]:
        """Every router that can be spoken to; those that are not ready are not awaited."""
        ready = {pod.name for pod in self.routers.ready()}
        return [
            AgentAddress(name=agent.name, url=agent.url, awaited=agent.name in ready)
            for agent in self.routers.agents()
        ]

    def ready(self) -> Sequence[AgentAddress]:
        """Routers whose counters are read: one that does not answer must not hold every poll."""
        return [agent for agent in self.agents() if agent.awaited]

    def members(self) -> object:
        """Differs when a router comes, goes, or is started anew in its pod."""
        return tuple((agent.name, agent.url, agent.awaited) for agent in self.agents())

    async def digest(self, key: str, release: Release) -> str:
        """Of what a release's tracked config holds now."""
        tracked = release.spec.tracked
        if tracked is None:
            return ""
        config = await self.tracked.read(
            key,
            key.partition("/")[0],
            config_maps=tracked.config_maps,
            secrets=tracked.secrets,
        )
        self.described.read(key, config)
        return config.digest

    async def admit(self, workload: Workload) -> None:
        """Ask whether the API server takes a revision's Deployment.

        Raises:
            SpecError: it does not: every cause, by its path in the Release.
        """
        extras = self.described(workload.release)
        if extras is None:
            return
        config = extras.tracked.get(workload.revision)
        made_from = MadeFrom(
            config_maps=extras.config_maps,
            secrets_hash=config.secrets_hash if config else "",
        )
        obj = deployment(workload, 0, extras.owner, made_from, sized=True)
        await self._client.apply(obj, manager=MANAGER, dry_run=True)

    def place(self, job: Job) -> JobPlace | None:
        """Where a program that checks a candidate runs: like the candidate's own pods."""
        namespace, name = job.env["SLUICE_NAMESPACE"], job.env["SLUICE_RELEASE"]
        key = f"{namespace}/{name}"
        workload = self.platform.workload(key, RevisionId(job.env["SLUICE_REVISION"]))
        extras = self.described(key)
        if workload is None or extras is None:
            return None
        owner = extras.owner.reference() | {"controller": False}
        return place_like(workload.template, namespace=namespace, owner=owner)

    async def leave(self, key: str) -> None:
        """A release is gone: so is its front door."""
        self._closed_doors.pop(key, None)
        if self.described(key) is not None:
            await self.doors.remove(key)
        self.described.forget(key)

    async def keep_doors(self) -> None:
        """Keep the front door of every release, for ever."""
        while True:
            for key in self.described.releases:
                try:
                    await self.doors.keep(key)
                    self._closed_doors.pop(key, None)
                except SluiceError as error:
                    self._closed_doors[key] = str(error)
            await self._clock.sleep(DOORS_S)

    def problems(self, key: str) -> Sequence[str]:
        """What is wrong with a release's objects, and with routers."""
        door = self._closed_doors.get(key)
        return (
            *self.platform.problems(key),
            *([door] if door else ()),
            *self.routers.unreachable(),
        )

    async def close(self) -> None:
        """Follow no more; everything runs on."""
        await self.platform.close()
        for part in (self.routers, self.caches, self.doors):
            await part.stop()


@asynccontextmanager
async def parts_of(
    settings: Settings,
    clients: Clients,
    clock: Clock,
    epoch: Callable[[], int | None],
) -> AsyncIterator[Parts]:
    """Everything that a leadership works with, until it ends.

    Args:
        settings: Of the controller.
        clients: Of the API server.
        clock: Time.
        epoch: Number of the leadership.
    """
    async with AsyncExitStack() as stack:
        cluster = Cluster(settings, clients, clock)
        stack.push_async_callback(cluster.close)
        dataplane = AgentDataPlane(
            cluster.agents, token=settings.token, timeout_s=PUSH_S, epoch=epoch
        )
        counters = RouterCounters(cluster.ready, token=settings.token, timeout_s=COUNTERS_S)
        answers = RouterPairs(cluster.ready, token=settings.token)
        asker = Asker(KubeJobs(clients.objects, place=cluster.place))
        for part in (dataplane, counters, answers, asker):
            stack.push_async_callback(part.close)
        yield Parts(
            objects=clients.objects,
            status=clients.status,
            platform=cluster.platform,
            changes=cluster.platform.wait_change,
            dataplane=dataplane,
            metrics=counters,
            answers=answers,
            hook=asker,
            digest=cluster.digest,
            describe=cluster.described.describe,
            admit=cluster.admit,
            leave=cluster.leave,
            routers=cluster.members,
            router_url=settings.routers,
            problems=cluster.problems,
            counters=clients.counters,
            run=(cluster.keep_doors,),
            prepare=cluster.prepare,
        )
