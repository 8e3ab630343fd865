"""The platform on a real cluster: Deployments, autoscalers, drains, repairs, refusals."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.support.cluster import PYTHON_IMAGE

from sluice.errors import SpecError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HPA,
    PDB,
    POD,
    SERVICE,
)
from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.clock import SystemClock
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.extras import Owner, RevisionExtras
from sluice.platforms.kubernetes.front import FrontDoor
from sluice.platforms.kubernetes.platform import KubePlatform
from sluice.platforms.kubernetes.routers import RouterPods
from sluice.platforms.kubernetes.tracked import TrackedReader

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["SLUICE_REVISION"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8080), H).serve_forever()
"""


def template(**container: Any) -> dict[str, Any]:
    """A small server that says its revision."""
    item = {
        "name": "model",
        "image": PYTHON_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVER],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "0.01", "memory": "16Mi"}},
    }
    return {"spec": {"containers": [item | container], "terminationGracePeriodSeconds": 5}}


@dataclass(kw_only=True)
class Rig:
    kube: KubeClient
    namespace: str
    platform: KubePlatform
    extras: RevisionExtras
    calls: list[str] = field(default_factory=list)

    def workload(self, revision: str, **container: Any) -> Workload:
        return Workload(
            release=self.key, revision=RevisionId(revision), template=template(**container)
        )

    @property
    def key(self) -> str:
        return f"{self.namespace}/taxi"

    async def see(self, revision: str) -> Replicas | None:
        found = await self.platform.observe(self.key)
        return next((item for item in found if item.revision == revision), None)

    async def until(
        self, condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 60
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await condition():  # noqa: ASYNC110  # a cluster tells nobody
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"{what}: {await self.platform.observe(self.key)}")

    async def ready(self, revision: str, count: int) -> Replicas:
        async def so_many() -> bool:
            seen = await self.see(revision)
            return seen is not None and len(seen.ready) == count

        await self.until(so_many, f"{revision} never had {count} ready")
        seen = await self.see(revision)
        assert seen is not None
        return seen

    async def says(self, revision: str, words: str, seconds: float = 60) -> None:
        async def so() -> bool:
            seen = await self.see(revision)
            return seen is not None and words in seen.message

        await self.until(so, f"{revision} never said {words!r}", seconds)

    async def get(self, kind: Any, name: str = "taxi-v1") -> dict[str, Any] | None:
        return await self.kube.get(kind, name, self.namespace)


@pytest.fixture
async def rig(kube: KubeClient, namespace: str, python_image: str) -> AsyncIterator[Rig]:
    # Any object can own: the CRD of Releases may not be installed.
    made = await kube.create(CONFIG_MAP.new("taxi", namespace))
    owner = Owner(
        name="taxi",
        namespace=namespace,
        uid=made["metadata"]["uid"],
        api_version="v1",
        kind="ConfigMap",
    )
    caches = Caches(kube, namespaces=[namespace])
    await caches.start()
    rig = Rig(
        kube=kube,
        namespace=namespace,
        extras=RevisionExtras(owner=owner),
        platform=KubePlatform(kube, caches, describe=lambda _: rig.extras, clock=SystemClock()),
    )
    yield rig
    await rig.platform.close()
    await caches.stop()


async def test_revision_becomes_ready_shrinks_and_drains(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 2)
    seen = await rig.ready("v1", 2)
    assert (seen.desired, seen.running, seen.restarts, seen.message) == (2, 2, 0, "")
    assert all(endpoint.port == 8080 for endpoint in seen.ready)
    assert await rig.get(PDB) is not None

    await rig.platform.scale(work, 1)
    after = await rig.see("v1")
    assert after is not None
    assert len(after.ready) == 1, "the one that goes takes no request from now on"
    stays = after.ready[0].name

    async def alone() -> bool:
        pods = await rig.kube.list(POD, rig.namespace)
        return [pod["metadata"]["name"] for pod in pods] == [stays]

    await rig.until(alone, f"Kubernetes kept another pod than {stays}")

    await rig.platform.scale(work, 0)
    last = await rig.see("v1")
    assert last is None or last.ready == ()

    async def gone() -> bool:
        return await rig.see("v1") is None

    await rig.until(gone, "it never drained")
    assert await rig.get(DEPLOYMENT) is not None, "kept at size 0"


async def test_service_of_a_revision_lists_its_pods(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    seen = await rig.ready("v1", 1)

    async def listed() -> bool:
        slices = await rig.kube.list(
            ENDPOINT_SLICE, rig.namespace, labels="kubernetes.io/service-name=taxi-v1"
        )
        return [e["addresses"] for s in slices for e in s.get("endpoints") or ()] == [
            [seen.ready[0].host]
        ]

    await rig.until(listed, "the slice never listed the pod")


async def test_nobody_is_asked_when_nothing_has_changed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the server writes a quantity another way than the template does."""
    work = rig.workload("v1")
    await rig.platform.scale(work, 1)
    await rig.ready("v1", 1)
    calls: list[Any] = []
    apply = rig.kube.apply

    async def noted(obj: Any, **words: Any) -> Any:
        calls.append(obj["metadata"]["name"])
        return await apply(obj, **words)

    monkeypatch.setattr(rig.kube, "apply", noted)
    for _ in range(5):
        await rig.platform.scale(work, 1)
        await rig.platform.observe(rig.key)
        await asyncio.sleep(0.2)
    assert calls == []


async def test_edits_are_undone(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.ready("v1", 1)
    container = {"name": "model", "image": "nowhere/nothing:1"}
    edit = {"spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}}}
    await rig.kube.apply(
        DEPLOYMENT.new("taxi-v1", rig.namespace, **edit), manager="somebody", force=True
    )

    async def undone() -> bool:
        await rig.platform.observe(rig.key)
        found = await rig.get(DEPLOYMENT)
        assert found is not None
        spec = found["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        return (spec["replicas"], image) == (1, PYTHON_IMAGE)

    await rig.until(undone, "the edit stayed")
    await rig.kube.delete(SERVICE, "taxi-v1", rig.namespace)

    async def back() -> bool:
        await rig.platform.observe(rig.key)
        return await rig.get(SERVICE) is not None

    await rig.until(back, "the Service never came back")
    await rig.ready("v1", 1)


async def test_autoscaler_owns_the_size_above_zero(rig: Rig) -> None:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    rig.extras = replace(
        rig.extras,
        autoscaling={"maxReplicas": 4, "metrics": [{"type": "Resource", "resource": cpu}]},
    )
    work = rig.workload("v1")
    await rig.platform.scale(work, 2)
    await rig.ready("v1", 2)
    scaler = await rig.get(HPA)
    assert scaler is not None
    assert scaler["spec"]["minReplicas"] == 2
    await rig.kube.patch(DEPLOYMENT, "taxi-v1", rig.namespace, {"spec": {"replicas": 3}})
    await rig.ready("v1", 3)

    rig.extras = replace(rig.extras, autoscaling=None)

    async def ours() -> bool:
        await rig.platform.observe(rig.key)
        found = await rig.get(DEPLOYMENT)
        assert found is not None
        assert found["spec"]["replicas"] in (2, 3), "never below what was asked"
        return await rig.get(HPA) is None and found["spec"]["replicas"] == 2

    await rig.until(ours, "the autoscaler stayed")
    await rig.platform.scale(work, 0)

    async def gone() -> bool:
        return await rig.see("v1") is None

    await rig.until(gone, "it never drained")


async def test_autoscaler_that_comes_later_costs_no_pod(rig: Rig) -> None:
    work = rig.workload("v1")
    await rig.platform.scale(work, 2)
    before = await rig.ready("v1", 2)
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    rig.extras = replace(
        rig.extras,
        autoscaling={"maxReplicas": 4, "metrics": [{"type": "Resource", "resource": cpu}]},
    )

    async def scaled() -> bool:
        await rig.platform.observe(rig.key)
        found = await rig.get(DEPLOYMENT)
        assert found is not None
        assert found["spec"]["replicas"] == 2
        return await rig.get(HPA) is not None

    await rig.until(scaled, "no autoscaler came")
    assert (await rig.ready("v1", 2)).ready == before.ready


async def test_replaced_pod_leaves_at_once_and_another_comes(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 2)
    before = await rig.ready("v1", 2)
    sick, well = before.ready
    await rig.platform.replace(rig.key, RevisionId("v1"), sick.name)
    seen = await rig.see("v1")
    assert seen is not None
    assert seen.ready == (well,)
    after = await rig.ready("v1", 2)
    assert sick not in after.ready


@pytest.mark.parametrize(
    ("container", "words"),
    [
        pytest.param(
            {"image": "nothing:1", "imagePullPolicy": "Never"}, "cannot be pulled", id="image"
        ),
        pytest.param(
            {"command": ["python3", "-c", "raise SystemExit(3)"]},
            "exited with status 3",
            id="crash-loop",
        ),
        pytest.param(
            {"readinessProbe": {"httpGet": {"path": "/", "port": 81}, "periodSeconds": 1}},
            "readiness probe GET :81/ does not pass",
            id="probe",
        ),
        pytest.param(
            {"resources": {"requests": {"cpu": "1000"}}}, "cannot be scheduled", id="unschedulable"
        ),
    ],
)
async def test_why_it_is_not_ready_is_said(rig: Rig, container: dict[str, Any], words: str) -> None:
    await rig.platform.scale(rig.workload("v1", **container), 1)
    await rig.says("v1", words)


async def test_quota_is_said(rig: Rig) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": rig.namespace},
        "spec": {"hard": {"pods": "1"}},
    }
    await kubectl_apply(quota)
    await rig.platform.scale(rig.workload("v1"), 2)
    await rig.says("v1", "exceeded quota")


async def test_template_that_the_server_refuses_is_a_fault_by_field(rig: Rig) -> None:
    with pytest.raises(SpecError) as caught:
        await rig.platform.scale(rig.workload("v1", imagePullPolicy="Sometimes"), 1)
    paths = [fault.path for fault in caught.value.faults]
    assert "spec.template.spec.containers[0].imagePullPolicy" in paths


async def test_undo_finds_the_config_that_the_revision_was_made_from(rig: Rig) -> None:
    await rig.kube.create(CONFIG_MAP.new("limits", rig.namespace, data={"a": "one"}))
    reader = TrackedReader(rig.kube)
    names: dict[str, Any] = {"config_maps": ["limits"], "secrets": []}
    source = {"configMapKeyRef": {"name": "limits", "key": "a"}}
    env = [{"name": "LIMIT", "valueFrom": source}]
    one = await reader.read(rig.key, rig.namespace, **names)
    rig.extras = replace(rig.extras, config_maps=("limits",), tracked={RevisionId("v1"): one})
    await rig.platform.scale(rig.workload("v1", env=env), 1)
    await rig.ready("v1", 1)
    await rig.kube.patch(CONFIG_MAP, "limits", rig.namespace, {"data": {"a": "two"}})
    two = await reader.read(rig.key, rig.namespace, **names)
    assert two.digest != one.digest
    rig.extras = replace(rig.extras, tracked={RevisionId("v2"): two})
    await rig.platform.scale(rig.workload("v2", env=env), 1)
    await rig.ready("v2", 1)
    for name, value in (("limits-v1", "one"), ("limits-v2", "two")):
        found = await rig.get(CONFIG_MAP, name)
        assert found is not None
        assert found["data"] == {"a": value}


async def test_removed_release_leaves_nothing(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.ready("v1", 1)
    await rig.platform.remove(rig.key)

    async def gone() -> bool:
        return not await rig.platform.observe(rig.key)

    await rig.until(gone, "it never drained")
    for kind in (DEPLOYMENT, SERVICE, PDB):
        assert await rig.kube.list(kind, rig.namespace, labels="sluice.dev/release") == []


async def test_objects_go_with_their_owner(rig: Rig) -> None:
    await rig.platform.scale(rig.workload("v1"), 1)
    await rig.ready("v1", 1)
    await rig.platform.close()
    await rig.kube.delete(CONFIG_MAP, "taxi", rig.namespace)

    async def gone() -> bool:
        return await rig.get(DEPLOYMENT) is None and await rig.get(SERVICE) is None

    await rig.until(gone, "they stayed")


async def test_the_name_of_a_release_leads_to_the_routers(rig: Rig) -> None:
    """Two pods stand for routers; a third asks them by the release's name."""
    labels = {"app.kubernetes.io/name": "sluice", "app.kubernetes.io/component": "router"}
    for name in ("router-1", "router-2"):
        spec = template()["spec"]
        spec["containers"][0] |= {
            "name": "agent",
            "env": [{"name": "SLUICE_REVISION", "value": name}],
        }
        pod = POD.new(name, rig.namespace, spec=spec)
        pod["metadata"]["labels"] = labels
        await rig.kube.create(pod)
    routers = RouterPods(rig.kube, namespace=rig.namespace)
    await routers.start()
    door = FrontDoor(
        rig.kube,
        routers=routers.ready,
        router_namespace=rig.namespace,
        describe=lambda _: rig.extras,
        namespaces=[rig.namespace],
    )
    await door.start()

    async def two() -> bool:
        return len(routers.ready()) == 2

    await rig.until(two, f"no routers: {routers.unreachable()}")
    assert [agent.name for agent in routers.agents()] == ["router-1", "router-2"]
    await door.keep(rig.key)
    asks = (
        "import urllib.request\n"
        "seen = set()\n"
        "while len(seen) < 2:\n"
        f"    seen.add(urllib.request.urlopen('http://taxi.{rig.namespace}', timeout=5).read())\n"
        "print(sorted(seen))"
    )
    spec = template(command=["python3", "-c", asks])["spec"]
    spec["containers"][0].pop("readinessProbe")
    spec["restartPolicy"] = "OnFailure"
    await rig.kube.create(POD.new("asks", rig.namespace, spec=spec))

    async def answered() -> bool:
        found = await rig.get(POD, "asks")
        return found is not None and found["status"].get("phase") == "Succeeded"

    await rig.until(answered, "nobody answered", 90)

    async def both() -> bool:
        with contextlib.suppress(TransientError):  # a busy kubelet
            said = await rig.kube.logs("asks", rig.namespace)
            return said == "[b'router-1', b'router-2']\n"
        return False

    await rig.until(both, "nothing was written")

    await rig.kube.delete(POD, "router-1", rig.namespace)

    async def one() -> bool:
        await door.keep(rig.key)
        found = await rig.get(ENDPOINT_SLICE, "taxi-routers")
        return found is not None and len(found["endpoints"]) == 1

    await rig.until(one, "the door still leads to a router that was told to go")
    await door.stop()
    await routers.stop()


async def kubectl_apply(obj: dict[str, Any]) -> None:
    """What Sluice has no kind for."""
    process = await asyncio.create_subprocess_exec(
        "kubectl", "apply", "-f", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await process.communicate(json.dumps(obj).encode())
    assert process.returncode == 0
