"""What an answer means for the caller."""

import json

import pytest

from sluice.errors import RefusedError, SluiceError, SpecError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict, Expired, NotThere, error_of
from sluice.kube.kinds import CONFIG_MAP
from sluice.testing.kube import MemoryApi


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, SpecError, id="bad-request"),
        pytest.param(401, TransientError, id="token-being-exchanged"),
        pytest.param(403, RefusedError, id="forbidden"),
        pytest.param(404, NotThere, id="not-there"),
        pytest.param(409, Conflict, id="conflict"),
        pytest.param(410, Expired, id="expired"),
        pytest.param(418, RefusedError, id="anything-else"),
        pytest.param(422, SpecError, id="invalid"),
        pytest.param(429, TransientError, id="too-many"),
        pytest.param(500, TransientError, id="their-fault"),
        pytest.param(504, TransientError, id="time-out"),
    ],
)
def test_every_status_is_an_error_by_what_can_be_done(status: int, kind: type[SluiceError]) -> None:
    error = error_of(status, b"<html>a proxy</html>", what="get pods ml/a")
    assert isinstance(error, kind)
    assert "get pods ml/a" in str(error)
    assert "a proxy" in str(error)


def test_server_says_when_to_come_again() -> None:
    error = error_of(429, b"{}", what="list pods", retry_after_s=7.0)
    assert isinstance(error, TransientError)
    assert error.retry_after_s == 7.0


def test_missing_right_is_named() -> None:
    message = (
        'deployments.apps "x" is forbidden: User "system:serviceaccount:s:c" cannot patch resource '
        '"deployments" in API group "apps" in the namespace "ml"'
    )
    error = error_of(403, json.dumps({"message": message}).encode(), what="apply x")
    assert str(error) == (
        "account system:serviceaccount:s:c may not patch deployments.apps in namespace ml: "
        "give it a role that allows this"
    )


def test_quota_speaks_for_itself() -> None:
    message = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
    error = error_of(403, json.dumps({"message": message}).encode(), what="create pods ml/a")
    assert str(error) == f"create pods ml/a: {message}"


def test_each_cause_is_a_fault() -> None:
    causes = [{"field": "spec.a", "message": "too big"}, {"field": "spec.b", "message": "missing"}]
    body = json.dumps({"message": "m", "details": {"causes": causes}}).encode()
    error = error_of(422, body, what="apply x")
    assert isinstance(error, SpecError)
    assert [str(fault) for fault in error.faults] == ["spec.a: too big", "spec.b: missing"]


async def test_answer_that_is_no_object_is_tried_again() -> None:
    api = MemoryApi()
    api.refuse("GET", CONFIG_MAP, 200, "x")
    client: KubeClient = api.client()
    assert await client.get(CONFIG_MAP, "a", "ml") == {
        "kind": "Status",
        "code": 200,
        "message": "x",
    }
