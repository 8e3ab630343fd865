"""A value that is not there, or not so, fails the install and is named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import CHARTS, RELEASES, ci_files, helm
from tools import chart_values
from tools.generate_charts import values_schema


@pytest.mark.parametrize(
    ("chart", "value", "said"),
    [
        pytest.param("sluice", "router.replicaz=3", "replicaz", id="typo"),
        pytest.param("sluice", "controler.replicas=3", "controler", id="typo-at-the-root"),
        pytest.param("sluice", "router.replicas=many", "replicas", id="type"),
        pytest.param("sluice", "router.image.tag=latest", "tag", id="latest"),
        pytest.param("sluice", "controller.image.digest=sha256:12", "digest", id="short-digest"),
        pytest.param("sluice", "router.service.type=Outside", "ClusterIP", id="choice"),
        pytest.param("sluice", "router.service.nodePort=30080", "NodePort", id="port-of-no-node"),
        pytest.param("sluice", "router.drain.waitSeconds=99", "capSeconds", id="drain"),
        pytest.param("sluice", "router.ingress.enabled=true", "hosts", id="ingress-without-hosts"),
        pytest.param("sluice", "watchNamespaces={Team}", "watchNamespaces", id="namespace"),
        pytest.param("sluice", "router.settings.Max=3", "Max", id="setting"),
        pytest.param("sluice", "dataPlane=gateway", "gateway.parents", id="no-gateway"),
        pytest.param("model-api", "replica=3", "replica", id="model-typo"),
        pytest.param("model-api", "image.tag=latest", "tag", id="model-latest"),
        pytest.param("model-api", "bundle.digest=sha256:1", "digest", id="model-digest"),
        pytest.param("model-api", "bundle.verify=true", "bundle.path", id="verify-nothing"),
        pytest.param("model-api", "bundle.from=volume", "bundle.volume", id="no-volume"),
        pytest.param("model-api", "bundle.from=fetch", "bundle.fetch", id="no-fetch"),
        pytest.param("model-api", "autoscaling.minReplicas=20", "maxReplicas", id="more-than-most"),
        pytest.param("model-api", "release.strategy.canary.stepz=1", "stepz", id="strategy"),
        pytest.param("model-api", "release.policy.alfa=1", "alfa", id="policy"),
        pytest.param("model-api", "release.traffic.host=taxi", "host", id="traffic"),
        pytest.param("model-api", "release.keepWarm=soon", "keepWarm", id="duration"),
    ],
)
def test_a_wrong_value_fails_and_is_named(chart: str, value: str, said: str) -> None:
    code, _, error = helm(chart, "--set", value)
    assert code != 0
    assert said in error


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param("strategy.canary.capacity=full,release.strategy.rolling.maxSurge=1", "stages"),
        pytest.param("policy.minBake=1m,release.policyRef=strict", "policyRef"),
        pytest.param("keepWarm=1m,service.type=NodePort", "router.service"),
        pytest.param("keepWarm=1m,replicas=0", "at least one"),
    ],
    ids=["two-strategies", "two-policies", "outside", "none"],
)
def test_a_release_that_cannot_be_is_refused(values: str, said: str) -> None:
    code, _, error = helm("model-api", "--set", f"release.enabled=true,release.{values}")
    assert code != 0
    assert said in error


def open_objects(schema: Any, place: str = "") -> Iterator[str]:
    """Objects with named properties that take any other as well."""
    if isinstance(schema, dict):
        named = "properties" in schema and isinstance(schema["properties"], dict)
        if named and schema.get("type") == "object" and "additionalProperties" not in schema:
            yield place
        for key, below in schema.items():
            yield from open_objects(below, f"{place}/{key}")
    elif isinstance(schema, list):
        for number, below in enumerate(schema):
            yield from open_objects(below, f"{place}/{number}")


@pytest.mark.parametrize("chart", RELEASES)
def test_the_schema_is_closed_everywhere(chart: str) -> None:
    schema = json.loads(values_schema(chart))
    assert list(open_objects(schema)) == []
    assert list(open_objects({"type": "object", "properties": {"a": {}}})) == [""]


def leaves(values: Any, place: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for key, below in values.items():
            yield from leaves(below, f"{place}.{key}" if place else key)
    else:
        yield place


@pytest.mark.parametrize("chart", RELEASES)
def test_every_value_is_set_by_a_file_of_its_own_feature(chart: str) -> None:
    """The files of ``ci`` together change every value, so that each is rendered both ways."""
    known = [
        value.path
        for value in chart_values.flat(chart_values.read(CHARTS / chart / "values.yaml"))
        if not value.children
    ]
    written = {
        place
        for path in (CHARTS / chart / "ci").glob("*.yaml")
        for place in leaves(yaml.safe_load(path.read_text()))
    }
    untouched = [
        value
        for value in known
        if not any(place == value or place.startswith(f"{value}.") for place in written)
    ]
    assert untouched == []


@pytest.mark.parametrize(("chart", "values"), ci_files())
def test_every_file_of_values_renders(chart: str, values: Path) -> None:
    code, _, error = helm(chart, "-f", str(values))
    assert (code, error) == (0, "")


def test_a_value_without_a_comment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("# Said.\na: 1\nb: 2\n")
    with pytest.raises(chart_values.ValuesError, match=": b"):
        chart_values.read(path)


def test_a_value_whose_schema_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    for text, said in (
        ("# A.\na: []\n", "a: say"),
        ("# A.\n# @ {$ref: nowhere}\na: 1\n", "no nowhere"),
    ):
        path.write_text(text)
        with pytest.raises(chart_values.ValuesError, match=said):
            chart_values.schema(chart_values.read(path), title="", definitions={})
