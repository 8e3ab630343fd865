"""The same pods as a Deployment and as a Release."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import CHARTS, Object, named, of_kind, render

from sluice.spec import Text, load

CI = CHARTS / "model-api" / "ci"
RELEASES = sorted(CI.glob("release*-values.yaml"))
FULL = str(CI / "release-full-values.yaml")


def release(*arguments: str) -> Object:
    return named(
        render("model-api", "--set", "release.enabled=true", *arguments), "Release", "taxi"
    )


@pytest.mark.parametrize(
    "values", sorted(CI.glob("*-values.yaml")), ids=lambda path: path.name[:-12]
)
def test_the_pods_of_a_release_are_those_of_the_deployment(values: Path) -> None:
    if "service" in yaml.safe_load(values.read_text()):
        pytest.skip("the Service of a Release is the controller's")

    def template(enabled: str) -> Any:
        objects = render("model-api", "-f", str(values), "--set", f"release.enabled={enabled}")
        [owner] = of_kind(objects, "Deployment", "Release")
        found = owner["spec"]["template"]
        # a Release knows by itself when its config has changed
        annotations = found["metadata"].pop("annotations", {})
        return found, {k: v for k, v in annotations.items() if k != "checksum/config"}

    assert template("true") == template("false")


@pytest.mark.parametrize("values", RELEASES, ids=lambda path: path.name[:-12])
def test_documents_of_a_release_load(values: Path) -> None:
    objects = render("model-api", "-f", str(values))
    documents = [item for item in objects if item["apiVersion"].startswith("sluice.dev")]
    for item in of_kind(objects, "ConfigMap"):
        if item["metadata"].get("labels", {}).get("sluice.dev/slo") == "true":
            documents += [yaml.safe_load(text) for text in item["data"].values()]
    if documents[0]["spec"].get("policyRef", {}).get("name") == "strict":
        policy = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleasePolicy"}
        documents.append({**policy, "metadata": {"name": "strict"}, "spec": {}})
    for item in documents:
        item["metadata"].pop("namespace", None)
    text = yaml.safe_dump_all(documents)
    assert load([Text(text=text.encode(), name=values.name)])


def test_whoever_owns_the_size_writes_it() -> None:
    plain = named(render("model-api"), "Deployment", "taxi")
    assert plain["spec"]["replicas"] == 2
    objects = render("model-api", "--set", "autoscaling.enabled=true")
    assert "replicas" not in named(objects, "Deployment", "taxi")["spec"]
    assert named(objects, "HorizontalPodAutoscaler", "taxi")["spec"]["minReplicas"] == 2


def test_an_autoscaled_release_begins_at_the_least_size_and_the_chart_makes_no_autoscaler() -> None:
    values = str(CI / "release-autoscaling-values.yaml")
    objects = render("model-api", "-f", values)
    spec = named(objects, "Release", "taxi")["spec"]
    assert spec["replicas"] == 2
    assert spec["autoscaling"] == {"maxReplicas": 6, "targetCPUUtilizationPercentage": 80}
    assert of_kind(objects, "HorizontalPodAutoscaler", "Deployment", "Service") == []


def test_the_digest_is_told_to_server_and_release() -> None:
    found = named(render("model-api", "-f", FULL), "Release", "taxi")["spec"]
    digest = found["model"]["digest"]
    [server] = found["template"]["spec"]["containers"]
    assert {"name": "MODEL_API_DIGEST", "value": digest} in server["env"]


def test_config_belongs_to_the_revision() -> None:
    found = release("--set-string", "config.A=1")
    assert found["spec"]["tracked"]["configMaps"] == ["taxi-config"]
    first = named(render("model-api", "--set-string", "config.A=1"), "Deployment", "taxi")
    second = named(render("model-api", "--set-string", "config.A=2"), "Deployment", "taxi")
    assert first["spec"]["template"] != second["spec"]["template"]


def test_the_bundle_is_fetched_checked_and_only_then_served() -> None:
    values = str(CI / "bundle-fetch-values.yaml")
    spec = named(render("model-api", "-f", values), "Deployment", "taxi")["spec"]["template"][
        "spec"
    ]
    fetch, verify = spec["initContainers"]
    assert fetch["name"] == "fetch"
    assert verify["command"][:4] == ["model-api", "bundle", "verify", "/models/price/1"]
    assert "--digest" in verify["command"]
    [server] = spec["containers"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in server["volumeMounts"]


def test_a_version_is_a_label_and_never_a_selector() -> None:
    found = named(render("model-api", "--set-string", "version=7"), "Deployment", "taxi")["spec"]
    assert found["template"]["metadata"]["labels"]["app.kubernetes.io/version"] == "7"
    assert "app.kubernetes.io/version" not in found["selector"]["matchLabels"]
