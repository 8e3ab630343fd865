from typing import Any

import pytest

from sluice.agent.endpoints import endpoints_of
from sluice.nouns import Endpoint


def piece(*entries: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "addressType": "IPv4",
        "endpoints": list(entries),
        "ports": [{"name": "http", "port": 8080}] if ports is None else ports,
    }


def entry(name: str, host: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [host], "conditions": conditions, "targetRef": {"name": name}}


@pytest.mark.parametrize(
    ("conditions", "taken"),
    [
        pytest.param({"ready": True, "serving": True, "terminating": False}, True, id="ready"),
        pytest.param({}, True, id="unknown-is-ready"),
        pytest.param({"ready": False, "serving": False}, False, id="not-ready"),
        pytest.param({"ready": False, "serving": True, "terminating": True}, False, id="ending"),
        pytest.param({"ready": True, "terminating": True}, False, id="ready-but-ending"),
    ],
)
def test_only_pods_that_can_take_requests_are_endpoints(
    conditions: dict[str, bool], taken: bool
) -> None:
    found = endpoints_of([piece(entry("taxi-1", "10.0.0.1", **conditions))], "http")
    assert found == ((Endpoint(name="taxi-1", host="10.0.0.1", port=8080),) if taken else ())


def test_a_pod_in_two_slices_is_one_endpoint() -> None:
    both = [piece(entry("a", "10.0.0.1"), entry("b", "10.0.0.2")), piece(entry("a", "fd00::1"))]
    assert [(item.name, item.host) for item in endpoints_of(both, "http")] == [
        ("a", "10.0.0.1"),
        ("b", "10.0.0.2"),
    ]


def test_one_address_is_one_endpoint() -> None:
    assert len(endpoints_of([piece(entry("a", "10.0.0.1"), entry("b", "10.0.0.1"))], "http")) == 1


def test_an_endpoint_without_a_pod_is_called_by_its_address() -> None:
    (found,) = endpoints_of([piece({"addresses": ["10.0.0.1"]})], "http")
    assert found.name == "10.0.0.1"


@pytest.mark.parametrize(
    ("ports", "wanted", "number"),
    [
        pytest.param([("grpc", 9000), ("http", 8080)], "http", 8080, id="by-name"),
        pytest.param([("grpc", 9000), ("http", 8080)], 9000, 9000, id="by-number"),
        pytest.param([("traffic", 8080)], "http", 8080, id="the-only-one"),
        pytest.param([("", 8080)], "http", 8080, id="without-a-name"),
        pytest.param([("a", 1), ("b", 2)], "http", None, id="two-others"),
        pytest.param([], "http", None, id="none"),
    ],
)
def test_the_port_that_takes_requests_is_found(
    ports: list[tuple[str, int]], wanted: str | int, number: int | None
) -> None:
    listed = [{"name": name, "port": value} for name, value in ports]
    found = endpoints_of([piece(entry("a", "10.0.0.1"), ports=listed)], wanted)
    assert [item.port for item in found] == ([] if number is None else [number])
