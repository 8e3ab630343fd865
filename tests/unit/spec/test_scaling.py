from typing import Any

import pytest
from tests.unit.spec.documents import faults, release

SCALING = {"maxReplicas": 6}


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        pytest.param(
            {"spec/autoscaling": {"maxReplicas": 3, "minReplicas": 4}},
            "spec.autoscaling.minReplicas",
            "4 is above maxReplicas, 3",
            id="least-over-most",
        ),
        pytest.param(
            {"spec/autoscaling": {"maxReplicas": 3, "minReplicas": 1}},
            "spec.autoscaling.minReplicas",
            "1 is below replicas, 2, for which a pass waits: lower replicas",
            id="least-below-replicas",
        ),
        pytest.param(
            {"spec/autoscaling": {"maxReplicas": 1}},
            "spec.autoscaling.maxReplicas",
            "1 is below replicas, 2",
            id="most-below-replicas",
        ),
        pytest.param(
            {
                "spec/autoscaling": {
                    **SCALING,
                    "targetCPUUtilizationPercentage": 60,
                    "metrics": [{"type": "Resource"}],
                }
            },
            "spec.autoscaling",
            "scales by targetCPUUtilizationPercentage or metrics, one of the two",
            id="two-sources",
        ),
        pytest.param(
            {"spec/autoscaling": SCALING, "spec/strategy": {"rolling": {}}},
            "spec.strategy.rolling",
            "counts replicas, and an autoscaler changes them: remove autoscaling, or choose "
            "another strategy",
            id="rolling",
        ),
        pytest.param(
            {
                "spec/autoscaling": SCALING,
                "spec/strategy": {"stages": [{"canary": {"capacity": "proportional"}}]},
            },
            "spec.strategy.stages[0].canary.capacity",
            '"proportional" sizes the candidate, and so does an autoscaler: write full, or remove '
            "autoscaling",
            id="proportional",
        ),
        pytest.param(
            {"spec/disruptionBudget": {}},
            "spec.disruptionBudget",
            "give minAvailable or maxUnavailable, one of the two",
            id="empty-budget",
        ),
        pytest.param(
            {"spec/disruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
            "spec.disruptionBudget",
            "give minAvailable or maxUnavailable, one of the two",
            id="two-budgets",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], path: str, reason: str) -> None:
    assert faults(changes) == {path: reason}


def test_an_autoscaler_without_metrics_keeps_to_80_percent_of_the_cpu() -> None:
    scaling = release(spec__autoscaling=SCALING).spec.autoscaling
    assert scaling is not None
    assert scaling.cpu == 80
    metrics = [{"type": "Pods", "pods": {"metric": {"name": "queue"}}}]
    scaling = release(spec__autoscaling={**SCALING, "metrics": metrics}).spec.autoscaling
    assert scaling is not None
    assert scaling.cpu is None
    assert scaling.metrics == tuple(metrics)


@pytest.mark.parametrize(
    ("budget", "spared"),
    [
        pytest.param({"maxUnavailable": 1}, 1, id="number"),
        pytest.param({"maxUnavailable": "25%"}, 1, id="share-is-rounded-up"),
        pytest.param({"minAvailable": "75%"}, 1, id="rest-of-a-share"),
        pytest.param({"minAvailable": 4}, 0, id="all-stay"),
    ],
)
def test_a_budget_spares_replicas(budget: dict[str, Any], spared: int) -> None:
    given = release(spec__disruptionBudget=budget).spec.disruption_budget
    assert given is not None
    assert given.spared(4) == spared
    assert given.bound == budget
