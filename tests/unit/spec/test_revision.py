import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.documents import RELEASE, changed

from sluice.spec import Release, from_objects, revision_of, workload_of

DIGEST = "sha256:" + "a" * 64
CONTAINER = "spec/template/spec/containers/0"


def loaded(value: dict[str, Any]) -> Release:
    return from_objects([changed(value, {"spec/policyRef": None})]).releases[0]


def revision(changes: dict[str, Any]) -> str:
    return revision_of(loaded(changed(RELEASE, changes)))


BASE = revision({})


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = rng.sample(sorted(value), len(value))
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


def test_a_revision_is_ten_hexadecimal_characters() -> None:
    assert len(BASE) == 10
    assert int(BASE, 16) >= 0


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(rng: random.Random) -> None:
    assert revision_of(loaded(shuffled(RELEASE, rng))) == BASE


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec/replicas": 9}, id="replicas"),
        pytest.param({"spec/strategy": {"canary": {"steps": [{"setWeight": 5}]}}}, id="strategy"),
        pytest.param({"spec/traffic": {"hosts": ["a"], "timeout": "1s"}}, id="traffic"),
        pytest.param({"spec/keepWarm": "1s", "spec/progressDeadline": "1s"}, id="times"),
        pytest.param({"metadata/labels": {"a": "b"}, "metadata/namespace": "x"}, id="metadata"),
        pytest.param({"spec/tracked": {}, "spec/model": None}, id="nothing-tracked"),
    ],
)
def test_how_it_is_released_is_not_part_of_the_revision(changes: dict[str, Any]) -> None:
    assert revision(changes) == BASE


CHANGES: dict[str, dict[str, Any]] = {
    "image": {f"{CONTAINER}/image": "sluice/model-api:0.2.0"},
    "env": {f"{CONTAINER}/env": [{"name": "A", "value": "1"}]},
    "unread-field": {f"{CONTAINER}/resources": {"limits": {"cpu": "1"}}},
    "pod-annotation": {"spec/template/metadata": {"annotations": {"restarted": "now"}}},
    "model": {"spec/model": {"digest": DIGEST}},
    "config-map": {"spec/tracked": {"configMaps": ["a"]}},
    "secret": {"spec/tracked": {"secrets": ["a"]}},
    "argument-order": {f"{CONTAINER}/command": ["serve", "model-api"]},
}


def test_everything_that_runs_is_part_of_the_revision() -> None:
    revisions = {name: revision(changes) for name, changes in CHANGES.items()}
    assert len({BASE, *revisions.values()}) == len(CHANGES) + 1, revisions


def test_the_order_of_tracked_names_does_not_matter() -> None:
    first = revision({"spec/tracked": {"configMaps": ["a", "b"]}})
    assert revision({"spec/tracked": {"configMaps": ["b", "a"]}}) == first


def test_text_that_utf_8_cannot_carry_has_a_revision() -> None:
    assert revision({f"{CONTAINER}/workingDir": "\ud800"}) != BASE


def test_content_of_tracked_config_makes_another_revision() -> None:
    release = loaded(changed(RELEASE, {"spec/tracked": {"configMaps": ["a"]}}))
    names = revision_of(release)
    assert revision_of(release, tracked_digest="") == names, "as on a laptop"
    one, other = (revision_of(release, tracked_digest=digest) for digest in ("one", "other"))
    assert len({names, one, other}) == 3
    assert workload_of(release, tracked_digest="one").revision == one
