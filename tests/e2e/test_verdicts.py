"""Candidates that are the real model API, behind real Envoy, under stated load.

What else may be the matter with a candidate is told in ``tests/conformance``, on a laptop too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.conftest import ROOT

from sluice.testing.laptop import Laptop
from sluice.testing.scene import Model
from sluice.testing.story import Story
from sluice_model_api.training.build import main as train

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

TRIP = {
    "pickup_datetime": "2025-01-15T18:05:00",
    "PULocationID": 161,
    "DOLocationID": 237,
    "trip_distance": 1.4,
}


def _variables(version: str, faults: Mapping[str, float], file: Path) -> Mapping[str, str]:
    bundle = ROOT / ".artifacts" / "models" / "taxi-duration" / version.removeprefix("v")
    named = {f"MODEL_API_FAULT_{name.upper()}": str(value) for name, value in faults.items()}
    return {"MODEL_API_BUNDLE": str(bundle), "MODEL_API_PORT": "$(PORT)", **named}


@pytest.fixture(scope="session")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The taxi models, trained when they are not there, and the body of a prediction."""
    assert train(["--out", str(ROOT / ".artifacts" / "models"), "--if-missing"]) == 0
    body = tmp_path_factory.mktemp("bodies") / "trips.jsonl"
    body.write_text(json.dumps(TRIP) + "\n", encoding="utf-8")
    return Model(
        command=["model-api", "serve"],
        env=_variables,
        ready="/v2/health/ready",
        load=("--body-file", str(body), "--header", "content-type: application/json"),
    )


@pytest.fixture
def served(laptop: Laptop, taxi: Model, request: pytest.FixtureRequest) -> Iterator[Story]:
    """A story about the taxi model."""
    with Story(laptop=laptop, model=taxi) as told:
        request.node.user_properties.append(("story", told.facts))
        yield told


def test_good_version_is_promoted(served: Story) -> None:
    given, when, then = served.given, served.when, served.then
    given.slo(0.95).slo(0.9, le_s="1").policy(minBake="5s", warmUp="0s", deadline="4m")
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.within(300).promoted().harmed(at_most=0).lost(0)


def test_version_with_a_fifth_of_errors_is_turned_back(served: Story) -> None:
    given, when, then = served.given, served.when, served.then
    given.slo(0.99).slo(0.9, le_s="1").stable("v1").traffic(rps=60)
    when.candidate("v2", faults={"error_rate": 0.2})
    then.aborted().candidate_weight(0).harmed_within_budget().lost(0)


def test_version_with_another_digest_never_serves_and_says_why(served: Story) -> None:
    given, when, then = served.given, served.when, served.then
    given.stable("v1").traffic(rps=30)
    served.model = replace(served.model, env=_of_another_digest)
    given.spec(progressDeadline="15s")
    when.candidate("v2")
    then.aborted("ProgressDeadlineExceeded")
    assert "digest" in served.laptop.history("taxi")[-1].message
    then.lost(0)


def _of_another_digest(version: str, faults: Mapping[str, float], file: Path) -> dict[str, str]:
    return {**_variables(version, faults, file), "MODEL_API_DIGEST": f"sha256:{'0' * 64}"}
