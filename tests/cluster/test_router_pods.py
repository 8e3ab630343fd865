"""Router pods under load: restarts and kills, without any controller."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cluster.pods import TMP, available, image, kubectl, router, served_model

from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, POD, SERVICE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

LABELS = {"app": "router"}
RATE = 50
LONGEST_S = 180


async def routers(kube: KubeClient, namespace: str) -> None:
    """Two router pods behind a Service, and a pod that sends requests to it."""
    spec = {
        "replicas": 2,
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": router(namespace) | {"terminationGracePeriodSeconds": 60},
        },
    }
    await kube.create(DEPLOYMENT.new("router", namespace, spec=spec))
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    await kube.create(SERVICE.new("front", namespace, spec={"selector": LABELS, "ports": ports}))
    model = router(namespace)
    container = {
        "name": "loader",
        "image": image("loadtest"),
        "command": ["sleep", "3600"],
        "securityContext": model["containers"][0]["securityContext"],
        "volumeMounts": [{"name": "tmp", "mountPath": TMP}],
    }
    loader = {
        "securityContext": model["securityContext"],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    await kube.create(POD.new("loader", namespace, spec=loader))
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/loader", "--timeout=120s")
    available(namespace, "router")


@dataclass(frozen=True)
class Load:
    """Requests on their way; ``end`` says what became of them."""

    process: "subprocess.Popen[str]"
    namespace: str

    def end(self) -> dict[str, Any]:
        inside(self.namespace, "pod/loader", "loader", "import os, signal; os.kill(int("
               f"open('{TMP}/pid').read()), signal.SIGINT)")  # fmt: skip
        said, _ = self.process.communicate(timeout=60)
        assert json.loads(said.splitlines()[-1])["final"]
        whole: dict[str, Any] = json.loads(
            inside(self.namespace, "pod/loader", "loader", f"print(open('{TMP}/report').read())")
        )
        return whole


def inside(namespace: str, what: str, container: str, script: str) -> str:
    return kubectl("-n", namespace, "exec", what, "-c", container, "--", "python", "-c", script)


def load(namespace: str) -> Load:
    words = (
        f"echo $$ > {TMP}/pid; exec python -m sluice.testing.traffic --method GET"
        f" --url http://front/v2/health/ready --host taxi.{namespace}"
        f" --rate {RATE} --duration {LONGEST_S} --json {TMP}/report"
    )
    command = ["kubectl", "-n", namespace, "exec", "loader", "--", "sh", "-c", words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return Load(process, namespace)


def pods(namespace: str) -> list[str]:
    return kubectl("-n", namespace, "get", "pod", "-l", "app=router", "-o", "name").split()


def restarts(namespace: str, pod: str, container: str) -> int:
    path = f"{{.status.containerStatuses[?(@.name=='{container}')].restartCount}}"
    return int(kubectl("-n", namespace, "get", pod, "-o", f"jsonpath={path}") or 0)


def end_container(namespace: str, container: str) -> None:
    """End a container's first process, without its preStop, and wait until it is back."""
    pod = pods(namespace)[0]
    before = restarts(namespace, pod, container)
    inside(namespace, pod, container, "import os, signal; os.kill(1, signal.SIGTERM)")
    end = time.monotonic() + 60
    while restarts(namespace, pod, container) == before:
        assert time.monotonic() < end
        time.sleep(0.5)
    kubectl("-n", namespace, "wait", "--for=condition=Ready", pod, "--timeout=60s")


def restart_all(namespace: str) -> None:
    kubectl("-n", namespace, "rollout", "restart", "deployment/router")
    available(namespace, "router")


def delete_one(namespace: str) -> None:
    kubectl("-n", namespace, "delete", pods(namespace)[0], "--wait=true")
    available(namespace, "router")


@pytest.mark.parametrize(
    ("disturb", "lost_at_most"),
    [
        pytest.param(restart_all, 0, id="rolling-restart"),
        pytest.param(delete_one, 0, id="a-pod-is-deleted"),
        pytest.param(lambda n: end_container(n, "agent"), 0, id="agent-ends"),
        pytest.param(lambda n: end_container(n, "envoy"), 5, id="envoy-ends-without-a-drain"),
    ],
)
async def test_a_disturbed_router_loses_no_request(
    kube: KubeClient, namespace: str, disturb: Callable[[str], None], lost_at_most: int
) -> None:
    await served_model(kube, namespace)
    await routers(kube, namespace)
    running = load(namespace)
    await asyncio.sleep(3)
    await asyncio.to_thread(disturb, namespace)
    await asyncio.sleep(3)
    report = running.end()
    assert report["sent"] > 3 * RATE
    lost = report["lost_by"]
    assert sum(lost.values()) <= lost_at_most, lost
