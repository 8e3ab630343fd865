"""The translation of routing into HTTPRoutes: as recorded, and as a Gateway reads it."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.support.gateway import Served, serve

from sluice.dataplanes.codec import decode_fragment
from sluice.dataplanes.gateway import ParentRef, parse_parents
from sluice.dataplanes.gateway.routes import duration, http_routes
from sluice.errors import RoutingRefused, SpecError
from sluice.nouns import Arm, Capture, Match, Purpose, RevisionId, Routing, Shield, Sticky

CASES = Path(__file__).parents[3] / "golden" / "httproute"
NAMES = sorted(path.name.removesuffix(".in.yaml") for path in CASES.glob("*.in.yaml"))
V1, V2, V3 = RevisionId("v1"), RevisionId("v2"), RevisionId("v3")
PARENTS = (ParentRef(namespace="shared", name="web"),)


def translated(name: str) -> tuple[dict[str, Any], ...]:
    case = yaml.safe_load((CASES / f"{name}.in.yaml").read_text())
    revisions = {arm["revision"]: [] for arm in case["routing"]["arms"]}
    document = {"routing": case["routing"], "endpoints": revisions}
    return http_routes(
        decode_fragment(orjson.dumps(document)).routing,
        ports={RevisionId(name): port for name, port in case["ports"].items()},
        parents=parse_parents(case["parents"]),
        version_header=case.get("version_header", False),
    )


@pytest.mark.parametrize("name", NAMES)
def test_routing_translates_as_recorded(name: str, update_golden: bool) -> None:
    golden = CASES / f"{name}.out.yaml"
    documents = orjson.loads(orjson.dumps(translated(name)))  # a copy: no YAML aliases
    rendered = yaml.safe_dump_all(documents, sort_keys=False)
    if update_golden:
        golden.write_text(rendered)
    assert golden.read_text() == rendered


def asked(
    routes: tuple[dict[str, Any], ...],
    path: str = "/",
    host: str = "taxi.ml",
    *,
    method: str = "GET",
    **headers: str,
) -> Served:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    rng = random.Random(1)
    found = serve(routes, host=host, rng=rng, method=method, path=path, headers=named)
    assert found is not None
    return found


def test_weights_share_requests() -> None:
    routes, rng = translated("weighted"), random.Random(4)
    found = Counter(
        served.service for _ in range(4_000) if (served := serve(routes, host="taxi.ml", rng=rng))
    )
    assert 150 <= found["taxi-v2"] <= 280  # 210 expected, five standard deviations
    assert serve(routes, host="other.ml", rng=rng) is None


INFER = "/v2/models/taxi-duration/infer"


@pytest.mark.parametrize(
    ("path", "method", "headers", "service", "copies"),
    [
        pytest.param(INFER, "POST", {}, "taxi-v1", {"taxi-v3"}, id="copied"),
        pytest.param("/predict", "POST", {}, "taxi-v1", {"taxi-v3"}, id="copied-predict"),
        pytest.param("/predict", "GET", {}, "taxi-v1", set(), id="read"),
        pytest.param("/feedback", "POST", {}, "taxi-v1", set(), id="a-write-is-never-copied"),
        pytest.param("/predict", "POST", {"x_no_repeat": "1"}, "taxi-v1", set(), id="not-repeated"),
        pytest.param("/predict", "POST", {"x_sluice_arm": "v2"}, "taxi-v2", set(), id="forced"),
        pytest.param("/", "GET", {"x_sluice_arm": "v2"}, "taxi-v2", set(), id="forced-read"),
        pytest.param(
            INFER, "POST", {"x_no_repeat": "1", "x_sluice_arm": "v2"}, "taxi-v2", set(), id="both"
        ),
        pytest.param("/", "GET", {"x_sluice_arm": "v9"}, "taxi-v1", set(), id="unknown-arm"),
    ],
)
def test_a_gateway_sends_each_request_where_envoy_would(
    path: str, method: str, headers: dict[str, str], service: str, copies: set[str]
) -> None:
    served = asked(translated("mirrored"), path, method=method, **headers)
    assert served.service == service
    assert set(served.copies) - {"taxi-v2"} == copies
    assert "taxi-v2" not in served.copies or path in ("/predict", INFER)


def test_a_preview_is_reached_by_host_and_by_header() -> None:
    routes = translated("forced-and-preview")
    assert asked(routes, host="preview.taxi.ml").service == "taxi-v2"
    assert asked(routes, x_preview="yes").service == "taxi-v2"
    assert asked(routes).service == "taxi-v1"


def test_no_client_names_the_revision_that_answers() -> None:
    seen = asked(translated("weighted"), x_sluice_version="v9", x_user_id="u").request_headers
    assert seen == {"x-user-id": "u"}


def test_who_answered_is_said_where_it_is_asked_for() -> None:
    served = asked(translated("version-header"))
    assert served.response_headers == {"x-sluice-version": served.service.removeprefix("taxi-")}


PLAIN = Routing(
    release="ml/taxi",
    generation=1,
    hosts=("taxi.ml",),
    arms=(Arm(revision=V2, weight_bp=1_000), Arm(revision=V1, weight_bp=9_000)),
)
COPY = Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=100)


@pytest.mark.parametrize(
    ("routing", "said"),
    [
        pytest.param(replace(PLAIN, sticky=Sticky(header="x", salt="s")), "sticky", id="sticky"),
        pytest.param(replace(PLAIN, shield=Shield(per_try_timeout_ms=5)), "shield", id="shield"),
        pytest.param(replace(PLAIN, lease_ms=9), "lease", id="lease"),
        pytest.param(
            replace(PLAIN, arms=(*PLAIN.arms, COPY), capture=Capture()), "capture", id="capture"
        ),
        pytest.param(replace(PLAIN, hosts=("taxi_1.ml",)), "taxi_1.ml cannot be", id="host"),
        pytest.param(
            replace(PLAIN, hosts=tuple(f"h{i}.ml" for i in range(17))), "at most 16", id="hosts"
        ),
        pytest.param(
            replace(
                PLAIN,
                arms=(
                    *PLAIN.arms,
                    *(
                        Arm(
                            revision=V2,
                            purpose=Purpose.FORCED,
                            match=Match(header="x", value=str(i)),
                        )
                        for i in range(16)
                    ),
                ),
            ),
            "17 rules",
            id="rules",
        ),
    ],
)
def test_what_an_httproute_cannot_say_is_refused(routing: Routing, said: str) -> None:
    with pytest.raises(RoutingRefused, match=said):
        http_routes(routing, ports={V1: 80, V2: 80}, parents=PARENTS)


@pytest.mark.parametrize(
    ("ms", "text"), [(30_000, "30s"), (1_500, "1s500ms"), (20, "20ms"), (86_400_000, "86400s")]
)
def test_times_are_written_in_whole_units(ms: int, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("shared/web", ["shared/web"]),
        (" shared/web:http , edge/inner,shared/web:http", ["shared/web:http", "edge/inner"]),
    ],
)
def test_gateways_are_read_from_a_setting(text: str, names: list[str]) -> None:
    assert [str(parent) for parent in parse_parents(text)] == names


@pytest.mark.parametrize(
    ("text", "said"), [("", "names no Gateway"), ("web", '"web" is not'), ("a/B", '"a/B" is not')]
)
def test_a_setting_that_names_no_gateway_is_told(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_parents(text)
