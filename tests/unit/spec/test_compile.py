import pytest
import yaml
from tests.unit.spec.documents import RELEASE, changed, documents, policy, release

from sluice.engine.plan import OnInconclusive, Plan, Ramp
from sluice.errors import SpecError
from sluice.nouns import Capabilities, Notify, Objective
from sluice.spec import (
    DEFAULT_OBJECTIVES,
    DEFAULT_POLICY,
    Text,
    analysis_settings,
    load,
    objectives_of,
    to_plan,
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
