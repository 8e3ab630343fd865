"""Why a pod is not ready, in one line."""

from typing import Any

import pytest

from sluice.nouns import Endpoint
from sluice.platforms.kubernetes.pods import (
    LONGEST_SAID,
    endpoint_of,
    millis,
    ready_since_ms,
    restarts_of,
    why_no_pod,
    why_not_ready,
)

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}


def pod(status: dict[str, Any], **container: Any) -> dict[str, Any]:
    containers = [{"name": "model", "ports": [{"name": "http", "containerPort": 8080}]} | container]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers}, "status": status}


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"name": "model", "image": "model:1", "ready": False, "state": state} | more
    return {"containerStatuses": [item]}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container({"waiting": {"reason": reason, "message": message}}, **more)


READINESS = {"readinessProbe": {"httpGet": {"port": "http", "path": "/ready"}}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            pod(
                {
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: cpu"}
                    ]
                }
            ),
            "cannot be scheduled: 0/3 nodes: cpu",
            id="unschedulable",
        ),
        pytest.param(
            pod(waiting("ImagePullBackOff", "Back-off pulling image")),
            "image model:1 cannot be pulled: Back-off pulling image",
            id="image",
        ),
        pytest.param(
            pod(
                waiting(
                    "CrashLoopBackOff",
                    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                )
            ),
            "container model crashes again and again: last time it exited with status 137"
            " (OOMKilled)",
            id="crash-loop",
        ),
        pytest.param(
            pod(
                container({"terminated": {"exitCode": 3, "reason": "Error", "message": "bad\nkey"}})
            ),
            "container model exited with status 3: bad key",
            id="exited",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'secret "key" not found')),
            'container model cannot start: CreateContainerConfigError: secret "key" not found',
            id="missing-secret",
        ),
        pytest.param(
            pod(
                {
                    "initContainerStatuses": [
                        {"name": "fetch", "state": {"terminated": {"exitCode": 1}}}
                    ]
                }
            ),
            "container fetch exited with status 1",
            id="init-container",
        ),
        pytest.param(
            pod(container({"running": {}}, started=True), **READINESS),
            "container model: readiness probe GET :http/ready does not pass",
            id="readiness",
        ),
        pytest.param(
            pod(
                container({"running": {}}, started=False),
                startupProbe={"exec": {"command": ["cat", "/ok"]}},
            ),
            "container model: startup probe cat /ok does not pass yet",
            id="startup",
        ),
        pytest.param(
            pod(waiting("ContainerCreating")),
            "container model is being started (ContainerCreating)",
            id="creating",
        ),
        pytest.param(pod({}), "starting", id="nothing-known"),
        pytest.param(
            pod({"conditions": [{"type": "Ready", "status": "False", "message": "gate g"}]}),
            "gate g",
            id="readiness-gate",
        ),
    ],
)
def test_reason_is_said_in_one_line(found: dict[str, Any], said: str) -> None:
    assert why_not_ready(found) == said


def test_long_reasons_are_cut() -> None:
    assert len(why_not_ready(pod(waiting("ErrImagePull", "x" * 1000)))) == LONGEST_SAID


def test_quota_is_said_where_no_pod_is_let_in() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    deployment = {"status": {"conditions": [condition]}}
    assert why_no_pod(deployment) == "no further pod is let in: exceeded quota: small"
    assert why_no_pod(None) == "waiting for its pods"


def test_ready_pod_is_an_endpoint() -> None:
    found = pod({"podIP": "10.0.0.7", "phase": "Running", "conditions": [READY]})
    assert endpoint_of(found, "http") == Endpoint(name="p", host="10.0.0.7", port=8080)
    assert endpoint_of(found, 9000) == Endpoint(name="p", host="10.0.0.7", port=9000)
    assert ready_since_ms(found) == 1_767_225_601_000


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"name": "p", "deletionTimestamp": "x"}}, id="told-to-go"),
        pytest.param({"status": {"podIP": "10.0.0.7", "phase": "Running"}}, id="not-ready"),
        pytest.param({"status": {"conditions": [READY], "phase": "Running"}}, id="no-address"),
        pytest.param(
            {"status": {"conditions": [READY], "podIP": "10.0.0.7", "phase": "Failed"}},
            id="evicted",
        ),
        pytest.param({"spec": {"containers": []}}, id="no-such-port"),
    ],
)
def test_others_are_none(change: dict[str, Any]) -> None:
    found = pod({"podIP": "10.0.0.7", "phase": "Running", "conditions": [READY]}) | change
    assert endpoint_of(found, "http") is None


def test_restarts_of_all_containers_count() -> None:
    statuses = [{"name": "a", "restartCount": 2}, {"name": "b", "restartCount": 1}, {"name": "c"}]
    assert restarts_of(pod({"containerStatuses": statuses})) == 3


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_time_that_is_none_is_zero(text: object) -> None:
    assert millis(text) == 0
