"""The definitions without a cluster: structural, bounded, and as they were reviewed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.spec.documents import RELEASE, changed, documents
from tools import generate_crd
from tools.crd import outline
from tools.crd.structural import OPEN

from sluice.spec import revision_of

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/sluice/templates/crds"
GOLDEN = ROOT / "tests/golden/crd"
MADE = {"releases": generate_crd.release, "releasepolicies": generate_crd.policy}
LARGEST = 256 * 1024
"""Bytes of the annotation that `kubectl apply` keeps of an object."""


def schema(plural: str) -> dict[str, Any]:
    (version,) = MADE[plural]()["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def fields(at: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field below a schema: path, schema, whether a CEL rule is on or below it."""
    for name, value in at.get("properties", {}).items():
        yield f"{path}.{name}", value, "x-kubernetes-validations" in json.dumps(value)
        yield from fields(value, f"{path}.{name}")
    if "items" in at:
        yield f"{path}[]", at["items"], "x-kubernetes-validations" in json.dumps(at["items"])
        yield from fields(at["items"], f"{path}[]")


def faults(root: dict[str, Any]) -> list[str]:
    """What an API server, or whoever reads the schema, would complain about."""
    found = []
    for path, field, ruled in fields(root):
        known = {key: value for key, value in field.items() if key != "description"}
        if "type" not in field and not field.get("x-kubernetes-int-or-string") and known != OPEN:
            found.append(f"{path} has no type")
        if "$ref" in field or "oneOf" in field:
            found.append(f"{path} is not structural")
        if field.get("type") == "array" and "x-kubernetes-list-type" not in field:
            found.append(f"{path} does not say how appliers share it")
        if field.get("type") == "array" and ruled and "maxItems" not in field:
            found.append(f"{path} has rules and no bound")
        named = not path.endswith("[]") and path.startswith((".spec.", ".status."))
        if named and not field.get("description"):
            found.append(f"{path} is not explained")
    return found


@pytest.mark.parametrize("plural", MADE)
def test_every_field_is_typed_bounded_and_explained(plural: str) -> None:
    assert faults(schema(plural)) == []


def test_a_field_without_a_type_or_a_bound_is_found() -> None:
    rule = {"x-kubernetes-validations": [{"rule": "true"}]}
    bad = {
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "a": {"$ref": "#/x"},
                    "b": {"type": "array", "items": {"type": "string", **rule}},
                },
            }
        }
    }
    assert faults(bad) == [
        ".spec.a has no type",
        ".spec.a is not structural",
        ".spec.a is not explained",
        ".spec.b does not say how appliers share it",
        ".spec.b has rules and no bound",
        ".spec.b is not explained",
    ]


@pytest.mark.parametrize("plural", MADE)
def test_rules_have_words_and_stay_within_the_fields(plural: str) -> None:
    for path, field, _ in fields(schema(plural)):
        for rule in field.get("x-kubernetes-validations", ()):
            assert rule.get("message") or rule.get("messageExpression"), path
            assert "\n" not in rule["rule"], path
            at = field
            for name in rule.get("fieldPath", "").split(".")[1:]:
                assert name in at["properties"], (path, rule["fieldPath"])
                at = at["properties"][name]


@pytest.mark.parametrize("plural", MADE)
def test_a_definition_is_small_enough_for_kubectl_apply(plural: str) -> None:
    assert len(json.dumps(MADE[plural]())) < LARGEST


@pytest.mark.parametrize("plural", MADE)
def test_the_chart_has_the_definition_kept_on_uninstall(plural: str) -> None:
    text = (CHART / f"{plural}.yaml").read_text()
    head, first, *lines, last = text.splitlines()
    assert (first, last) == ("{{- if .Values.crds.install }}", "{{- end }}")
    inner = "\n".join(lines)
    assert "{{" not in inner.replace('{{ "{{" }}', "")
    found = yaml.load(inner.replace('{{ "{{" }}', "{{"), yaml.CSafeLoader)
    assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == MADE[plural]()
    assert "make update" in head


def test_braces_that_helm_would_read_are_written_as_text() -> None:
    definition = {"metadata": {"name": "x"}, "spec": {"description": "a {{ b }} c"}}
    assert '{{ "{{" }} b }}' in generate_crd.template(definition)


@pytest.mark.parametrize("plural", MADE)
def test_the_outline_is_the_golden_one(plural: str) -> None:
    assert outline.text(MADE[plural]()) == (GOLDEN / f"{plural}.txt").read_text()


def test_nothing_is_filled_in_inside_a_pod_template() -> None:
    paths = [path for path, field, _ in fields(schema("releases")) if "default" in field]
    assert paths
    assert not [path for path in paths if ".template." in path]


def test_filling_in_defaults_makes_no_new_revision() -> None:
    filled: dict[str, Any] = {}
    for path, field, _ in fields(schema("releases")):
        names = path.removeprefix(".").split(".")
        if "default" in field and len(names) == 2:
            filled["/".join(names)] = field["default"]
    assert set(filled) == {"spec/keepWarm", "spec/progressDeadline", "spec/revisionHistoryLimit"}
    assert revision_of(documents(filled).releases[0]) == revision_of(documents().releases[0])
    assert changed(RELEASE, filled) != RELEASE
