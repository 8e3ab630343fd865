import pytest
import yaml
from tests.unit.spec.documents import RELEASE, changed, documents, policy, release

from sluice.engine.plan import Fixed, OnInconclusive, Plan, Ramp
from sluice.errors import SpecError
from sluice.nouns import Capabilities, Notify, Objective
from sluice.spec import (
    DEFAULT_OBJECTIVES,
    DEFAULT_POLICY,
    Release,
    Text,
    analysis_settings,
    load,
    objectives_of,
    to_plan,
    variants_of,
    workload_of,
)


def refused(can: Capabilities) -> set[str]:
    """Paths that a release which asks for everything cannot have on a data plane."""
    everything = release(
        spec__traffic={"sticky": {"cookie": "uid"}, "forcedHeader": "x-arm"},
        spec__strategy={"canary": {"shield": {"perTryTimeout": "300ms"}}},
    )
    with pytest.raises(SpecError) as caught:
        to_plan(everything, policy(spec__lease="10s"), can)
    return {fault.path for fault in caught.value.faults}


def test_what_a_data_plane_cannot_do_is_refused_by_path() -> None:
    assert refused(Capabilities(shield=False)) == {"spec.strategy.canary.shield"}
    assert refused(Capabilities(sticky=False, forced=False)) == {
        "spec.traffic.sticky",
        "spec.traffic.forcedHeader",
    }
    assert refused(Capabilities(weights=False)) == {"spec.strategy.canary"}
    assert refused(Capabilities(lease=False)) == {"spec.policyRef"}


def strategy(**given: object) -> Release:
    sticky = {"sticky": {"header": "x-user-id"}}
    return release(spec__replicas=4, spec__traffic=sticky, spec__strategy=given)


SLOS = documents().slos
AB = {"goals": [{"name": "tip", "kind": "binary"}], "horizon": {"users": 100}}


@pytest.mark.parametrize(
    ("given", "can", "path"),
    [
        pytest.param({"blueGreen": {}}, {"preview": False}, "blueGreen", id="preview"),
        pytest.param({"shadow": {"percent": 5}}, {"mirror": False}, "shadow", id="mirror"),
        pytest.param({"rolling": {}}, {"weights": False}, "rolling", id="weights"),
        pytest.param(
            {"abTest": {**AB, "forcedHeader": "x-arm"}},
            {"forced": False},
            "abTest.forcedHeader",
            id="forced",
        ),
        pytest.param(
            {"canary": {"steps": [{"headerOnly": {"header": "x-staff", "value": "1"}}]}},
            {"forced": False},
            "canary.steps[0].headerOnly",
            id="header-only",
        ),
        pytest.param(
            {"canary": {"steps": [{"gate": {"name": "ok", "http": {"path": "/"}}}]}},
            {"preview": False},
            "canary.steps[0].gate",
            id="gate-asks-the-candidate",
        ),
        pytest.param(
            {"rolling": {"shield": {"perTryTimeout": "1s"}}},
            {"shield": False},
            "rolling.shield",
            id="shield",
        ),
    ],
)
def test_every_strategy_is_refused_where_the_data_plane_lacks_it(
    given: dict[str, object], can: dict[str, bool], path: str
) -> None:
    to_plan(strategy(**given), policy())
    with pytest.raises(SpecError) as caught:
        to_plan(strategy(**given), policy(), Capabilities(**can))
    assert {fault.path for fault in caught.value.faults} == {f"spec.strategy.{path}"}


@pytest.mark.parametrize(
    "following",
    [
        pytest.param({"canary": {"steps": [{"gate": {"name": "ok"}}]}}, id="steps-from-nothing"),
        pytest.param({"canary": {"steps": [{"setWeight": 20}]}}, id="lower-step"),
        pytest.param(
            {"abTest": {**AB, "variants": [{"name": "candidate", "weight": 20}]}}, id="ab"
        ),
        pytest.param({"shadow": {"percent": 5}}, id="shadow"),
        pytest.param({"blueGreen": {}}, id="blue-green"),
    ],
)
def test_no_stage_begins_below_what_a_ramp_may_have_reached(following: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"stages\[1\].*below the 50%"):
        to_plan(strategy(stages=[{"canary": {}}, following]), policy())
    to_plan(strategy(stages=[{"canary": {}}, {"abTest": AB}]), policy())


def test_steps_of_a_second_canary_begin_where_the_first_ended() -> None:
    plan = to_plan(
        strategy(
            stages=[
                {"canary": {"steps": [{"setWeight": 5}]}},
                {"canary": {"steps": [{"gate": {"name": "ok"}}, {"setWeight": 20}]}},
            ]
        ),
        policy(),
    )
    assert plan.stages[1].rungs[0].weight == Fixed(weight_bp=500)


def test_variants_have_revisions_of_their_own() -> None:
    template = release().spec.template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    same = strategy(
        abTest={
            **AB,
            "variants": [
                {"name": "candidate", "weight": 10},
                {"name": "b", "weight": 10, "template": template},
            ],
        }
    )
    ((name, workload),) = variants_of(same)
    assert name == "b"
    assert workload == workload_of(same), "the same template is the same revision"
    template["metadata"] = {"labels": {"arm": "b"}}
    other = strategy(
        abTest={
            **AB,
            "variants": [
                {"name": "candidate", "weight": 10},
                {"name": "b", "weight": 10, "template": template},
            ],
        }
    )
    ((_, changed_one),) = variants_of(other)
    assert changed_one.revision != workload.revision
    assert variants_of(release()) == ()


def test_restarts_are_spread_over_as_long_as_a_test_may_last() -> None:
    days = {**AB, "horizon": {"duration": "48h"}}
    assert analysis_settings(strategy(abTest=days), policy(), SLOS).polls > 2 * 86_400
    assert analysis_settings(strategy(abTest=AB), policy(), SLOS).polls > 28 * 86_400


def test_a_refused_plan_says_file_and_line() -> None:
    shielded = changed(
        RELEASE,
        {
            "spec/policyRef": ...,
            "spec/strategy": {"canary": {"shield": {"perTryTimeout": "1s"}}},
        },
    )
    text = yaml.safe_dump(shielded)
    loaded = load([Text(text=text, name="taxi.yaml")])
    (given,) = loaded.releases
    with pytest.raises(SpecError) as caught:
        to_plan(given, None, Capabilities(shield=False), place=loaded.place(given))
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "shield:" in row)
    assert str(caught.value).startswith(f"taxi.yaml:{line}: spec.strategy.canary.shield: ")


def test_what_nobody_asked_for_is_not_refused() -> None:
    bare = Capabilities(sticky=False, forced=False, preview=False, mirror=False, shield=False)
    assert to_plan(release(), policy(), bare) == to_plan(release(), policy())


def test_a_data_plane_without_leases_gets_no_lease_that_nobody_asked_for() -> None:
    plan = to_plan(release(), policy(), Capabilities(lease=False))
    assert [stage.lease for stage in plan.stages] == [False]
    assert [stage.lease for stage in to_plan(release(), policy()).stages] == [True]


def test_without_policy_every_default_of_the_engine_holds() -> None:
    plan = to_plan(release())
    (rung,) = plan.stages[0].rungs
    assert rung.weight == Ramp()
    defaults = Plan(release="taxi", replicas=2, hosts=("taxi",), stages=plan.stages)
    assert plan == defaults
    assert plan.stages[0].deadline_ms == 3_600_000
    assert plan.stages[0].on_inconclusive is OnInconclusive.HOLD


def test_without_policy_one_objective_of_99_percent_judges() -> None:
    settings = analysis_settings(release(), None, ())
    assert settings.objectives == DEFAULT_OBJECTIVES
    assert (settings.alpha, settings.beta, settings.delta) == (0.001, 0.05, 0.01)
    assert settings.polls == 3_600 + 600
    assert objectives_of(DEFAULT_POLICY, ()) == DEFAULT_OBJECTIVES


def test_polls_cover_the_deadline_of_every_stage_and_keep_warm() -> None:
    two = release(spec__strategy={"stages": [{"canary": {}}, {"canary": {}}]}, spec__keepWarm="1s")
    rules = policy(spec__deadline="10s", spec__poll="3s")
    settings = analysis_settings(two, rules, documents().slos)
    assert settings.polls == 7
    assert len(to_plan(two, rules).stages) == 2


def test_objectives_keep_the_order_and_margins_of_the_policy() -> None:
    margins = {"maxRatio": 1.5, "passRatio": 3, "passBudget": 0.1, "weight": 2}
    rules = policy(spec__objectives=[{"sloRef": "fast"}, {"sloRef": "answered", **margins}])
    assert objectives_of(rules, documents().slos) == (
        Objective(name="fast", kind="latency", target=0.99, threshold_ms=300),
        Objective(
            name="answered",
            kind="availability",
            target=0.99,
            max_ratio=1.5,
            pass_ratio=3,
            pass_budget=0.1,
            weight=2,
        ),
    )


def test_an_unknown_slo_is_refused_by_path() -> None:
    with pytest.raises(SpecError) as caught:
        objectives_of(policy(), documents().slos[:1])
    assert [fault.path for fault in caught.value.faults] == ["spec.objectives[1].sloRef"]


@pytest.mark.parametrize(("percent", "target"), [(99.9, 0.999), (99, 0.99), (99.95, 0.9995)])
def test_a_target_in_percent_is_exactly_the_target(percent: float, target: float) -> None:
    slos = documents(answered={"spec/objectives": [{"targetPercent": percent}]}).slos
    assert objectives_of(policy(), slos)[0].target == target


def test_hosts_are_the_name_unless_they_are_given() -> None:
    assert to_plan(release()).hosts == ("taxi",)
    assert to_plan(release(spec__traffic={"hosts": ["a", "b"]})).hosts == ("a", "b")


def test_the_workload_keeps_every_field_of_the_template() -> None:
    resources = {"limits": {"cpu": "1", "memory": None}}
    given = release(spec__template__spec__containers__0__resources=resources)
    template = workload_of(given).template
    assert template["spec"]["containers"][0]["resources"] == resources
    assert set(template["spec"]["containers"][0]) == {
        "name", "image", "command", "ports", "readinessProbe", "resources"
    }  # fmt: skip


def test_what_a_policy_says_of_the_world_reaches_the_checks() -> None:
    query = {"bad": 'bad{r="$revision"}', "total": 'all{r="$revision"}', "target": 0.9}
    rules = policy(
        spec__objectives=[{"prometheus": {"name": "fares", **query}, "dryRun": True}],
        spec__prometheus={"url": "http://prometheus:9090"},
        spec__maxHarmed=50,
        spec__clientErrors=False,
        spec__latencyOrder=False,
        spec__freeze=[
            {"days": ["Sun", "Fri"], "from": "22:00", "to": "06:00", "timeZone": "Europe/Berlin"},
            {"from": "00:00", "to": "24:00", "timeZone": "UTC"},
        ],
        spec__notify=[
            {"webhook": {"url": "https://example.com/hook", "secretEnv": "KEY"}},
            {"slack": {"urlEnv": "SLACK_URL"}},
        ],
    )
    settings = analysis_settings(release(), rules, [])
    assert settings.objectives == (
        Objective(
            name="fares",
            kind="query",
            target=0.9,
            query_bad=query["bad"],
            query_total=query["total"],
            dry_run=True,
        ),
    )
    assert settings.prometheus_url == "http://prometheus:9090"
    assert settings.max_harmed == 50
    assert not settings.compare_client_errors
    assert not settings.latency_order
    weekend, always = settings.freeze
    assert (weekend.days, weekend.from_minute, weekend.to_minute) == ((4, 6), 1_320, 360)
    assert (always.days, always.to_minute) == (tuple(range(7)), 1_440)
    assert settings.notify == (
        Notify(kind="webhook", url="https://example.com/hook", secret_env="KEY"),  # noqa: S106  # a name, no secret
        Notify(kind="slack", url_env="SLACK_URL"),
    )
