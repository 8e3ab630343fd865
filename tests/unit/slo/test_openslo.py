"""What OpenSLO v1 can say: judged, or refused with the reason. One document for each feature."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.conftest import Run

RATIO = {
    "ratioMetric": {
        "counter": True,
        "good": {"metricSource": {"type": "Prometheus", "spec": {"query": "sum(good)"}}},
        "total": {"metricSource": {"metricSourceRef": "prom", "spec": {"query": "sum(all)"}}},
    }
}


def slo(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": "web-ok", "annotations": {"sluice.dev/sli": "availability"}},
        "spec": {
            "service": "web",
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": 0.99}],
            **spec,
        },
    }


def kind(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "openslo/v1", "kind": name, "metadata": {"name": "x"}, "spec": spec}


@pytest.fixture
def validate(sluice: Run, tmp_path: Path) -> Any:
    def call(document: dict[str, Any]) -> Any:
        path = tmp_path / "openslo.yaml"
        path.write_text(yaml.safe_dump(document))
        return sluice("slo", "validate", "-f", str(path))

    return call


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="least"),
        pytest.param({"indicator": {"spec": RATIO}}, id="ratio-metric"),
        pytest.param({"timeWindow": [{"duration": "1w", "isRolling": True}]}, id="rolling"),
        pytest.param(
            {
                "timeWindow": [
                    {
                        "duration": "1M",
                        "isRolling": False,
                        "calendar": {
                            "startTime": "2026-01-01 00:00:00",
                            "timeZone": "Europe/Berlin",
                        },
                    }
                ]
            },
            id="calendar",
        ),
        pytest.param({"objectives": [{"targetPercent": 99.5}]}, id="percent"),
        pytest.param({"alertPolicies": ["burns", {"alertPolicyRef": "page"}]}, id="policies"),
    ],
)
def test_what_counts_requests_is_taken(validate: Any, spec: dict[str, Any]) -> None:
    ran = validate(slo(**spec))
    assert ran.code == 0, ran.err
    assert "no fault" in ran.out


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param(slo(budgetingMethod="Timeslices"), "write Occurrences", id="timeslices"),
        pytest.param(
            slo(budgetingMethod="RatioTimeslices"), "write Occurrences", id="ratio-slices"
        ),
        pytest.param(slo(indicatorRef="web-sli"), "SLI documents are not read", id="sli-ref"),
        pytest.param(
            slo(indicator={"spec": {"thresholdMetric": {"metricSource": {}}}}),
            "write a ratioMetric",
            id="threshold-metric",
        ),
        pytest.param(
            slo(indicator={"spec": {"ratioMetric": {"raw": {}, "rawType": "success"}}}),
            "hides the count",
            id="raw-ratio",
        ),
        pytest.param(
            slo(objectives=[{"target": 0.99, "op": "lte", "value": 300}]),
            "sluice.dev/le",
            id="threshold-objective",
        ),
        pytest.param(
            slo(objectives=[{"target": 0.99}, {"target": 0.9}]), "another SLO", id="several"
        ),
        pytest.param(
            slo(objectives=[{"target": 0.99, "compositeWeight": 2}]), "composite", id="composite"
        ),
        pytest.param(kind("SLI", **RATIO), "SLI", id="SLI"),
        pytest.param(kind("AlertPolicy", conditions=[]), "AlertPolicy", id="AlertPolicy"),
        pytest.param(kind("AlertCondition", severity="page"), "AlertCondition", id="condition"),
        pytest.param(kind("AlertNotificationTarget", target="x"), "AlertNotification", id="target"),
        pytest.param(kind("DataSource", type="Prometheus"), "DataSource", id="DataSource"),
        pytest.param(kind("Service", description="web"), "Service", id="Service"),
        pytest.param({**slo(), "apiVersion": "openslo/v1alpha"}, "openslo/v1", id="v1alpha"),
        pytest.param({**slo(), "apiVersion": "openslo.com/v2alpha"}, "openslo/v1", id="v2alpha"),
    ],
)
def test_what_does_not_is_refused_with_the_reason(
    validate: Any, document: dict[str, Any], said: str
) -> None:
    ran = validate(document)
    assert ran.code == 64
    assert said in ran.err
    assert "openslo.yaml:" in ran.err
