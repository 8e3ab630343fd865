"""Routes at an API server in memory, with a Gateway beside it that speaks or is silent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from tests.support.gateway import Controller

from sluice.dataplanes.gateway import (
    CAPABILITIES,
    Acknowledge,
    GatewaySettings,
    ParentRef,
    gateway_dataplane,
)
from sluice.errors import RoutingRefused, TransientError
from sluice.kube.kinds import HTTP_ROUTE, RELEASE, SERVICE
from sluice.nouns import BP_TOTAL, Ack, Arm, Fragment, Purpose, RevisionId, Routing
from sluice.testing.kube import MemoryApi

V1, V2 = RevisionId("v1"), RevisionId("v2")
WEB = ParentRef(namespace="shared", name="web")
EDGE = ParentRef(namespace="edge", name="inner", section="http")
SETTINGS = GatewaySettings(parents=(WEB, EDGE), timeout_s=5.0)


@dataclass
class Clock:
    """Time that goes by while somebody waits; the Gateways speak meanwhile."""

    controller: Controller
    ms: int = 0

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        await self.controller.look()


@dataclass
class World:
    settings: GatewaySettings = SETTINGS
    api: MemoryApi = field(default_factory=MemoryApi)

    def __post_init__(self) -> None:
        self.kube = self.api.client()
        self.controller = Controller(self.kube, self.settings.parents)
        self.clock = Clock(self.controller)
        self.plane = gateway_dataplane(self.kube, self.settings, self.clock)

    async def services(self, *names: str, namespace: str = "ml") -> None:
        for name in names:
            ports = [{"name": "grpc", "port": 9000}, {"name": "http", "port": 8080}]
            await self.kube.create(SERVICE.new(name, namespace, spec={"ports": ports}))

    async def routes(self, namespace: str = "ml") -> Mapping[str, dict]:  # type: ignore[type-arg]  # documents
        return {r["metadata"]["name"]: r for r in await self.kube.list(HTTP_ROUTE, namespace)}


@pytest.fixture
async def world() -> World:
    made = World()
    await made.services("taxi-v1", "taxi-v2")
    return made


def fragment(
    weight_bp: int, *more: Arm, release: str = "ml/taxi", generation: int = 1, host: str = "taxi.ml"
) -> Fragment:
    arms = (Arm(revision=V2, weight_bp=weight_bp), Arm(revision=V1, weight_bp=BP_TOTAL - weight_bp))
    routing = Routing(release=release, generation=generation, arms=(*arms, *more), hosts=(host,))
    return Fragment(routing=routing, endpoints={V1: (), V2: ()})


async def test_a_routing_is_written_and_served_when_every_gateway_says_so(world: World) -> None:
    await world.plane.apply(fragment(500))
    (route,) = (await world.routes()).values()
    weights = {
        b["name"]: (b["port"], b["weight"]) for b in route["spec"]["rules"][0]["backendRefs"]
    }
    assert weights == {"taxi-v2": (8080, 500), "taxi-v1": (8080, 9_500)}
    assert await world.plane.acks() == [
        Ack(router="edge/inner:http", release="ml/taxi", generation=1),
        Ack(router="shared/web", release="ml/taxi", generation=1),
    ]


async def test_applied_again_it_is_the_same_version(world: World) -> None:
    await world.plane.apply(fragment(500))
    before = (await world.routes())["taxi"]["metadata"]["generation"]
    waited = world.clock.ms
    await world.plane.apply(fragment(500))
    assert (await world.routes())["taxi"]["metadata"]["generation"] == before
    assert world.clock.ms == waited


async def test_a_preview_host_is_a_route_of_its_own_and_goes_with_the_preview(world: World) -> None:
    preview = Arm(revision=V2, purpose=Purpose.PREVIEW, hosts=("preview.taxi.ml",))
    await world.plane.apply(fragment(0, preview))
    assert set(await world.routes()) == {"taxi", "taxi-v2-preview"}
    await world.plane.apply(fragment(BP_TOTAL, generation=2))
    assert set(await world.routes()) == {"taxi"}


async def test_the_release_owns_its_routes(world: World) -> None:
    release = await world.kube.create(RELEASE.new("taxi", "ml", spec={}))
    await world.plane.apply(fragment(0))
    (owner,) = (await world.routes())["taxi"]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Release", release["metadata"]["uid"])


async def test_a_gateway_that_refuses_is_quoted(world: World) -> None:
    why = ("False", "UnsupportedValue", "filter RequestMirror is not supported")
    world.controller.says = {"Accepted": why}
    with pytest.raises(
        RoutingRefused, match=r"Gateway shared/web refuses .* UnsupportedValue: filt"
    ):
        await world.plane.apply(fragment(500))
    acks = await world.plane.acks()
    assert {ack.generation for ack in acks} == {0}
    assert all("UnsupportedValue" in ack.error for ack in acks)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"silent": True}, "it has said nothing of it", id="silent"),
        pytest.param({"behind": 1}, "an older version", id="behind"),
        pytest.param(
            {
                "says": {
                    "Accepted": ("True", "Accepted", ""),
                    "ResolvedRefs": ("False", "BackendNotFound", "no Service taxi-v2"),
                }
            },
            "BackendNotFound: no Service taxi-v2",
            id="service-is-late",
        ),
    ],
)
async def test_a_gateway_that_has_not_accepted_is_waited_for_and_then_named(
    world: World, change: dict[str, object], said: str
) -> None:
    for name, value in change.items():
        setattr(world.controller, name, value)
    with pytest.raises(TransientError, match=said) as caught:
        await world.plane.apply(fragment(500))
    assert "does a controller run for its class" in str(caught.value)
    assert world.clock.ms >= 5_000
    assert {ack.generation for ack in await world.plane.acks()} == {0}


async def test_a_gateway_that_writes_no_status_can_be_taken_at_the_api_servers_word() -> None:
    world = World(replace(SETTINGS, acknowledge=Acknowledge.WRITTEN))
    world.controller.silent = True
    await world.services("taxi-v1", "taxi-v2")
    await world.plane.apply(fragment(500))
    assert world.clock.ms == 0
    assert {ack.generation for ack in await world.plane.acks()} == {1}


async def test_an_older_generation_and_another_routing_of_the_same_are_refused(
    world: World,
) -> None:
    await world.plane.apply(fragment(500, generation=5))
    for late in (fragment(900, generation=4), fragment(900, generation=5)):
        with pytest.raises(RoutingRefused, match="does not follow 5"):
            await world.plane.apply(late)
    ack = (await world.plane.acks())[0]
    assert (ack.generation, "does not follow 5" in ack.error) == (5, True)
    await world.plane.apply(fragment(900, generation=6))
    assert (await world.plane.acks())[0].error == ""


async def test_a_host_belongs_to_one_release_in_all_namespaces(world: World) -> None:
    await world.plane.apply(fragment(0))
    await world.services("cab-v1", "cab-v2", namespace="other")
    with pytest.raises(RoutingRefused, match=r"taxi\.ml belongs to release ml/taxi"):
        await world.plane.apply(fragment(0, release="other/cab", host="TAXI.ml"))


async def test_removal_takes_every_route_of_the_release_and_no_other(world: World) -> None:
    preview = Arm(revision=V2, purpose=Purpose.PREVIEW, hosts=("preview.taxi.ml",))
    await world.services("cab-v1", "cab-v2")
    await world.plane.apply(fragment(0, preview))
    await world.plane.apply(fragment(0, release="ml/cab", host="cab.ml"))
    foreign = HTTP_ROUTE.new("somebodys", "ml", spec={"hostnames": ["x.ml"]})
    await world.kube.create(foreign)
    await world.plane.remove("ml/taxi")
    await world.plane.remove("ml/never-there")
    assert set(await world.routes()) == {"cab", "somebodys"}
    assert {ack.release for ack in await world.plane.acks()} == {"ml/cab"}


async def test_a_service_that_is_not_there_yet_is_waited_for(world: World) -> None:
    with pytest.raises(TransientError, match="Service ml/cab-v2 is not there yet"):
        await world.plane.apply(fragment(0, release="ml/cab"))


async def test_what_the_api_server_does_not_take_is_refused_with_its_words(world: World) -> None:
    world.api.refuse("PATCH", HTTP_ROUTE, 422, "spec.rules[0]: too many")
    with pytest.raises(RoutingRefused, match=r"the API server refuses the HTTPRoute: .*too many"):
        await world.plane.apply(fragment(0))


async def test_an_api_server_that_cannot_be_reached_is_transient(world: World) -> None:
    await world.plane.apply(fragment(0))
    world.api.unreachable = "connection refused"
    with pytest.raises(TransientError, match="connection refused"):
        await world.plane.apply(fragment(500, generation=2))
    await world.plane.renew(["ml/taxi"])


def test_it_says_what_it_cannot_do(world: World) -> None:
    assert world.plane.capabilities is CAPABILITIES
    lacks = [
        name
        for name in ("sticky", "shield", "counters", "lease", "capture")
        if not getattr(CAPABILITIES, name)
    ]
    assert len(lacks) == 5
    assert CAPABILITIES.weights
    assert CAPABILITIES.forced
    assert CAPABILITIES.preview
    assert CAPABILITIES.mirror
