from typing import Any

import pytest
from tests.unit.spec.documents import documents, release

from sluice import spec
from sluice.cluster.extras import Described
from sluice.cluster.wanted import Wanted
from sluice.platforms.kubernetes.extras import RevisionExtras


def described(**changes: Any) -> RevisionExtras:
    given = release(**changes)
    extras = Described()
    item = Wanted(
        key="ml/taxi",
        generation=1,
        release=given,
        workload=spec.workload_of(given),
        variants=(),
        plan=spec.to_plan(given),
        settings=spec.analysis_settings(given, documents().policies[0], documents().slos),
        notices=(),
    )
    extras.describe(item, "uid")
    found = extras("ml/taxi")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("changes", "wanted", "bound"),
    [
        pytest.param({}, True, {"maxUnavailable": 1}, id="by-default"),
        pytest.param({"spec__replicas": 1}, False, {"maxUnavailable": 1}, id="one-replica"),
        pytest.param(
            {"spec__disruptionBudget": {"minAvailable": "75%"}},
            True,
            {"minAvailable": "75%"},
            id="share-that-stays",
        ),
        pytest.param(
            {"spec__replicas": 1, "spec__disruptionBudget": {"maxUnavailable": 0}},
            True,
            {"maxUnavailable": 0},
            id="one-replica-that-stays",
        ),
    ],
)
def test_the_budget_of_a_release_is_the_platforms(
    changes: dict[str, Any], wanted: bool, bound: dict[str, Any]
) -> None:
    found = described(**changes)
    assert found.disruption_budget is wanted
    assert found.budget == bound


def test_the_autoscaler_of_a_release_is_the_platforms() -> None:
    found = described(spec__autoscaling={"minReplicas": 3, "maxReplicas": 6}).autoscaling
    target = {"type": "Utilization", "averageUtilization": 80}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    assert found == {"minReplicas": 3, "maxReplicas": 6, "metrics": [metric]}


def test_of_a_spec_with_a_fault_what_can_be_read_is_assumed_until_more_is_known() -> None:
    scaling = {"maxReplicas": 5, "targetCPUUtilizationPercentage": 70}
    extras = Described()
    obj = {
        "metadata": {"name": "taxi", "namespace": "ml", "uid": "uid"},
        "spec": {
            "replicas": 2,
            "keepWarm": "soon",
            "autoscaling": scaling,
            "disruptionBudget": {"minAvailable": "lots"},
        },
    }
    extras.assume(obj)
    found = extras("ml/taxi")
    assert found is not None
    assert found.owner.uid == "uid"
    assert found.autoscaling is not None
    assert found.autoscaling["maxReplicas"] == 5
    assert found.budget == {"maxUnavailable": 1}
    extras.assume({**obj, "metadata": {**obj["metadata"], "uid": "another"}})
    assert extras("ml/taxi") == found
