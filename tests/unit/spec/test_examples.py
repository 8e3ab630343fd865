from pathlib import Path

import pytest

from sluice.engine.plan import Fixed, Ramp
from sluice.spec import Documents, analysis_settings, load, revision_of, to_plan, workload_of

EXAMPLES = Path(__file__).parents[3] / "examples" / "taxi"


def example(*names: str) -> Documents:
    return load([EXAMPLES / name for name in names])


def test_the_first_version_of_the_example_needs_no_other_file() -> None:
    documents = example("release-v1.yaml")
    (release,) = documents.releases
    assert documents.policy_of(release) is None
    assert to_plan(release).stages[0].rungs[0].weight == Ramp()


@pytest.mark.parametrize("version", ["v2", "v2-bad", "v2-steps"])
def test_later_versions_of_the_example_are_judged_by_both_objectives(version: str) -> None:
    documents = example(f"release-{version}.yaml", "policy.yaml", "slo.yaml")
    (release,) = documents.releases
    settings = analysis_settings(release, documents.policy_of(release), documents.slos)
    assert [(o.kind, o.target, o.threshold_ms) for o in settings.objectives] == [
        ("availability", 0.99, None),
        ("latency", 0.99, 300),
    ]
    assert settings.polls == 5 * 60 + 30


def test_each_version_of_the_example_is_another_revision() -> None:
    others = ["policy.yaml", "slo.yaml"]
    names = ["release-v1.yaml", "release-v2.yaml", "release-v2-bad.yaml"]
    revisions = [revision_of(example(name, *others).releases[0]) for name in names]
    assert len(set(revisions)) == 3
    steps = example("release-v2-steps.yaml", *others).releases[0]
    assert revision_of(steps) == revisions[1]


def test_the_example_runs_the_model_api_on_the_port_it_is_given() -> None:
    workload = workload_of(example("release-v1.yaml").releases[0])
    (container,) = workload.template["spec"]["containers"]
    assert container["command"] == ["model-api", "serve"]
    assert {"name": "MODEL_API_PORT", "value": "$(PORT)"} in container["env"]
    assert workload.port == "http"


def test_the_steps_of_the_example_become_rungs_and_end_in_a_verdict() -> None:
    documents = example("release-v2-steps.yaml", "policy.yaml", "slo.yaml")
    plan = to_plan(documents.releases[0], documents.policies[0])
    rungs = plan.stages[0].rungs
    assert [rung.weight for rung in rungs] == [
        Fixed(weight_bp=bp) for bp in (100, 100, 1000, 1000, 1000, 5000, 5000)
    ]
    assert plan.gates == ("approve",)
    assert rungs[-1].exit.passed


@pytest.mark.parametrize(
    ("name", "strategies"),
    [
        pytest.param("canary", ["canary"], id="canary"),
        pytest.param("bluegreen", ["blueGreen"], id="bluegreen"),
        pytest.param("rolling", ["rolling"], id="rolling"),
        pytest.param("shadow", ["shadow"], id="shadow"),
        pytest.param("ab", ["abTest"], id="ab"),
        pytest.param("stages", ["shadow", "canary", "abTest"], id="stages"),
    ],
)
def test_there_is_an_example_of_every_strategy(name: str, strategies: list[str]) -> None:
    documents = example(f"release-{name}.yaml", "policy.yaml", "slo.yaml")
    (given,) = documents.releases
    plan = to_plan(given, documents.policy_of(given))
    assert [stage.strategy for stage in plan.stages] == strategies
    other = example("release-v2.yaml", "policy.yaml", "slo.yaml").releases[0]
    assert revision_of(given) == revision_of(other), "all of them release version 2"
