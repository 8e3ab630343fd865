"""What holds for every pod that a chart makes, with every file of values."""

from pathlib import Path
from typing import Any

import pytest
from tests.charts.support import Object, ci_files, containers, of_kind, pods, render

CI = pytest.mark.parametrize(("chart", "values"), ci_files())


def unrestricted(pod: Object) -> list[str]:
    """What Pod Security ``restricted`` would refuse."""
    spec = pod["spec"]
    context = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    if not context.get("runAsNonRoot") or context.get("runAsUser") == 0:
        found.append("runAsNonRoot")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("seccompProfile")
    for container in containers(pod):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']}: allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append(f"{container['name']}: capabilities")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{container['name']}: readOnlyRootFilesystem")
    return found


def token_holders(pod: Object) -> list[str]:
    """Containers that can talk to the API server."""
    if pod["spec"].get("automountServiceAccountToken") is not False:
        return [container["name"] for container in containers(pod)]
    projected = {
        volume["name"]
        for volume in pod["spec"].get("volumes", [])
        if any("serviceAccountToken" in source for source in sources(volume))
    }
    return [
        container["name"]
        for container in containers(pod)
        if projected & {mount["name"] for mount in container.get("volumeMounts", [])}
    ]


def sources(volume: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = volume.get("projected", {}).get("sources", [])
    return found


@CI
def test_pods_are_admitted_under_restricted_pod_security(chart: str, values: Path) -> None:
    faults = {name: unrestricted(pod) for name, pod in pods(render(chart, "-f", str(values)))}
    assert {name: found for name, found in faults.items() if found} == {}


@CI
def test_a_token_is_mounted_only_where_it_is_used(chart: str, values: Path) -> None:
    allowed = {
        "Deployment/sluice-controller": ["controller"],
        "Deployment/sluice-router": ["agent"],
        "Deployment/ml-sluice-controller": ["controller"],
        "Deployment/ml-sluice-router": ["agent"],
    }
    if values.name.startswith("scheduling"):
        allowed |= {"Deployment/price": ["model"]}  # serviceAccount.mountToken
    holders = {name: token_holders(pod) for name, pod in pods(render(chart, "-f", str(values)))}
    assert {name: found for name, found in holders.items() if found} == {
        name: found for name, found in allowed.items() if name in holders
    }


@CI
def test_every_container_says_what_it_needs_and_has_a_fixed_image(chart: str, values: Path) -> None:
    for name, pod in pods(render(chart, "-f", str(values))):
        for container in containers(pod):
            where = f"{name}/{container['name']}"
            assert container["resources"].get("limits", {}).get("memory"), where
            image = container["image"]
            assert "@sha256:" in image or ":" in image.rpartition("/")[2], where
            assert not image.endswith(":latest"), where


@CI
def test_volumes_and_probes_are_of_one_kind(chart: str, values: Path) -> None:
    """Values are merged: one given beside a default would make two, which no API server takes."""
    handlers = {"httpGet", "tcpSocket", "exec", "grpc"}
    for name, pod in pods(render(chart, "-f", str(values))):
        for volume in pod["spec"].get("volumes", []):
            assert len(volume) == 2, f"{name}: {volume}"
        for container in containers(pod):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe in container:
                    assert len(handlers & container[probe].keys()) == 1, f"{name}: {probe}"


@CI
def test_selectors_hold_nothing_that_an_upgrade_changes(chart: str, values: Path) -> None:
    stable = {f"app.kubernetes.io/{key}" for key in ("name", "instance", "component")}
    for item in of_kind(render(chart, "-f", str(values)), "Deployment", "Service"):
        selector = item["spec"].get("selector", {})
        assert set(selector.get("matchLabels", selector)) <= stable, item["metadata"]["name"]


@CI
def test_every_object_has_a_namespace_of_its_own_or_none(chart: str, values: Path) -> None:
    whole = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for item in render(chart, "-f", str(values)):
        assert ("namespace" in item["metadata"]) == (item["kind"] not in whole), item["metadata"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"securityContext": {}}, "runAsNonRoot", id="root"),
        pytest.param({"hostNetwork": True}, "hostNetwork", id="host-network"),
        pytest.param({"containers": [{"name": "a"}]}, "a: capabilities", id="container"),
    ],
)
def test_a_pod_that_is_not_restricted_would_be_seen(change: dict[str, Any], said: str) -> None:
    pod: dict[str, Any] = {
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [],
        }
    }
    assert unrestricted(pod) == []
    assert said in unrestricted({"spec": {**pod["spec"], **change}})
