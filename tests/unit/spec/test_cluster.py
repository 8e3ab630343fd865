from typing import Any

import pytest
from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed, documents

from sluice.errors import SpecError
from sluice.spec import (
    SLO_LABEL,
    from_cluster,
    from_objects,
    revision_of,
    slos_from_cluster,
    to_cluster,
)

SERVER = {
    "metadata/uid": "2f1a",
    "metadata/resourceVersion": "17",
    "metadata/generation": 3,
    "metadata/creationTimestamp": "2026-11-30T12:00:00Z",
    "metadata/deletionTimestamp": "2026-11-30T13:00:00Z",
    "metadata/managedFields": [{"manager": "kubectl"}],
    "metadata/finalizers": ["sluice.dev/release"],
    "metadata/ownerReferences": [{"kind": "Application"}],
    "status": {"phase": "Healthy"},
}


def back(objects: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for obj in objects:
        found += slos_from_cluster(obj) if obj["kind"] == "ConfigMap" else [from_cluster(obj)]
    return found


def test_an_object_of_the_api_server_is_read_as_its_file() -> None:
    obj = changed(RELEASE, {**SERVER, "metadata/namespace": "ml"})
    assert from_cluster(obj) == changed(RELEASE, {"metadata/namespace": "ml"})
    (loaded,) = from_objects([from_cluster(obj), POLICY, ANSWERED, FAST]).releases
    assert revision_of(loaded) == revision_of(documents().releases[0])


def test_what_is_neither_the_servers_nor_known_is_still_refused() -> None:
    obj = changed(RELEASE, {**SERVER, "spec/replcas": 3, "extra": 1})
    with pytest.raises(SpecError) as caught:
        from_objects([from_cluster(obj), POLICY, ANSWERED, FAST])
    assert {fault.path for fault in caught.value.faults} == {"spec.replcas", "extra"}


def test_documents_come_back_from_the_cluster_as_they_went() -> None:
    objects = to_cluster(documents(), "ml")
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in objects] == [
        ("ConfigMap", "slo-answered"),
        ("ConfigMap", "slo-fast"),
        ("ReleasePolicy", "taxi"),
        ("Release", "taxi"),
    ]
    assert {obj["metadata"]["namespace"] for obj in objects} == {"ml"}
    assert objects[0]["metadata"]["labels"] == {SLO_LABEL: "true"}
    again = from_objects(back(objects))
    assert to_cluster(again, "ml") == objects
    assert again.slos == documents().slos


def test_slos_go_where_the_policies_are_that_refer_to_them() -> None:
    objects = to_cluster(documents(policy={"metadata/namespace": "judges"}), "ml")
    where = {(obj["kind"], obj["metadata"]["namespace"]) for obj in objects}
    assert where == {("ConfigMap", "judges"), ("ReleasePolicy", "judges"), ("Release", "ml")}
    lonely = to_cluster(from_objects([FAST]), "ml")
    assert [obj["metadata"]["namespace"] for obj in lonely] == ["ml"]
    placed = to_cluster(from_objects([changed(FAST, {"metadata/namespace": "own"})]), "ml")
    assert [obj["metadata"]["namespace"] for obj in placed] == ["own"]


def test_a_config_map_that_is_no_yaml_says_which_key() -> None:
    config_map = {"metadata": {"name": "slos"}, "data": {"a.yaml": "a: [", "b.yaml": "x: 1"}}
    with pytest.raises(SpecError) as caught:
        slos_from_cluster(config_map)
    assert [fault.file for fault in caught.value.faults] == ["configmap/slos:a.yaml"]


def test_an_empty_config_map_holds_nothing() -> None:
    assert slos_from_cluster({"metadata": {"name": "slos"}, "data": None}) == []
