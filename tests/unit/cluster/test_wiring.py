"""What a controller is wired to in a real cluster, on an API server in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from tests.unit.cluster.world import release

from sluice.cluster.counted import NothingCaptured
from sluice.cluster.extras import Described
from sluice.cluster.hosts import Hosts
from sluice.cluster.parts import Parts
from sluice.cluster.routers import Routers
from sluice.cluster.settings import Settings
from sluice.cluster.shelf import shelf_of
from sluice.cluster.wanted import Wanted, checked, wanted
from sluice.cluster.wiring import Clients, parts_of
from sluice.errors import SpecError, TransientError
from sluice.kube.kinds import DEPLOYMENT, ENDPOINT_SLICE, POD, SERVICE
from sluice.nouns import Capabilities
from sluice.testing.clock import VirtualClock
from sluice.testing.kube import MemoryApi

KEY = "ml/taxi"
LABELS = {"app.kubernetes.io/name": "sluice", "app.kubernetes.io/component": "router"}


@dataclass(kw_only=True)
class Rig:
    api: MemoryApi
    clients: Clients
    parts: Parts

    async def router(self, name: str, address: str, *, ready: bool) -> None:
        """A router pod whose agent runs."""
        pod = POD.new(name, "sluice-system", spec={"containers": []})
        pod["metadata"]["labels"] = LABELS
        await self.clients.objects.create(pod)
        status = {
            "podIP": address,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "agent", "state": {"running": {}}}],
        }
        await self.clients.objects.patch(
            POD, name, "sluice-system", {"status": status}, subresource="status"
        )


@asynccontextmanager
async def rig(**settings: Any) -> AsyncIterator[Rig]:
    api = MemoryApi()
    clients = Clients(
        objects=api.client(), doors=api.client(), status=api.client(), lease=api.client()
    )
    made = Settings(token=SecretStr("t"), **settings)
    async with parts_of(made, clients, VirtualClock(), lambda: 7) as parts:
        assert parts.prepare is not None
        await parts.prepare()
        yield Rig(api=api, clients=clients, parts=parts)


def asked(**spec: Any) -> Wanted:
    obj = release(**spec)
    obj["spec"].pop("policyRef")
    shelf = shelf_of("ml", [], [])
    hosts = Hosts(live=("taxi.ml",), preview=())
    return wanted(obj, checked(obj, shelf), shelf, hosts, Capabilities())


async def test_a_template_that_the_api_server_refuses_is_told_by_its_path() -> None:
    async with rig() as found:
        item = asked()
        found.parts.describe(item, "uid-1")
        await found.parts.admit(item.workload)
        assert await found.clients.objects.list(DEPLOYMENT, "ml") == []
        found.api.refuse("PATCH", DEPLOYMENT, 422, "spec.template.spec: no")
        with pytest.raises(SpecError, match="no"):
            await found.parts.admit(item.workload)


async def test_a_front_door_is_kept_and_goes_with_its_release() -> None:
    async with rig() as found:
        await found.router("router-a", "10.0.0.1", ready=True)
        found.parts.describe(asked(), "uid-1")
        await _until(lambda: bool(found.parts.routers()))
        (keep,) = found.parts.run
        await _once(keep)
        service = await found.clients.objects.get(SERVICE, "taxi", "ml")
        doors = await found.clients.objects.get(ENDPOINT_SLICE, "taxi-routers", "ml")
        assert service is not None
        assert doors is not None
        assert [item["addresses"] for item in doors["endpoints"]] == [["10.0.0.1"]]
        assert service["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
        await found.parts.leave(KEY)
        assert await found.clients.objects.get(SERVICE, "taxi", "ml") is None


async def test_a_service_of_somebody_else_is_a_problem_of_its_release() -> None:
    async with rig() as found:
        await found.clients.objects.create(SERVICE.new("taxi", "ml", spec={}))
        found.parts.describe(asked(), "uid-1")
        (keep,) = found.parts.run
        await _once(keep)
        assert "is not Sluice's" in " ".join(found.parts.problems(KEY))


async def test_routers_differ_when_one_comes_and_when_it_gets_ready() -> None:
    async with rig() as found:
        before = found.parts.routers()
        await found.router("router-a", "10.0.0.1", ready=False)
        await _until(lambda: found.parts.routers() != before)
        starting = found.parts.routers()
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        await found.clients.objects.patch(
            POD, "router-a", "sluice-system", {"status": status}, subresource="status"
        )
        await _until(lambda: found.parts.routers() != starting)


async def test_a_gateway_has_neither_counters_nor_doors() -> None:
    async with rig(data_plane="gateway", gateways="infra/main") as found:
        assert found.parts.dataplane.capabilities.counters is False
        found.parts.describe(asked(), "uid-1")
        assert await found.parts.metrics.read() == {KEY: ()}
        assert found.parts.run == ()
        with pytest.raises(TransientError):
            await NothingCaptured().read(KEY, {})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"data_plane": "gateway"}, id="gateway-without-gateways"),
        pytest.param({"gateways": "a/b"}, id="gateways-without-gateway"),
    ],
)
def test_a_gateway_and_its_name_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        Settings(token=SecretStr("t"), **given)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # the watch tells nobody outside
            await asyncio.sleep(0.01)


async def _once(keep: Any) -> None:
    """Keep doors until it would sleep."""
    task = asyncio.create_task(keep())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_router_that_starts_is_no_problem_and_one_that_never_does_is() -> None:
    api = MemoryApi()
    routers = Routers(Settings(token=SecretStr("t")), api.client(), api.client(), Described())
    await routers.start()
    pod = POD.new("router-a", "sluice-system", spec={"containers": []})
    pod["metadata"]["labels"] = LABELS
    await api.client().create(pod)
    async with asyncio.timeout(5):
        while not routers._pods.unreachable():  # noqa: ASYNC110  # the watch tells nobody outside
            await asyncio.sleep(0.01)
    routers.look(100.0)
    assert routers.problems(KEY) == ()
    routers.look(161.0)
    assert len(routers.problems(KEY)) == 1
    assert "router-a" in routers.problems(KEY)[0]
    await routers.close()
