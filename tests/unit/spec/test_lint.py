from typing import Any

import pytest
import yaml
from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed, documents

from sluice.spec import Text, lint, load
from sluice.spec.lint import requests_to_pass

CONTAINER = "spec/template/spec/containers/0"


def rules(**changes: dict[str, Any]) -> list[str]:
    return [warning.rule for warning in lint(documents(**changes))]


def steps(*given: Any) -> dict[str, Any]:
    return {"spec/strategy": {"canary": {"steps": list(given)}}}


def ab(goal: dict[str, Any], **more: Any) -> dict[str, Any]:
    test = {"goals": [goal], "horizon": {"users": 9}, "outcomes": "o.csv", **more}
    return {"spec/strategy": {"abTest": test}, "spec/traffic": {"sticky": {"cookie": "uid"}}}


PAUSE = {"pause": {"duration": "2m"}}
RELEASES: dict[str, dict[str, Any]] = {
    "one-replica": {"spec/replicas": 1},
    "no-undo": {"spec/keepWarm": "0s"},
    "no-drain": {"spec/disruptionBudget": {"minAvailable": "100%"}},
    "no-readiness": {f"{CONTAINER}/readinessProbe": ...},
    "moving-image": {f"{CONTAINER}/image": "registry:5000/model-api:latest"},
    "unknown-pod-field": {f"{CONTAINER}/imagePullPolcy": "Always"},
    "timeout-within-slo": {"spec/traffic": {"timeout": "300ms"}},
    "shield-within-slo": {
        "spec/strategy": {"canary": {"shield": {"perTryTimeout": "299ms"}}},
    },
    "same-weight": steps({"setWeight": 5}, {"setWeight": 5}, PAUSE),
    "no-pause": steps({"setWeight": 5}, {"setWeight": 10}, PAUSE),
    "no-traffic": steps({"gate": {"name": "go"}}),
    "large-first-step": steps({"setWeight": 50}, PAUSE),
    "unasked-switch": {"spec/strategy": {"blueGreen": {}}},
    "unwatched-switch": {
        "spec/strategy": {"blueGreen": {"gate": {"name": "go"}}},
        "spec/keepWarm": "0s",
    },
    "hurried-batches": {"spec/strategy": {"rolling": {}}},
    "exact-shadow": {"spec/strategy": {"shadow": {"percent": 5}}},
    "unplanned-test": ab({"name": "tip", "kind": "binary"}),
    "no-outcomes": ab({"name": "tip", "kind": "binary", "mde": 0.1}, outcomes=""),
    "pauses-over-deadline": steps({"setWeight": 5}, {"pause": {"duration": "1h"}}),
}
POLICIES: dict[str, dict[str, Any]] = {
    "deadline-before-bake": {"spec/deadline": "10m"},
    "no-bake": {"spec/minBake": "0s"},
    "warm-up-over-bake": {"spec/minBake": "30s"},
    "short-lease": {"spec/lease": "2s"},
    "large-alpha": {"spec/alpha": 0.06},
    "large-beta": {"spec/beta": 0.3},
    "promotes-unproven": {"spec/onInconclusive": "promote"},
}


def test_a_careful_release_has_no_warning() -> None:
    assert rules() == []
    assert rules(release=steps({"setWeight": 0}, {"setWeight": 5}, PAUSE)) == []
    assert rules(release=steps({"setWeight": 5}, PAUSE, {"setWeight": 10}, PAUSE)) == []


@pytest.mark.parametrize("rule", RELEASES)
def test_a_doubtful_release_is_warned_of(rule: str) -> None:
    also = {"unwatched-switch": ["no-undo"]}
    assert sorted(rules(release=RELEASES[rule])) == sorted([rule, *also.get(rule, [])])


@pytest.mark.parametrize("rule", POLICIES)
def test_a_doubtful_policy_is_warned_of(rule: str) -> None:
    assert rules(policy=POLICIES[rule]) == [rule]


def test_objectives_that_miss_a_kind_are_warned_of() -> None:
    latency = {"spec/objectives": [{"sloRef": "fast"}]}
    availability = {"spec/objectives": [{"sloRef": "answered"}]}
    assert rules(policy=latency) == ["unused-slo", "no-availability"] or rules(policy=latency) == [
        "no-availability",
        "unused-slo",
    ]
    assert "no-latency" in rules(policy=availability)
    assert "no-latency" in rules(policy={"spec/objectives": ...})


def test_objectives_that_only_look_on_are_warned_of() -> None:
    shown = {"spec/objectives": [{"sloRef": n, "dryRun": True} for n in ("fast", "answered")]}
    assert "only-dry-runs" in rules(policy=shown)


def test_a_target_that_needs_many_requests_is_warned_of() -> None:
    assert rules(answered={"spec/objectives": [{"target": 0.9999}]}) == ["many-requests"]
    # 299 good requests are needed for 99% at 95% (Clopper-Pearson); half the budget and beta/2 more
    assert requests_to_pass(0.99, 1.0, 0.1) == 299
    assert requests_to_pass(0.9999, 0.5, 0.05) == 73_776


def test_a_policy_that_no_release_names_is_warned_of() -> None:
    assert rules(release={"spec/policyRef": ...}) == ["default-policy", "unused-policy"]


def test_a_warning_has_file_line_and_path() -> None:
    doubtful = changed(RELEASE, {"spec/replicas": 1})
    text = yaml.safe_dump_all([POLICY, ANSWERED, FAST, doubtful])
    (warning,) = lint(load([Text(text=text, name="all.yaml")]))
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "replicas: 1" in row)
    assert str(warning).startswith(f"all.yaml:{line}: spec.replicas: one replica")
