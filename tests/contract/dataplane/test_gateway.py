"""HTTPRoutes keep the promises of every data plane, as far as they make them.

Left out is what :data:`sluice.dataplanes.gateway.CAPABILITIES` denies: users, leases, counters.
Endpoints are the Gateway's own business. The Gateway here reads the routes as specified.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.contract.dataplane.rigs import Answer
from tests.contract.dataplane.test_dataplane_contract import (
    test_a_header_forces_an_arm_and_is_counted_apart,
    test_a_host_belongs_to_one_release,
    test_a_preview_is_reached_by_host_and_by_header,
    test_all_weight_at_stable_leaves_the_candidate_without_a_request,
    test_an_older_generation_is_refused_and_the_newer_goes_on,
    test_mirrored_requests_are_counted_and_answer_nobody,
    test_releases_do_not_disturb_each_other,
    test_the_same_generation_with_another_routing_is_refused,
    test_weights_share_requests,
    test_without_a_lease_weight_stays,
)
from tests.support.gateway import Controller, serve
from tests.unit.dataplanes.gateway.test_plane import Clock

from sluice.dataplanes.gateway import (
    GatewaySettings,
    HttpRouteDataPlane,
    ParentRef,
    gateway_dataplane,
)
from sluice.dataplanes.gateway.routes import GENERATION
from sluice.errors import RoutingRefused
from sluice.kube.client import KubeClient
from sluice.kube.kinds import HTTP_ROUTE, SERVICE
from sluice.nouns import (
    Ack,
    ArmCounts,
    Capabilities,
    Counts,
    Endpoint,
    Fragment,
    Purpose,
    RevisionId,
    Routing,
)
from sluice.testing.kube import MemoryApi

__all__ = [
    "test_a_header_forces_an_arm_and_is_counted_apart",
    "test_a_host_belongs_to_one_release",
    "test_a_preview_is_reached_by_host_and_by_header",
    "test_all_weight_at_stable_leaves_the_candidate_without_a_request",
    "test_an_older_generation_is_refused_and_the_newer_goes_on",
    "test_mirrored_requests_are_counted_and_answer_nobody",
    "test_releases_do_not_disturb_each_other",
    "test_the_same_generation_with_another_routing_is_refused",
    "test_weights_share_requests",
    "test_without_a_lease_weight_stays",
]

PLACE = "ml/"
PARENT = ParentRef(namespace="shared", name="web")


class InNamespace:
    """The contract names releases without a namespace: here all are in one."""

    def __init__(self, plane: HttpRouteDataPlane, kube: KubeClient) -> None:
        self._plane, self._kube = plane, kube

    @property
    def capabilities(self) -> Capabilities:
        return self._plane.capabilities

    async def apply(self, fragment: Fragment) -> None:
        routing = fragment.routing
        for arm in routing.arms:
            name = f"{routing.release}-{arm.revision}"
            if await self._kube.get(SERVICE, name, "ml") is None:
                await self._kube.create(SERVICE.new(name, "ml", spec={"ports": [{"port": 80}]}))
        placed = replace(routing, release=PLACE + routing.release)
        try:
            await self._plane.apply(replace(fragment, routing=placed))
        except RoutingRefused as error:
            raise RoutingRefused(str(error).replace(PLACE, "")) from error

    async def remove(self, release: str) -> None:
        await self._plane.remove(PLACE + release)

    async def renew(self, releases: Sequence[str]) -> None:
        await self._plane.renew([PLACE + name for name in releases])

    async def acks(self) -> Sequence[Ack]:
        return [
            replace(ack, release=ack.release.removeprefix(PLACE))
            for ack in await self._plane.acks()
        ]


@dataclass
class GatewayRig:
    """Routes in memory, and requests that go where they say."""

    api: MemoryApi = field(default_factory=MemoryApi)
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    modes: dict[str, str] = field(default_factory=dict)
    seen: dict[tuple[str, str, Purpose], Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kube = self.api.client(namespace="ml")
        clock = Clock(Controller(self.kube, (PARENT,)))
        plane = gateway_dataplane(self.kube, GatewaySettings(parents=(PARENT,)), clock)
        self.plane = InNamespace(plane, self.kube)

    async def endpoints(self, revision: str, count: int = 1) -> tuple[Endpoint, ...]:
        return ()

    def behave(self, revision: str, mode: str) -> None:
        self.modes[revision] = mode

    async def send(
        self,
        routing: Routing,
        count: int = 1,
        *,
        users: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> list[Answer]:
        routes = await self.kube.list(HTTP_ROUTE)
        notes = {
            route["metadata"]["labels"]["sluice.dev/release"]: route["metadata"]["annotations"]
            for route in routes
        }
        answers = []
        for _ in range(count):
            served = serve(
                routes,
                host=host or routing.hosts[0],
                rng=self.rng,
                method="POST",
                path="/predict",
                headers=headers,
            )
            assert served is not None
            revision = served.service.removeprefix(f"{routing.release}-")
            purpose = self._purpose(routing, revision, headers or {}, host)
            status = self._count(routing.release, revision, purpose)
            for copy in served.copies:
                self._count(routing.release, copy.rpartition("-")[2], Purpose.MIRROR)
            generation = int(notes[routing.release][GENERATION])
            answers.append(Answer(status, revision, generation))
        return answers

    @staticmethod
    def _purpose(
        routing: Routing, revision: str, headers: Mapping[str, str], host: str | None
    ) -> Purpose:
        for arm in routing.arms:
            by_header = arm.match is not None and headers.get(arm.match.header) == arm.match.value
            if arm.revision == revision and (by_header or host in arm.hosts):
                return arm.purpose
        return Purpose.LIVE

    def _count(self, release: str, revision: str, purpose: Purpose) -> int:
        mode = self.modes.get(revision, "ok")
        status = int(mode) if mode.isdecimal() else 200
        before = self.seen.get((release, revision, purpose), Counts())
        one = Counts(total=1, errors=int(status >= 500))
        self.seen[release, revision, purpose] = before + one
        return status

    async def counts(
        self, release: str, revision: str, purpose: Purpose, total: int, *, timed: bool = True
    ) -> ArmCounts:
        """What the Gateway itself saw."""
        found = self.seen.get((release, revision, purpose), Counts())
        assert found.total == total
        return ArmCounts(revision=RevisionId(revision), purpose=purpose, counts=found)


@pytest.fixture
def rig() -> GatewayRig:
    return GatewayRig()
