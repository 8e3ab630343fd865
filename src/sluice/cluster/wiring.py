"""What a controller works with in a real cluster, by the data plane that it is set to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sluice.cluster.counted import NothingCaptured, NothingCounted
from sluice.cluster.extras import Described
from sluice.cluster.parts import Parts
from sluice.cluster.revisions import Cluster
from sluice.cluster.routers import Routers
from sluice.cluster.settings import Settings
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.gateway import (
    Acknowledge,
    GatewaySettings,
    gateway_dataplane,
    parse_parents,
)
from sluice.hooks.asker import Asker
from sluice.kube.client import KubeClient
from sluice.metrics.pairs import RouterPairs
from sluice.metrics.routers import RouterCounters
from sluice.ports import Clock, DataPlane, MetricSource, Pairs

PUSH_S = 8.0
"""Longest wait for one agent, seconds: Envoy has five of them to acknowledge."""
COUNTERS_S = 2.0
"""Longest wait for one router's counters, seconds; it answers in milliseconds."""
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
        described = Described()
        revisions = Cluster(settings, clients.objects, described, clock)
        stack.push_async_callback(revisions.close)
        asker = Asker(revisions.jobs)
        stack.push_async_callback(asker.close)
        if settings.data_plane == "gateway":
            plane = await stack.enter_async_context(_gateway(settings, clients, clock, described))
        else:
            plane = await stack.enter_async_context(_routers(settings, clients, described, epoch))

        async def prepare() -> None:
            await asyncio.gather(revisions.start(), plane.start())

        async def leave(key: str) -> None:
            await plane.leave(key)
            described.forget(key)

        yield Parts(
            objects=clients.objects,
            status=clients.status,
            platform=revisions.platform,
            changes=revisions.platform.wait_change,
            dataplane=plane.dataplane,
            metrics=plane.metrics,
            answers=plane.answers,
            hook=asker,
            digest=revisions.digest,
            describe=described.describe,
            assume=described.assume,
            admit=revisions.admit,
            leave=leave,
            routers=plane.members,
            router_url=settings.routers,
            problems=lambda key: (*revisions.platform.problems(key), *plane.problems(key)),
            counters=clients.counters,
            run=plane.run,
            prepare=prepare,
        )


@asynccontextmanager
async def _routers(
    settings: Settings,
    clients: Clients,
    described: Described,
    epoch: Callable[[], int | None],
) -> AsyncIterator["_Plane"]:
    routers = Routers(settings, clients.objects, clients.doors, described)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(routers.close)
        dataplane = AgentDataPlane(
            routers.agents, token=settings.token, timeout_s=PUSH_S, epoch=epoch
        )
        metrics = RouterCounters(routers.ready, token=settings.token, timeout_s=COUNTERS_S)
        answers = RouterPairs(routers.ready, token=settings.token)
        for part in (dataplane, metrics, answers):
            stack.push_async_callback(part.close)
        yield _Plane(
            dataplane=dataplane,
            metrics=metrics,
            answers=answers,
            start=routers.start,
            leave=routers.leave,
            members=routers.members,
            problems=routers.problems,
            run=(routers.keep_doors,),
        )


@asynccontextmanager
async def _gateway(
    settings: Settings, clients: Clients, clock: Clock, described: Described
) -> AsyncIterator["_Plane"]:
    gateway = GatewaySettings(
        parents=parse_parents(settings.gateways),
        acknowledge=Acknowledge(settings.gateway_acknowledge),
        version_header=settings.gateway_version_header,
        namespaces=tuple(name for name in settings.namespaces if name is not None),
    )
    yield _Plane(
        dataplane=gateway_dataplane(clients.objects, gateway, clock),
        metrics=NothingCounted(lambda: described.releases),
        answers=NothingCaptured(),
        start=_nothing,
        leave=_nothing,
        members=lambda: None,
        problems=lambda _: (),
        run=(),
    )


async def _nothing(*_: object) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class _Plane:
    """A data plane with what belongs to it; the fields are those of ``Parts``."""

    dataplane: DataPlane
    metrics: MetricSource
    answers: Pairs
    start: Callable[[], Awaitable[None]]
    leave: Callable[[str], Awaitable[None]]
    members: Callable[[], object]
    problems: Callable[[str], Sequence[str]]
    run: Sequence[Callable[[], Awaitable[None]]]
