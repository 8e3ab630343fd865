from dataclasses import replace
from pathlib import Path

import pytest
from loadtests.profiles import load_profile
from tests.unit.cli.conftest import Run

from sluice.slo.start import Needs, first_files
from sluice.spec import load

NEEDS = Needs(
    name="taxi",
    rps=50,
    latency_ms=300,
    latency_share=0.99,
    availability=0.999,
    callers="people",
    fresh_s=86_400,
)
WORDS = ["--name", "taxi", "--rps", "50", "--latency", "99:300", "--availability", "99.9"]


def test_the_three_files_are_used_as_they_are(sluice: Run, tmp_path: Path) -> None:
    folder = tmp_path / "first"
    ran = sluice(
        "slo", "init", *WORDS, "--callers", "people", "--changes", "24h", "--out", str(folder)
    )
    assert ran.code == 0, ran.err
    documents = load([folder / "slo.yaml", folder / "policy.yaml"])
    assert [slo.target for slo in documents.slos] == [0.999, 0.99]
    assert documents.policies[0].spec.min_bake_ms == 110_000
    profile = load_profile(str(folder / "profile.yaml"))
    assert profile.asked > 5_235
    assert "2,995 requests without a bad one" in ran.out


def test_files_are_not_overwritten_unasked(sluice: Run, tmp_path: Path) -> None:
    words = [*WORDS, "--callers", "jobs", "--changes", "24h", "--out", str(tmp_path)]
    assert sluice("slo", "init", *words).code == 0
    ran = sluice("slo", "init", *words)
    assert ran.code == 64
    assert "--force" in ran.err
    assert sluice("slo", "init", *words, "--force").code == 0


def test_jobs_come_evenly_and_people_in_crowds() -> None:
    assert first_files(NEEDS).profile["kind"] == "spike"
    assert first_files(replace(NEEDS, callers="jobs")).profile["arrivals"] == "constant"


def test_data_that_changes_often_makes_releases_shorter() -> None:
    quick = first_files(replace(NEEDS, fresh_s=900)).policy["spec"]
    assert quick["minBake"] == "90s"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(["--latency", "99:301"], "300 ms or", id="off-grid"),
        pytest.param(["--latency", "fast"], "99:300", id="latency"),
        pytest.param(["--availability", "100"], "no error budget", id="hundred"),
        pytest.param(["--rps", "0"], "above 0", id="rate"),
        pytest.param(["--changes", "daily"], "is not a duration", id="changes"),
    ],
)
def test_requirements_that_make_no_sense_are_told(
    sluice: Run, tmp_path: Path, change: list[str], said: str
) -> None:
    words = [*WORDS, "--callers", "people", "--changes", "24h", "--out", str(tmp_path), *change]
    ran = sluice("slo", "init", *words)
    assert ran.code == 64
    assert said in ran.err
