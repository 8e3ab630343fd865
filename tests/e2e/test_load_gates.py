"""Releases that stop at a load test of the candidate, with real locust against real replicas."""

import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.nouns import Phase
from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

ROOT = Path(__file__).parents[2]
PLAIN = ROOT / "tests" / "loadtests" / "plain.py"
PATIENT = ("--late-ms", "5000")
"""Machines that test are busy with tests."""


def load_gate(*words: str) -> tuple[dict[str, Any], ...]:
    """A canary that no user meets before the load test has answered."""
    command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "loadtests", "-f", str(PLAIN)]
    out = ["--out", "load-report"]
    gate = {"name": "load", "load": {"run": [*command, *out, *words], "timeout": "3m"}}
    return {"gate": gate}, {"setWeight": 10}, {"setWeight": 50}


def asked(story: Story, *words: str) -> Story:
    story.given.slo(0.9).policy(minBake="1s", warmUp="0s").steps(*load_gate(*words))
    story.given.stable("v1").traffic(rps=40)
    return story


def test_a_load_test_that_passes_lets_the_candidate_on(story: Story) -> None:
    told = asked(story, *PATIENT, "--rate", "40", "--length", "6s", "--threshold", "rate<0.05")
    told.when.candidate("v2")
    told.then.within(180).promoted("v2").lost(0)
    (answer,) = [item for item in told.laptop.history("taxi") if item.kind == "Approved"]
    assert (answer.by, answer.from_bp or 0) == ("load", 0)
    assert (told.laptop.folder / "load-report" / "report.html").exists()


def test_a_load_test_that_fails_turns_the_candidate_back_before_any_user_met_it(
    story: Story,
) -> None:
    told = asked(story, *PATIENT, "--rate", "40", "--length", "6s", "--threshold", "rate<0.05")
    told.when.candidate("v2", faults={"error_rate": 0.6})
    told.then.within(180).aborted("GateRefused").candidate_weight(0).harmed(at_most=0).lost(0)
    assert "ended with 1" in told.status().message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            (*PATIENT, "--rate", "20", "--length", "4s", "--threshold", "rate<0.001"),
            "undecided; ",
            id="inconclusive",
        ),
        pytest.param(
            (*PATIENT, "--rate", "50000", "--length", "3s", "--threshold", "rate<0.05"),
            "the test is invalid; ",
            id="invalid",
        ),
    ],
)
def test_a_load_test_that_decides_nothing_holds_until_a_person_answers(
    story: Story, words: tuple[str, ...], said: str
) -> None:
    told = asked(story, *words)
    told.when.candidate("v2")
    told.then.within(240).says(said)
    status = told.status()
    assert status.weight_bp == 0
    assert status.reason == "GateUnanswered"
    assert status.phase is Phase.PROGRESSING
    assert "a person answers gate load in place of its load" in status.next
    told.when.verb("approve")
    told.then.promoted("v2").lost(0)
