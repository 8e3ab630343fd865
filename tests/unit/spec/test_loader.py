import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed, documents, faults

from sluice.errors import Fault, SpecError
from sluice.spec import Text, Where, from_objects, load, to_object


def told(*sources: str | Path | Text, **kwargs: Any) -> tuple[Fault, ...]:
    with pytest.raises(SpecError) as caught:
        load(sources, **kwargs)
    return caught.value.faults


def test_documents_come_from_several_files_and_standard_input(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(RELEASE))
    (tmp_path / "slo.json").write_text(yaml.safe_dump_all([ANSWERED, FAST]))
    policy = yaml.safe_dump(POLICY).encode()
    loaded = load(
        [tmp_path / "release.yaml", "-", str(tmp_path / "slo.json")], stdin=lambda: policy
    )
    assert loaded == documents()
    assert loaded.policy_of(loaded.releases[0]) is loaded.policies[0]


def test_faults_of_all_files_are_told_at_once_in_their_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(yaml.safe_dump(changed(RELEASE, {"spec/replicas": 0})))
    second.write_text("a: [\n")
    found = told(first, second, tmp_path / "c.yaml", Text(text="kind: Relase", name="d.yaml"))
    assert [Path(fault.file).name for fault in found if fault.path != "apiVersion"] == [
        "a.yaml", "a.yaml", "b.yaml", "c.yaml", "d.yaml"
    ]  # fmt: skip
    assert "no such file" in found[-3].reason


def test_good_documents_are_not_returned_beside_a_bad_one() -> None:
    good, bad = yaml.safe_dump(ANSWERED), "apiVersion: openslo/v1\nkind: SLO\n"
    assert {fault.path for fault in told(Text(text=f"{good}---\n{bad}"))} == {"metadata", "spec"}


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "folder" in told(tmp_path)[0].reason


def test_an_unreadable_end_does_not_hide_faults_before_it() -> None:
    text = yaml.safe_dump(changed(FAST, {"spec/service": 7})) + "---\na: [\n"
    assert [fault.path for fault in told(Text(text=text))] == ["spec.service", "file"]


def test_a_fault_has_file_line_path_and_reason() -> None:
    head = "apiVersion: sluice.dev/v1alpha1\nkind: ReleasePolicy\nmetadata: {name: p}\n"
    text = f"{head}spec:\n  alpha: 2\n"
    (fault,) = told(Text(text=text, name="policy.yaml"))
    assert str(fault) == "policy.yaml:5: spec.alpha: must be below 1, not 2"


def test_an_objects_faults_have_no_line() -> None:
    with pytest.raises(SpecError) as caught:
        from_objects([changed(FAST, {"spec/service": 7})], name="status")
    assert str(caught.value).startswith("status: spec.service: must be text")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param([1, {2: 3}], "key is not text", id="key"),
        pytest.param({"a": float("nan")}, "no number", id="nan"),
        pytest.param({"a": {1, 2}}, "holds a set", id="set"),
        pytest.param({"a": (1,)}, "holds a tuple", id="tuple"),
        pytest.param(7, "must be an object", id="scalar"),
        pytest.param(None, "must be an object", id="nothing"),
    ],
)
def test_objects_that_are_no_json_are_refused(value: object, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        from_objects([value])


def test_deep_objects_are_refused_and_not_recursed_into() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(SpecError, match="nested"):
        from_objects([deep])


def test_fine_documents_have_no_fault() -> None:
    assert faults() == {}


def test_a_document_survives_a_round_trip() -> None:
    before = documents(
        {"spec/traffic": {"timeout": "90s", "sticky": {"header": "X-User"}}},
        {"spec/minBake": "90m", "spec/ramp": {"max": 12.5}},
    )
    objects = [to_object(document) for document in before]
    assert objects[0]["spec"]["traffic"] == {"timeout": "1m30s", "sticky": {"header": "x-user"}}
    assert objects[1]["spec"]["minBake"] == "1h30m"
    assert objects[1]["spec"]["ramp"] == {"max": 12.5}
    assert from_objects(objects) == before


def test_a_fault_in_a_field_does_not_hide_one_between_fields() -> None:
    steps = [{"setWeight": 25}, {"setWeight": 5}, {"setWeight": "x"}]
    found = faults({"spec/strategy": {"canary": {"steps": steps}}, "spec/replicas": 0})
    assert set(found) == {
        "spec.strategy.canary.steps[1].setWeight",
        "spec.strategy.canary.steps[2].setWeight",
        "spec.replicas",
    }


def test_a_bad_policy_does_not_make_its_reference_dangle() -> None:
    assert set(faults(policy={"spec/alpha": 7})) == {"spec.alpha"}


def test_references_may_lead_to_known_documents() -> None:
    later = changed(RELEASE, {"spec/replicas": 5})
    loaded = load([Text(text=yaml.safe_dump(later))], known=documents())
    assert [release.spec.replicas for release in loaded.releases] == [5]
    assert loaded.policy_of(loaded.releases[0]) == documents().policies[0]
    assert loaded.slos == documents().slos


def test_a_given_document_takes_the_place_of_a_known_one() -> None:
    stricter = changed(POLICY, {"spec/alpha": 0.0001})
    loaded = load([Text(text=yaml.safe_dump(stricter))], known=documents())
    assert [policy.spec.alpha for policy in loaded.policies] == [0.0001]


def test_a_host_of_a_known_release_is_refused_where_it_is_claimed_again() -> None:
    other = changed(RELEASE, {"metadata/name": "fare", "spec/traffic": {"hosts": ["taxi"]}})
    with pytest.raises(SpecError) as caught:
        load([Text(text=yaml.safe_dump(other), name="fare.yaml")], known=documents())
    (fault,) = caught.value.faults
    assert (fault.file, fault.path) == ("fare.yaml", "spec.traffic.hosts[0]")
    assert fault.line > 0


def test_null_is_told_as_empty_where_a_value_is_needed() -> None:
    assert faults({"spec/keepWarm": None})["spec.keepWarm"].startswith("must be a duration")
    assert faults({"spec/replicas": None})["spec.replicas"].startswith("is empty")
    assert faults({"spec/model": None}) == {}


def test_time_to_refuse_grows_with_the_size_of_a_list_and_not_faster() -> None:
    def refused_s(hosts: int) -> float:
        many = {"spec/traffic": {"hosts": [f"A{i}" for i in range(hosts)]}}
        began = time.process_time()
        assert len(faults(many)) >= hosts
        return time.process_time() - began

    refused_s(100)
    assert refused_s(16_000) < 60 * max(refused_s(1_000), 0.005)  # quadratic would be 256 times


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    assert told(Text(text=text, name="any"))


@given(st.binary())
def test_any_bytes_are_refused(data: bytes) -> None:
    assert told(Text(text=data, name="any"))


def test_objects_may_refer_to_known_documents_and_name_their_place() -> None:
    release = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Release",
        "metadata": {"name": "taxi"},
        "spec": {
            "replicas": 1,
            "policyRef": {"name": "strict"},
            "strategy": {"canary": {}},
            "template": {
                "spec": {
                    "containers": [{"name": "m", "ports": [{"name": "http", "containerPort": 80}]}]
                }
            },
        },
    }
    policy = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": "strict"},
        "spec": {},
    }
    known = from_objects([policy])
    assert from_objects([release], known=known).policies == known.policies
    where = Where(place="namespace ml", remedy="apply it too")
    with pytest.raises(SpecError, match="is in namespace ml: apply it too"):
        from_objects([release], where=where)
