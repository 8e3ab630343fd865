"""The controller that is installed in the cluster, asked as people ask: by kubectl."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, EVENT, LEASE, POD, RELEASE, SERVICE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

CONTROLLER = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=controller"
STEPS = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}
POLICY: dict[str, Any] = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "ReleasePolicy",
    "metadata": {"name": "taxi"},
    "spec": {"objectives": [{"sloRef": "answered"}], "minBake": "5s"},
}
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: answered, annotations: {sluice.dev/sli: availability}}
spec: {service: taxi, budgetingMethod: Occurrences, objectives: [{target: 0.99}]}
"""
SLOS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "slos", "labels": {"sluice.dev/slo": "true"}},
    "data": {"answered.yaml": SLO},
}


def release(image: str, version: str = "1", **spec: Any) -> dict[str, Any]:
    """A Release whose pods are a web server of Python."""
    container = {
        "name": "model",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "http.server", "8080"],
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Release",
        "metadata": {"name": "taxi"},
        "spec": {
            "replicas": 1,
            "policyRef": {"name": "taxi"},
            "strategy": STEPS,
            "keepWarm": "5s",
            "template": {
                "metadata": {"labels": {"app": "taxi"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
            **spec,
        },
    }


async def kubectl(namespace: str, *words: str, stdin: Any = None) -> str:
    """What kubectl prints.

    Raises:
        AssertionError: it fails.
    """
    process = await asyncio.create_subprocess_exec(
        "kubectl",
        "-n",
        namespace,
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    text = json.dumps(stdin).encode() if stdin is not None else None
    out, err = await process.communicate(text)
    assert process.returncode == 0, f"kubectl {' '.join(words)}: {err.decode()}"
    return out.decode()


async def apply(namespace: str, *objects: dict[str, Any]) -> None:
    for obj in objects:
        await kubectl(namespace, "apply", "-f", "-", stdin=obj)


async def wait(namespace: str, condition: str, seconds: int = 90) -> None:
    """As people wait."""
    until = f"--for=condition={condition}"
    await kubectl(namespace, "wait", until, "release/taxi", f"--timeout={seconds}s")


async def status(kube: KubeClient, namespace: str) -> dict[str, Any]:
    found = await kube.get(RELEASE, "taxi", namespace)
    assert found is not None
    known: dict[str, Any] = found.get("status", {})
    return known


async def eventually(kube: KubeClient, namespace: str, holds: Any, seconds: int = 90) -> Any:
    """The status, once it is so."""
    seen: dict[str, Any] = {}
    for _ in range(seconds * 2):
        seen = await status(kube, namespace)
        if holds(seen):
            return seen
        await asyncio.sleep(0.5)
    raise AssertionError({key: seen.get(key) for key in seen if key not in ("checkpoint", "view")})


def said(known: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition."""
    return next((item for item in known.get("conditions", ()) if item["type"] == kind), {})


@pytest.fixture
async def system(kube: KubeClient) -> AsyncIterator[str]:
    """The namespace of the installed controller that looks after every namespace."""
    for item in await kube.list(DEPLOYMENT, labels=CONTROLLER):
        env = {
            entry["name"]: entry.get("value", "")
            for entry in item["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        if not env.get("SLUICE_CONTROLLER_WATCH_NAMESPACES") and item["status"].get(
            "readyReplicas"
        ):
            yield item["metadata"]["namespace"]
            return
    reason = "no controller is installed: `make install` first"
    if os.environ.get("SLUICE_CLUSTER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
async def stable(
    kube: KubeClient, namespace: str, system: str, python_image: str
) -> AsyncIterator[str]:
    """A namespace in which version 1 of a release is promoted."""
    await apply(namespace, SLOS, POLICY, release(python_image))
    await wait(namespace, "Promoted")
    yield namespace
    await kubectl(namespace, "delete", "release", "--all", "--timeout=60s")


async def test_what_is_missing_is_said_and_heals_when_it_comes(
    kube: KubeClient, namespace: str, system: str, python_image: str
) -> None:
    await apply(namespace, release(python_image))
    known = await eventually(kube, namespace, lambda s: said(s, "Accepted"))
    assert said(known, "Accepted")["status"] == "False"
    assert 'no ReleasePolicy "taxi"' in said(known, "Accepted")["message"]
    await apply(namespace, SLOS, POLICY)
    await wait(namespace, "Accepted", 10)
    await wait(namespace, "Promoted")
    known = await status(kube, namespace)
    revision = known["stable"]
    assert await kube.get(DEPLOYMENT, f"taxi-{revision}", namespace) is not None
    assert await kube.get(SERVICE, "taxi", namespace) is not None
    reasons: dict[str, str] = {}
    for _ in range(20):  # they are sent beside everything else
        reasons = {
            item["reason"]: item["type"]
            for item in await kube.list(EVENT, namespace)
            if item["regarding"]["kind"] == "Release"
        }
        if "Promoted" in reasons:
            break
        await asyncio.sleep(0.5)
    assert reasons["SpecFault"] == "Warning"
    assert reasons["Promoted"] == "Normal"
    await kubectl(namespace, "delete", "release", "taxi", "--timeout=60s")


async def test_pods_that_could_not_run_are_refused_before_anything_moves(
    kube: KubeClient, stable: str, python_image: str
) -> None:
    before = (await status(kube, stable))["stable"]
    bad = release(python_image, "2")
    pod = bad["spec"]["template"]["spec"]
    pod["containers"][0]["resources"] = {"limits": {"cpu": "-1"}}
    await apply(stable, bad)
    known = await eventually(kube, stable, lambda s: said(s, "Accepted").get("status") == "False")
    assert "spec.template.spec.containers[0].resources" in said(known, "Accepted")["message"]
    assert (known["stable"], known["phase"]) == (before, "Healthy")
    assert said(known, "Promoted")["observedGeneration"] < known["observedGeneration"]


async def test_plain_annotations_carry_a_pass_to_its_end(
    kube: KubeClient, stable: str, python_image: str
) -> None:
    await apply(stable, release(python_image, "2"))
    known = await eventually(kube, stable, lambda s: s.get("stage") == "canary 2/3")
    candidate = known["candidate"]
    assert (known["weight"], known["phase"]) == ("20%", "Paused")
    assert known["routing"]["release"] == f"{stable}/taxi"
    await kubectl(stable, "annotate", "release/taxi", f"sluice.dev/promote-full={candidate}")
    await wait(stable, "Promoted")
    known = await status(kube, stable)
    assert known["stable"] == candidate
    assert known["consumed"] == {"sluice.dev/promote-full": candidate}
    assert known["command"]["message"].startswith("promote by kubectl-annotate")
    await kubectl(stable, "annotate", "release/taxi", "sluice.dev/abort=true")
    known = await eventually(kube, stable, lambda s: s["command"]["outcome"] == "refused", 20)
    assert "no pass is running" in known["command"]["message"]


async def test_another_controller_goes_on_when_the_leader_is_killed(
    kube: KubeClient, stable: str, system: str, python_image: str
) -> None:
    await apply(stable, release(python_image, "2"))
    await eventually(kube, stable, lambda s: s.get("stage") == "canary 2/3")
    before = await kube.get(LEASE, "sluice-controller", system)
    assert before is not None
    leader = before["spec"]["holderIdentity"].rpartition("_")[0]
    assert await kube.get(POD, leader, system) is not None
    await kubectl(system, "delete", "pod", leader, "--grace-period=0", "--force")
    for _ in range(120):
        after = await kube.get(LEASE, "sluice-controller", system)
        assert after is not None
        holder = after["spec"]["holderIdentity"].rpartition("_")[0]
        if holder not in ("", leader):
            break
        await asyncio.sleep(0.5)
    assert holder not in ("", leader)
    assert after["spec"]["leaseTransitions"] == before["spec"]["leaseTransitions"] + 1
    await kubectl(stable, "annotate", "release/taxi", "sluice.dev/promote-full=true")
    await wait(stable, "Promoted")


async def test_changed_content_of_a_tracked_config_map_is_a_new_candidate(
    kube: KubeClient, namespace: str, system: str, python_image: str
) -> None:
    limits = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}}
    tracked = {"configMaps": ["limits"]}
    await apply(namespace, SLOS, POLICY, limits | {"data": {"most": "1"}})
    await apply(namespace, release(python_image, tracked=tracked))
    await wait(namespace, "Promoted")
    before = (await status(kube, namespace))["stable"]
    await apply(namespace, limits | {"data": {"most": "2"}})
    known = await eventually(kube, namespace, lambda s: s.get("candidate"))
    assert known["candidate"] != before
    await kubectl(namespace, "delete", "release", "taxi", "--timeout=60s")


async def test_a_deleted_release_leaves_nothing(
    kube: KubeClient, namespace: str, system: str, python_image: str
) -> None:
    await apply(namespace, SLOS, POLICY, release(python_image))
    await wait(namespace, "Promoted")
    await kubectl(namespace, "delete", "release", "taxi", "--timeout=60s")
    for kind in (DEPLOYMENT, SERVICE, POD):
        for _ in range(40):
            left = [
                item
                for item in await kube.list(kind, namespace)
                if "sluice.dev/release" in (item["metadata"].get("labels") or {})
            ]
            if not left:
                break
            await asyncio.sleep(0.5)
        assert left == []
