import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed, documents

from sluice.errors import SpecError
from sluice.spec import from_objects, schema_of, to_object
from sluice.spec.loader import MODELS

ROOT = Path(__file__).parents[3]
SCHEMAS = {kind: Draft202012Validator(schema_of(kind)) for kind in MODELS}
KUSTOMIZATION = "kustomization.yaml"
FILES = [
    *(path for path in (ROOT / "examples").rglob("*.yaml") if path.name != KUSTOMIZATION),
    *(ROOT / "tests/golden/plan").glob("*.yaml"),
]


def in_files() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
        for path in sorted(FILES)
        for document in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize("document", in_files())
def test_every_example_is_valid_by_its_schema(document: dict[str, Any]) -> None:
    SCHEMAS[document["kind"]].validate(document)


@pytest.mark.parametrize("kind", MODELS)
def test_schemas_are_schemas_and_describe_every_field_of_ours(kind: str) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    for name, definition in schema["$defs"].items():
        for field, value in definition.get("properties", {}).items():
            assert value.get("description"), f"{name}.{field} has no description"


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        pytest.param(RELEASE, {"spec/replicas": 0}, id="replicas"),
        pytest.param(RELEASE, {"spec/nothing": 1}, id="unknown"),
        pytest.param(RELEASE, {"spec/keepWarm": "1 m"}, id="duration"),
        pytest.param(RELEASE, {"spec/keepWarm": ""}, id="empty-duration"),
        pytest.param(RELEASE, {"spec/strategy": {}}, id="no-strategy"),
        pytest.param(RELEASE, {"spec/strategy": {"blueGren": {}}}, id="unknown-strategy"),
        pytest.param(
            RELEASE, {"spec/strategy": {"canary": {"steps": [{"setWeight": 100}]}}}, id="all"
        ),
        pytest.param(RELEASE, {"metadata/name": "Taxi"}, id="name"),
        pytest.param(POLICY, {"spec/alpha": 1}, id="alpha"),
        pytest.param(POLICY, {"spec/onInconclusive": "wait"}, id="choice"),
        pytest.param(ANSWERED, {"spec/objectives": [{}]}, id="no-target"),
    ],
)
def test_a_schema_refuses_what_an_editor_should_mark(
    base: dict[str, Any], changes: dict[str, Any]
) -> None:
    schema = SCHEMAS[base["kind"]]
    assert schema.is_valid(base)
    assert not schema.is_valid(changed(base, changes))


PATHS = st.sampled_from(
    ["spec/replicas", "spec/keepWarm", "spec/traffic", "spec/strategy", "spec/template",
     "spec/alpha", "spec/ramp", "spec/objectives", "metadata", "metadata/name", "spec/service",
     "spec/timeWindow", "spec/policyRef", "spec/tracked", "spec/model", "spec/lease"]
)  # fmt: skip
VALUES = st.sampled_from(
    [None, True, 0, 1, 0.5, 100, "", "a", "A", "30s", [], {}, [{"duration": "4w"}], {"port": 80},
     {"name": "taxi"}, {"canary": {"steps": [{"setWeight": 5}]}}, {"canary": {}}, {"max": 10},
     {"stages": [{"canary": {}}]}, {"hosts": ["a.b"]}, {"hosts": ["A"]}, [{"sloRef": "fast"}],
     {"configMaps": ["a"]}, {"sticky": {"cookie": "c"}}, [{"target": 0.5}], {"growth": 1}]
)  # fmt: skip


@given(st.sampled_from([RELEASE, POLICY, ANSWERED, FAST]), PATHS, VALUES)
def test_what_the_loader_accepts_the_schema_accepts(
    base: dict[str, Any], path: str, value: object
) -> None:
    document = changed(base, {path: value})
    others = [other for other in (POLICY, ANSWERED, FAST) if other is not base]
    try:
        loaded = from_objects([document, *others])
    except SpecError:
        return
    SCHEMAS[base["kind"]].validate(document)
    for accepted in loaded:
        SCHEMAS[accepted.kind].validate(to_object(accepted))


def test_defaults_in_a_schema_are_written_as_in_a_file() -> None:
    fields = schema_of("ReleasePolicy")["$defs"]["PolicySpec"]["properties"]
    assert fields["minBake"]["default"] == "10m"
    assert fields["alpha"]["default"] == documents().policies[0].spec.alpha
