import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from sluice.cli.exits import ExitCode
from sluice.reports import document
from sluice.reports.model import SimulationResult

TAXI = Path(__file__).parents[3] / "examples" / "taxi"
FILES = [
    word for name in ("release-v2", "policy", "slo") for word in ("-f", str(TAXI / f"{name}.yaml"))
]
RATES = ["--rps", "50", "--stable", "0.005", "--candidate", "1"]


def test_plan_needs_nothing_running_and_tells_the_harm(sluice: Run) -> None:
    ran = sluice("plan", *FILES, "--rps", "50")
    assert ran.code == 0
    assert "harmBudget, at any rate" in ran.out
    assert "at 50 requests per second" in ran.out


def test_plan_as_document_is_a_list_with_a_number_for_each_step(sluice: Run) -> None:
    (report,) = json.loads(sluice("plan", *FILES, "-o", "json").out)
    assert report["release"] == "taxi"
    assert [step["harm"] for step in report["steps"]] == [10.0]


def test_plan_of_files_without_a_release_says_what_is_missing(sluice: Run) -> None:
    ran = sluice("plan", "-f", str(TAXI / "slo.yaml"))
    assert ran.code == ExitCode.USAGE
    assert "kind: Release" in ran.err


def test_bad_file_lists_every_fault_with_its_line(sluice: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = (TAXI / "release-v2.yaml").read_text()
    path.write_text(text.replace("replicas:", "replica:").replace("kind: Release", "kind: Releas"))
    ran = sluice("lint", "-f", str(path))
    assert ran.code == ExitCode.USAGE
    assert f"{path}:" in ran.err
    assert "nothing was applied" in ran.err


def test_good_files_have_no_fault(sluice: Run) -> None:
    ran = sluice("lint", *FILES)
    assert ran.code == 0
    assert "Release taxi: no fault" in ran.out


def test_lint_warns_and_fails_on_a_warning_only_when_strict(sluice: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    text = (TAXI / "release-v2.yaml").read_text()
    path.write_text(text.replace("replicas: 2", "replicas: 1"))
    files = ["-f", str(path), *FILES[2:]]
    ran = sluice("lint", *files)
    assert ran.code == 0
    assert f"warning: {path}:" in ran.out
    assert sluice("lint", *files, "--strict").code == ExitCode.FAILED


def test_simulated_dead_candidate_is_turned_back_at_once(sluice: Run) -> None:
    ran = sluice("simulate", *FILES, *RATES, "--runs", "20", "-o", "json")
    assert ran.code == 0
    result = document.parse(SimulationResult, ran.out)
    assert result.outcomes == {"aborted": 20}
    assert max(result.seconds_to_decision) < 30
    again = sluice("simulate", *FILES, *RATES, "--runs", "20", "-o", "json")
    assert again.out == ran.out


def test_simulation_is_drawn_with_its_question(sluice: Run) -> None:
    out = sluice("simulate", *FILES, *RATES, "--runs", "10", "--fault-after", "5s").out
    assert "stable 0.005, candidate 1, after 5s" in out
    assert "P99" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--candidate", "5"], "lies between 0 and 1", id="over-one"),
        pytest.param(["--candidate", "x"], "lies between 0 and 1", id="no-number"),
        pytest.param(["--candidate", "cost=0.1"], "no objective cost; there is", id="unknown"),
        pytest.param(["--candidate", "taxi-latency=0.1"], "nothing said of taxi-", id="missing"),
    ],
)
def test_rates_that_make_no_sense_are_refused(sluice: Run, words: list[str], said: str) -> None:
    ran = sluice("simulate", *FILES, "--rps", "50", "--stable", "0", *words)
    assert ran.code == ExitCode.USAGE
    assert said in ran.err


def test_simulation_of_two_releases_at_once_is_refused(sluice: Run, tmp_path: Path) -> None:
    other = tmp_path / "fare.yaml"
    text = (TAXI / "release-v2.yaml").read_text()
    other.write_text(text.replace("name: taxi", "name: fare", 1))
    ran = sluice("simulate", *FILES, "-f", str(other), *RATES)
    assert ran.code == ExitCode.USAGE
    assert "one release at a time" in ran.err
