"""The translation of routing into Envoy's resources, as files that are reviewed as diffs."""

from pathlib import Path

import orjson
import pytest
import yaml

from sluice.agent.rendering import Renderer
from sluice.dataplanes.codec import decode_fragment

CASES = Path(__file__).parents[2] / "golden" / "xds"
NAMES = sorted(path.name.removesuffix(".in.yaml") for path in CASES.glob("*.in.yaml"))


def render(text: str) -> bytes:
    document = yaml.safe_load(text)
    renderer = Renderer(eds_dir="eds")
    expired = set(document.get("lease_expired", ()))
    fragments = [decode_fragment(orjson.dumps(item)) for item in document["releases"]]
    parts = [
        renderer.release(fragment, lease_expired=fragment.routing.release in expired)
        for fragment in fragments
    ]
    config = renderer.router(parts, ())
    resources = {
        "clusters": {str(name): value for name, value in config.clusters.items()},
        "endpoints": {str(name): value for name, value in config.endpoints.items()},
        "routes": config.routes,
    }
    return orjson.dumps(resources, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@pytest.mark.parametrize("name", NAMES)
def test_routing_translates_as_recorded(name: str, update_golden: bool) -> None:
    golden = CASES / f"{name}.out.json"
    rendered = render((CASES / f"{name}.in.yaml").read_text())
    if update_golden:
        golden.write_bytes(rendered)
    assert golden.read_bytes() == rendered


def test_a_change_of_weight_touches_routes_only() -> None:
    text = (CASES / "weighted.in.yaml").read_text()
    before, after = (
        orjson.loads(render(version))
        for version in (text, text.replace("1000", "2000").replace("9000", "8000"))
    )
    assert before["routes"] != after["routes"]
    assert (before["clusters"], before["endpoints"]) == (after["clusters"], after["endpoints"])


def test_another_pod_touches_endpoints_only() -> None:
    text = (CASES / "weighted.in.yaml").read_text()
    before, after = (
        orjson.loads(render(version)) for version in (text, text.replace("10.0.0.2", "10.0.0.9"))
    )
    assert before["endpoints"] != after["endpoints"]
    assert (before["clusters"], before["routes"]) == (after["clusters"], after["routes"])


def test_every_cluster_that_a_route_names_exists() -> None:
    for name in NAMES:
        resources = orjson.loads(render((CASES / f"{name}.in.yaml").read_text()))
        assert set(named_clusters(resources["routes"])) <= set(resources["clusters"])


def named_clusters(value: object) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        if isinstance(value.get("cluster"), str):
            found.append(value["cluster"])
        found += [item["name"] for item in value.get("weighted_clusters", {}).get("clusters", ())]
        found += [name for item in value.values() for name in named_clusters(item)]
    if isinstance(value, list):
        found += [name for item in value for name in named_clusters(item)]
    return found
