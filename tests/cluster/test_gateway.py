"""HTTPRoutes at a real API server with the Gateway API's schemas; the Gateway is in this process.

The schemas come from the Go module of the Gateway API. They stay in the cluster: other tests may
use them.
"""

import asyncio
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.gateway import Controller
from tests.unit.dataplanes.gateway.test_routes import NAMES, translated

from sluice.dataplanes.gateway import GatewaySettings, ParentRef, gateway_dataplane
from sluice.errors import RoutingRefused, SpecError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CRD, HTTP_ROUTE, SERVICE
from sluice.nouns import BP_TOTAL, Ack, Arm, Fragment, Match, Purpose, RevisionId, Routing
from sluice.platforms.clock import SystemClock

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

GATEWAY_API = "sigs.k8s.io/gateway-api@v1.5.1"
V1, V2 = RevisionId("v1"), RevisionId("v2")
PARENT = ParentRef(namespace="shared", name="web")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The CustomResourceDefinition of HTTPRoutes, standard channel."""
    if shutil.which("go") is None:
        pytest.skip("no go on this machine: the Gateway API's schemas cannot be fetched")
    done = subprocess.run(
        ["go", "mod", "download", "-json", GATEWAY_API], capture_output=True, text=True, cwd="/"
    )
    if done.returncode:
        pytest.skip(f"{GATEWAY_API} cannot be fetched: {done.stdout} {done.stderr}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "standard"
    text = (folder / "gateway.networking.k8s.io_httproutes.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture
async def routes(kube: KubeClient, schema: dict[str, Any]) -> None:
    """The cluster takes HTTPRoutes."""
    await kube.apply(schema, manager="sluice-tests")
    async with asyncio.timeout(60):
        while True:
            known = await kube.get(CRD, schema["metadata"]["name"])
            conditions = (known or {}).get("status", {}).get("conditions") or []
            if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
                return
            await asyncio.sleep(0.2)


class Speaking(SystemClock):
    """While somebody waits, the Gateway speaks."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller

    async def sleep(self, seconds: float) -> None:
        await self._controller.look()
        await super().sleep(seconds)


@pytest.fixture
async def controller(kube: KubeClient, namespace: str, routes: None) -> Controller:
    for name in ("taxi-v1", "taxi-v2"):
        ports = [{"name": "http", "port": 80}]
        await kube.apply(
            SERVICE.new(name, namespace, spec={"clusterIP": "None", "ports": ports}),
            manager="sluice-tests",
        )
    return Controller(kube, (PARENT,), namespace=namespace)


def fragment(namespace: str, weight_bp: int, *more: Arm, generation: int = 1) -> Fragment:
    arms = (Arm(revision=V2, weight_bp=weight_bp), Arm(revision=V1, weight_bp=BP_TOTAL - weight_bp))
    routing = Routing(
        release=f"{namespace}/taxi",
        generation=generation,
        arms=(*arms, *more),
        hosts=(f"taxi.{namespace}",),
    )
    return Fragment(routing=routing, endpoints={V1: (), V2: ()})


@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_route_is_valid(
    kube: KubeClient, namespace: str, routes: None, name: str
) -> None:
    for route in translated(name):
        placed = {**route, "metadata": {**route["metadata"], "namespace": namespace}}
        await kube.apply(placed, manager="sluice-tests", dry_run=True)


async def test_a_route_that_breaks_the_schema_would_be_seen(
    kube: KubeClient, namespace: str, routes: None
) -> None:
    (route,) = translated("weighted")
    route["metadata"]["namespace"] = namespace
    route["spec"]["rules"][0]["timeouts"]["request"] = "1.5s"
    with pytest.raises(SpecError, match="request"):
        await kube.apply(route, manager="sluice-tests", dry_run=True)


async def test_a_journey_is_written_acknowledged_and_taken_away(
    kube: KubeClient, namespace: str, controller: Controller
) -> None:
    settings = GatewaySettings(parents=(PARENT,), timeout_s=30.0, namespaces=(namespace,))
    plane = gateway_dataplane(kube, settings, Speaking(controller))
    preview = Arm(
        revision=V2,
        purpose=Purpose.PREVIEW,
        hosts=(f"preview.{namespace}",),
        match=Match(header="x-preview", value="1"),
    )
    copies = Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=500)
    await plane.apply(fragment(namespace, 0, preview, copies))
    found = {r["metadata"]["name"]: r for r in await kube.list(HTTP_ROUTE, namespace)}
    assert set(found) == {"taxi", "taxi-v2-preview"}
    await plane.apply(fragment(namespace, 0, preview, copies))
    again = await kube.get(HTTP_ROUTE, "taxi", namespace)
    assert again is not None
    assert again["metadata"]["generation"] == found["taxi"]["metadata"]["generation"]
    await plane.apply(fragment(namespace, 2_500, generation=2))
    assert await plane.acks() == [
        Ack(router="shared/web", release=f"{namespace}/taxi", generation=2)
    ]
    assert [r["metadata"]["name"] for r in await kube.list(HTTP_ROUTE, namespace)] == ["taxi"]
    with pytest.raises(RoutingRefused, match="does not follow 2"):
        await plane.apply(fragment(namespace, 5_000, generation=1))
    await plane.remove(f"{namespace}/taxi")
    assert await kube.list(HTTP_ROUTE, namespace) == []


async def test_a_gateway_that_is_not_there_is_named(
    kube: KubeClient, namespace: str, controller: Controller
) -> None:
    controller.silent = True
    settings = GatewaySettings(parents=(PARENT,), timeout_s=2.0, namespaces=(namespace,))
    plane = gateway_dataplane(kube, settings, Speaking(controller))
    with pytest.raises(TransientError, match="Gateway shared/web has not accepted the HTTPRoute"):
        await plane.apply(fragment(namespace, 0))
    refusing = ("False", "NoMatchingListenerHostname", "no listener for this host")
    controller = replace(controller, silent=False, says={"Accepted": refusing})
    plane = gateway_dataplane(kube, settings, Speaking(controller))
    with pytest.raises(RoutingRefused, match="NoMatchingListenerHostname"):
        await plane.apply(fragment(namespace, 0))
