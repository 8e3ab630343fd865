from typing import Any

import pytest
from tests.unit.spec.documents import release

from sluice.laptop.deploy import without_meaning

IMAGE = "spec.template.spec.containers[0].image"


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"spec__autoscaling": {"maxReplicas": 4}}, ["spec.autoscaling"], id="autoscaler"
        ),
        pytest.param(
            {"spec__disruptionBudget": {"minAvailable": 1}}, ["spec.disruptionBudget"], id="budget"
        ),
        pytest.param(
            {"spec__template__spec__nodeSelector": {"disk": "ssd"}},
            ["spec.template.spec.nodeSelector"],
            id="field-of-the-pod",
        ),
    ],
)
def test_what_only_a_cluster_does_is_named(changes: dict[str, Any], paths: list[str]) -> None:
    assert without_meaning(release(**changes)) == [*paths, IMAGE]
