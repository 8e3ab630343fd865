"""Any environment with any strategy; production is pinned and asks a person."""

import itertools
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml
from tests.charts.support import ROOT, named, of_kind, program
from tests.charts.test_pods import unrestricted
from tools.generate_k8s import STRATEGIES, outputs

from sluice.spec import Text, load

ENVIRONMENTS = ("dev", "staging", "production")
DIGEST = "sha256:" + "2" * 64
PINS = (f"DIGEST={DIGEST}", "IMAGE=sluice/model-api:0.1.0")
ALL = pytest.mark.parametrize(
    ("environment", "strategy"), list(itertools.product(ENVIRONMENTS, STRATEGIES))
)
ASKS = {"http", "command", "webhook", "load"}


@cache
def composed(environment: str, strategy: str, *given: str) -> tuple[int, str, str]:
    program("kubectl")
    command = [str(ROOT / "k8s" / "compose"), environment, strategy, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def objects(environment: str, strategy: str, *given: str) -> list[dict[str, Any]]:
    code, text, said = composed(environment, strategy, *(given or PINS))
    assert code == 0, said
    return list(yaml.load_all(text, yaml.CSafeLoader))


def built(folder: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [program("kubectl"), "kustomize", str(ROOT / folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def manual(strategy: dict[str, Any]) -> bool:
    """Whether somebody must say yes before the candidate is stable."""
    stages = strategy.get("stages", [strategy])
    if "shadow" in stages[-1]:
        return True
    gates = [stage[key].get("gate") for stage in stages for key in stage if "gate" in stage[key]]
    for stage in stages:
        gates += [step.get("gate") for step in stage.get("canary", {}).get("steps", [])]
    return any(gate is not None and not ASKS & gate.keys() for gate in gates)


@ALL
def test_every_environment_builds_with_every_strategy(environment: str, strategy: str) -> None:
    found = objects(environment, strategy)
    namespaced = [
        item for item in found if item["kind"] != "Namespace" and "Validating" not in item["kind"]
    ]
    assert {item["metadata"]["namespace"] for item in namespaced} == {f"taxi-{environment}"}
    spec = named(found, "Release", "taxi")["spec"]
    example = yaml.safe_load((ROOT / f"examples/taxi/release-{strategy}.yaml").read_text())
    kinds = {key for stage in spec["strategy"].get("stages", [spec["strategy"]]) for key in stage}
    assert set(example["spec"]["strategy"]) <= kinds


@ALL
def test_documents_of_every_combination_load(environment: str, strategy: str) -> None:
    found = objects(environment, strategy)
    [slos] = [item for item in of_kind(found, "ConfigMap") if "slo.yaml" in item["data"]]
    assert slos["metadata"]["labels"]["sluice.dev/slo"] == "true"
    documents = of_kind(found, "Release", "ReleasePolicy")
    text = yaml.safe_dump_all(documents) + "\n---\n" + slos["data"]["slo.yaml"]
    assert load([Text(text=text.encode(), name="composed")])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_production_asks_a_person_in_every_strategy(strategy: str) -> None:
    assert manual(named(objects("production", strategy), "Release", "taxi")["spec"]["strategy"])


def test_a_strategy_that_asks_nobody_would_be_seen() -> None:
    assert not manual({"canary": {"steps": [{"setWeight": 5}]}})
    assert not manual({"blueGreen": {"gate": {"name": "a", "http": {"path": "/"}}}})
    assert manual({"rolling": {"gate": {"name": "a"}}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param((), "DIGEST", id="nothing"),
        pytest.param((f"DIGEST={DIGEST}",), "IMAGE", id="no-image"),
        pytest.param((f"DIGEST={DIGEST}", "IMAGE=a/b:latest"), "never moved", id="latest"),
        pytest.param((f"DIGEST={DIGEST}", "IMAGE=a:5000/b"), "never moved", id="no-tag"),
        pytest.param(("DIGEST=sha256:1", "IMAGE=a/b:1"), "64 digits", id="short-digest"),
        pytest.param((*PINS, "COLOUR=red"), "COLOUR", id="unknown-setting"),
    ],
)
def test_production_refuses_what_is_not_pinned(given: tuple[str, ...], said: str) -> None:
    code, _, error = composed("production", "canary", *given)
    assert code == 64
    assert said in error


@pytest.mark.parametrize(("environment", "strategy"), [("prod", "canary"), ("dev", "blue")])
def test_a_wrong_choice_names_the_choices(environment: str, strategy: str) -> None:
    code, _, error = composed(environment, strategy)
    assert code == 64
    assert "dev production staging" in error or "ab bluegreen canary" in error


def test_a_patch_meets_one_variable_of_one_container() -> None:
    spec = named(objects("dev", "canary", *PINS, "VERSION=2"), "Release", "taxi")["spec"]
    [server] = spec["template"]["spec"]["containers"]
    values = {item["name"]: item["value"] for item in server["env"]}
    assert values == {
        "PORT": "8080",
        "MODEL_API_BUNDLE": ".artifacts/models/taxi-duration/2",
        "MODEL_API_DIGEST": DIGEST,
    }
    assert server["readinessProbe"], "the rest of the container is as it was"
    assert spec["model"]["digest"] == DIGEST


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_overlays_build_alone(environment: str) -> None:
    found = built(f"k8s/overlays/{environment}")
    [namespace] = of_kind(found, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    [release] = of_kind(found, "Release")
    assert unrestricted(release["spec"]["template"]) == []


def test_the_guard_belongs_to_no_namespace() -> None:
    for item in objects("production", "canary"):
        if item["kind"].startswith("ValidatingAdmissionPolicy"):
            assert "namespace" not in item["metadata"]


def test_the_system_is_the_chart_without_helm() -> None:
    found = built("k8s/base/system")
    kinds = {item["kind"] for item in found}
    assert {"CustomResourceDefinition", "Deployment", "ClusterRole", "NetworkPolicy"} <= kinds
    assert "Secret" not in kinds, "a token in Git is no token"
    assert "helm.sh" not in str(found)


def test_without_helm_the_generator_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = outputs()
    assert not [name for name in found if "base" in name]
    assert [name for name in found if "components" in name]
    assert "helm is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_load_tests_go_with_every_environment(environment: str) -> None:
    alone = objects(environment, "canary")
    with_load = objects(environment, "canary", *PINS, "WITH=loadtest")
    assert named(with_load, "Release", "taxi") == named(alone, "Release", "taxi")
    assert len(with_load) > len(alone)
    assert composed(environment, "canary", *PINS, "WITH=nothing")[0] == 64
