"""Pods of a model and of a router, as controller and chart make them, for tests of the images."""

import json
import os
import subprocess
from typing import Any

from tests.docs.pages import ROOT

from sluice.dataplanes.codec import routing_record
from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, RELEASE, SERVICE, SERVICE_ACCOUNT
from sluice.nouns import BP_TOTAL, Arm, RevisionId, Routing

TMP = "/tmp"  # noqa: S108  # in a container
TAG = os.environ.get("IMAGE_TAG", "0.1.0")


def image(name: str) -> str:
    return f"sluice/{name}:{TAG}"


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
            "lifecycle": {"preStop": {"exec": {"command": ["sluice-router", "drain"]}}},
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


async def served_model(kube: KubeClient, namespace: str) -> None:
    """Two pods of the model, their Service, and a Release that says they have all the traffic."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    await rights(kube, namespace)
    await kube.create(DEPLOYMENT.new("taxi-v1", namespace, spec=model()))
    spec = {
        "clusterIP": "None",
        "selector": LABELS,
        "ports": [{"name": "http", "port": 8080, "targetPort": "http"}],
    }
    service = SERVICE.new("taxi-v1", namespace, spec=spec)
    service["metadata"]["labels"] = LABELS
    await kube.create(service)
    await release(kube, namespace)
    available(namespace, "taxi-v1")


def available(namespace: str, deployment: str) -> None:
    """Return once all its pods are ready."""
    kubectl("-n", namespace, "rollout", "status", f"deployment/{deployment}", "--timeout=180s")
