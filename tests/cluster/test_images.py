"""The images of ``make images``: what they say of themselves, and that they run locked down."""

import asyncio
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.docs.pages import ROOT

from sluice.dataplanes.codec import routing_record
from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, POD, RELEASE, SERVICE, SERVICE_ACCOUNT
from sluice.nouns import BP_TOTAL, Arm, RevisionId, Routing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TMP = "/tmp"  # noqa: S108  # in a container
TAG = os.environ.get("IMAGE_TAG", "0.1.0")
SIZES_MB = {"model-api": 420, "router": 440, "controller": 400, "loadtest": 400}
"""Most that each image may have with a base of 207 MB, MB."""
LOCKED = ("--read-only", "--user", "10001:10001", "--cap-drop", "ALL", "--tmpfs", TMP)


def image(name: str) -> str:
    return f"sluice/{name}:{TAG}"


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def built(name: str) -> str:
    """The image's name; without it the test is skipped, or fails where it is required."""
    if shutil.which("docker") and docker("images", "-q", image(name)).strip():
        return image(name)
    said = f"{image(name)} is not built: make images"
    if os.environ.get("SLUICE_CLUSTER") == "required":
        pytest.fail(said)
    pytest.skip(said)


@contextmanager
def container(name: str, *options: str, words: tuple[str, ...] = ()) -> Iterator[str]:
    """A container with a read-only root and no rights."""
    found = f"sluice-test-{uuid.uuid4().hex[:8]}"
    docker("run", "-d", "--name", found, *LOCKED, *options, built(name), *words)
    try:
        yield found
    finally:
        docker("rm", "-f", found)


def until(found: str, *words: str, seconds: float = 60) -> str:
    """Run a command in a container until it ends well."""
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(
            ["docker", "exec", found, *words], capture_output=True, text=True, timeout=60
        )
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < end, f"{done.stderr}\n{docker('logs', found)}"
        time.sleep(0.2)


@pytest.mark.parametrize("name", SIZES_MB)
def test_an_image_says_what_it_is_and_runs_as_nobody(name: str) -> None:
    (found,) = json.loads(docker("image", "inspect", built(name)))
    config, labels = found["Config"], found["Config"]["Labels"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"][0] != "/bin/sh", "a shell would not pass signals on"
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert labels[f"{prefix}base.name"].startswith("python:3.11")
    assert labels[f"{prefix}version"]
    assert len(labels[f"{prefix}revision"]) == 40
    assert labels[f"{prefix}title"]
    assert found["Size"] / 1e6 < SIZES_MB[name]


def test_the_model_api_serves_both_versions_of_the_examples_locked_down() -> None:
    for version in ("1", "2"):
        bundle = f"MODEL_API_BUNDLE=.artifacts/models/taxi-duration/{version}"
        with container("model-api", "-e", bundle) as found:
            until(found, "model-api", "healthcheck")
            shown = until(found, "model-api", "bundle", "show", bundle.partition("=")[2], "--json")
            assert json.loads(shown)["manifest"]["version"] == version


def test_the_router_gets_ready_locked_down_and_drains() -> None:
    run = ("--tmpfs", "/run/sluice:uid=10001,gid=10001,mode=0700")
    with container("router", *run, "-e", "SLUICE_ROUTER_TOKEN=t", words=("envoy",)) as found:
        docker("exec", "-d", found, "sluice-router", "agent")
        until(found, "sluice-router", "ready")
        until(found, "sluice-router", "alive")
        until(found, "sluice-router", "drain", "--wait-s", "0", "--cap-s", "1")
        done = subprocess.run(["docker", "exec", found, "sluice-router", "ready"], timeout=30)
        assert done.returncode == 1


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("router", "sluice_router.main, sluice.agent.service, sluice.kube.http"),
        ("controller", "sluice_controller.main, sluice.kube.http"),
        ("loadtest", "loadtests.__main__, locust"),
        ("model-api", "sluice_model_api.serve, grpc, psycopg, onnxruntime"),
    ],
)
def test_what_was_left_out_of_an_image_is_not_needed(name: str, modules: str) -> None:
    docker("run", "--rm", *LOCKED, "--entrypoint", "python", built(name), "-c", f"import {modules}")


@pytest.mark.parametrize("name", SIZES_MB)
def test_an_image_has_no_trips_no_tests_and_no_bytecode_to_write(name: str) -> None:
    script = (
        "import pathlib, sys, sysconfig;"
        "packages = pathlib.Path(sysconfig.get_path('purelib'));"
        "print([str(p) for p in packages.rglob('tests') if p.is_dir()]);"
        "print([str(p) for p in pathlib.Path('/app').rglob('*.csv')]);"
        "ours = [p for p in packages.glob('sluice*/**/*.py')];"
        "print([str(p) for p in ours"
        " if not (p.parent / '__pycache__' / f'{p.stem}.cpython-311.pyc').exists()], len(ours) > 3)"
    )
    said = docker("run", "--rm", *LOCKED, "--entrypoint", "python", built(name), "-c", script)
    assert said.splitlines() == ["[]", "[]", "[] True"]


# --- in the cluster ------------------------------------------------------------------------------

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RBAC = "rbac.authorization.k8s.io"
LABELS = {"sluice.dev/release": "taxi", "sluice.dev/revision": "v1"}


def kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def model() -> dict[str, Any]:
    """Version 1 of the examples as a controller would run it."""
    return {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "securityContext": POD_SECURITY,
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "model",
                        "image": image("model-api"),
                        "imagePullPolicy": "IfNotPresent",
                        "securityContext": RESTRICTED,
                        "env": [
                            {
                                "name": "MODEL_API_BUNDLE",
                                "value": ".artifacts/models/taxi-duration/1",
                            }
                        ],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {
                            "httpGet": {"path": "/v2/health/ready", "port": "http"},
                            "periodSeconds": 1,
                        },
                        "volumeMounts": [{"name": "tmp", "mountPath": TMP}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    }


def router(namespace: str) -> dict[str, Any]:
    """A router's pod as the chart makes it, for one namespace."""

    def of(name: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "image": image("router"),
            "imagePullPolicy": "IfNotPresent",
            "args": [name],
            "securityContext": RESTRICTED,
            "lifecycle": {
                "preStop": {"exec": {"command": ["sluice-router", "drain", "--wait-s", "2"]}}
            },
            "env": [
                {"name": "SLUICE_ROUTER_TOKEN", "value": "t"},
                {"name": "SLUICE_ROUTER_CLUSTER", "value": "true"},
                {"name": "SLUICE_ROUTER_NAMESPACES", "value": namespace},
            ],
            "volumeMounts": [
                {"name": "run", "mountPath": "/run/sluice"},
                {"name": "tmp", "mountPath": TMP},
            ],
            **more,
        }

    return {
        "serviceAccountName": "router",
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "containers": [
            of(
                "envoy",
                ports=[{"name": "http", "containerPort": 8080}],
                livenessProbe={"exec": {"command": ["sluice-router", "alive"]}},
            ),
            of(
                "agent",
                ports=[{"name": "agent", "containerPort": 9901}],
                readinessProbe={
                    "httpGet": {"path": "/readyz", "port": "agent"},
                    "periodSeconds": 1,
                },
            ),
        ],
        "volumes": [{"name": "run", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }


async def rights(kube: KubeClient, namespace: str) -> None:
    """What the chart gives to routers, in one namespace."""
    await kube.create(SERVICE_ACCOUNT.new("router", namespace))
    verbs = ["get", "list", "watch"]
    rules = [
        {"apiGroups": ["sluice.dev"], "resources": ["releases"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "router"}}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "router"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "router"},
        "subjects": [{"kind": "ServiceAccount", "name": "router", "namespace": namespace}],
    }
    both = {"apiVersion": "v1", "kind": "List", "items": [role | {"rules": rules}, binding]}
    kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(both))


async def release(kube: KubeClient, namespace: str) -> None:
    """A Release with a record of routing, and no policy: no controller takes it up."""
    text = (ROOT / "examples" / "taxi" / "release-v1.yaml").read_text()
    kubectl("-n", namespace, "apply", "-f", "-", stdin=text)
    spec = {"spec": {"policyRef": {"name": "nobody-has-this"}}}
    await kube.patch(RELEASE, "taxi", namespace, spec)
    routing = Routing(
        release=f"{namespace}/taxi",
        generation=3,
        arms=(Arm(revision=RevisionId("v1"), weight_bp=BP_TOTAL),),
        hosts=(f"taxi.{namespace}",),
    )
    status = {"status": {"routing": routing_record(routing)}}
    await kube.patch(RELEASE, "taxi", namespace, status, subresource="status")


def asked(namespace: str, count: int) -> list[str]:
    """Status and generation of requests sent from inside the router's pod."""
    script = (
        "import urllib.request\n"
        f"for _ in range({count}):\n"
        "    asked = urllib.request.Request('http://127.0.0.1:8080/v2/health/ready',"
        f" headers={{'Host': 'taxi.{namespace}'}})\n"
        "    with urllib.request.urlopen(asked, timeout=10) as answer:\n"
        "        print(answer.status, answer.headers['x-sluice-version'],"
        " answer.headers['x-sluice-generation'])\n"
    )
    words = ("-n", namespace, "exec", "router", "-c", "agent", "--", "python", "-c", script)
    return kubectl(*words).splitlines()


async def test_a_router_pod_serves_status_routing_and_follows_pods_without_a_controller(
    kube: KubeClient, namespace: str
) -> None:
    for name in ("router", "model-api"):
        built(name)
    if "releases.sluice.dev" not in kubectl("get", "crd", "-o", "name"):
        pytest.skip("Releases are not known to this cluster: make install")
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    await rights(kube, namespace)
    await kube.create(DEPLOYMENT.new("taxi-v1", namespace, spec=model()))
    service = SERVICE.new(
        "taxi-v1",
        namespace,
        spec={
            "clusterIP": "None",
            "selector": LABELS,
            "ports": [{"name": "http", "port": 8080, "targetPort": "http"}],
        },
    )
    service["metadata"]["labels"] = LABELS
    await kube.create(service)
    await release(kube, namespace)
    await kube.create(POD.new("router", namespace, spec=router(namespace)))
    kubectl(
        "-n", namespace, "wait", "--for=condition=Available", "deployment/taxi-v1", "--timeout=120s"
    )
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/router", "--timeout=120s")
    # Endpoints that became ready after the router did are followed within a second or two.
    await _served(namespace)
    assert asked(namespace, 20) == ["200 v1 3"] * 20

    before = set(await _pods(kube, namespace))
    kubectl("-n", namespace, "delete", "pod", "-l", "sluice.dev/revision=v1", "--wait=true")
    kubectl(
        "-n", namespace, "wait", "--for=condition=Available", "deployment/taxi-v1", "--timeout=120s"
    )
    await _served(namespace)
    assert asked(namespace, 20) == ["200 v1 3"] * 20
    assert not before & set(await _pods(kube, namespace))


async def _pods(kube: KubeClient, namespace: str) -> list[str]:
    found = await kube.list(POD, namespace, labels="sluice.dev/revision=v1")
    return [pod["metadata"]["name"] for pod in found]


async def _served(namespace: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            asked(namespace, 1)
        except AssertionError:
            assert time.monotonic() < end
            await asyncio.sleep(0.5)
        else:
            return
