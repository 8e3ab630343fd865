"""What a Gateway cannot do is refused before anything moves, in words that say what to write."""

import pytest
from tests.unit.spec.documents import policy, release

from sluice.dataplanes.gateway import CAPABILITIES
from sluice.errors import SpecError
from sluice.spec import ReleasePolicy, to_plan

QUERY = {
    "prometheus": {
        "name": "answered",
        "target": 0.99,
        "bad": 'http_requests_total{revision="$revision",code=~"5.."}',
        "total": 'http_requests_total{revision="$revision"}',
    }
}
STEPS = {"canary": {"steps": [{"setWeight": 5}, {"pause": {"duration": "10m"}}]}}
AB = {"abTest": {"goals": [{"name": "tip", "kind": "binary"}], "horizon": {"users": 100}}}
NO_COUNTS = "the data plane counts no requests"


def queries(**more: object) -> ReleasePolicy:
    server = {"url": "http://prometheus:9090"}
    return policy(spec__objectives=[QUERY], spec__prometheus=server, **more)


def refusals(strategy: dict[str, object], rules: ReleasePolicy | None, **spec: object) -> str:
    with pytest.raises(SpecError) as caught:
        to_plan(release(spec__strategy=strategy, **spec), rules, CAPABILITIES)
    return str(caught.value)


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(STEPS, id="canary"),
        pytest.param({"blueGreen": {"preview": {"header": "x-preview", "value": "1"}}}, id="blue"),
        pytest.param({"rolling": {"maxSurge": 1}}, id="rolling"),
        pytest.param(
            {
                "canary": {
                    "steps": [{"headerOnly": {"header": "x", "value": "1"}}, {"setWeight": 5}]
                }
            },
            id="header",
        ),
    ],
)
def test_what_an_httproute_can_do_has_a_plan_without_a_lease(strategy: dict[str, object]) -> None:
    plan = to_plan(release(spec__strategy=strategy), queries(), CAPABILITIES)
    assert not any(stage.lease for stage in plan.stages)


def test_objectives_that_only_routers_count_are_refused_one_by_one() -> None:
    said = refusals(STEPS, policy())
    for name in ("answered", "fast"):
        assert (
            f"spec.policyRef: {NO_COUNTS}: policy taxi judges by SLO {name}, which only routers "
            "count; write this objective as a query (prometheus: {name, target, bad, total})"
        ) in said


def test_the_default_objective_is_refused_with_what_to_name_instead() -> None:
    said = refusals(STEPS, None, spec__policyRef=...)
    assert said == (
        f"spec: {NO_COUNTS}, and without objectives 99% of answers below 500 are asked for: name a "
        "ReleasePolicy whose objectives are queries (prometheus: {name, target, bad, total}) and "
        "that says where Prometheus is (prometheus: {url})"
    )


@pytest.mark.parametrize("field", ["clientErrors", "latencyOrder"])
def test_a_comparison_that_needs_counts_is_refused_where_it_is_asked_for(field: str) -> None:
    said = refusals(STEPS, queries(**{f"spec__{field}": True}))
    assert said == f"spec.policyRef: {NO_COUNTS}: policy taxi asks for {field}; leave it out"
    to_plan(release(spec__strategy=STEPS), queries(**{f"spec__{field}": False}), CAPABILITIES)


@pytest.mark.parametrize(
    ("strategy", "path", "words"),
    [
        pytest.param(
            {"canary": {}},
            "canary",
            f"{NO_COUNTS}, and a canary without steps is paced by their rate: give steps, such as",
            id="ramp",
        ),
        pytest.param(
            {"canary": {**STEPS["canary"], "shield": {"perTryTimeout": "300ms"}}},
            "canary.shield",
            "the data plane cannot replace failed answers: leave this out or choose another",
            id="shield",
        ),
        pytest.param(
            {"shadow": {"percent": 5}},
            "shadow",
            "the data plane cannot keep answers to copied requests: leave this out",
            id="shadow",
        ),
        pytest.param(AB, "abTest", "the data plane cannot keep users: leave this out", id="ab"),
    ],
)
def test_a_strategy_that_needs_a_router_is_refused_by_its_path(
    strategy: dict[str, object], path: str, words: str
) -> None:
    sticky = {"sticky": {"header": "x-user-id"}} if "abTest" in strategy else {}
    said = refusals(strategy, queries(), spec__traffic=sticky)
    assert f"spec.strategy.{path}: {words}" in said


@pytest.mark.parametrize(
    ("rules", "spec", "words"),
    [
        pytest.param(
            queries(spec__lease="30s"),
            {},
            "spec.policyRef: the data plane cannot hold the lease that the policy asks for",
            id="lease",
        ),
        pytest.param(
            queries(),
            {"spec__traffic": {"sticky": {"cookie": "uid"}}},
            "spec.traffic.sticky: the data plane cannot keep users",
            id="sticky",
        ),
    ],
)
def test_what_a_policy_or_the_traffic_asks_too_much_is_refused(
    rules: ReleasePolicy, spec: dict[str, object], words: str
) -> None:
    assert words in refusals(STEPS, rules, **spec)
