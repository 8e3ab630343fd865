"""Locustfiles as people write them: weights, on_start, tags, a config file, a log to replay."""

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import pstdev

import pytest
from loadtests.bodies import BINARY_HEADER
from loadtests.capacity import main as capacity
from loadtests.run import ROOT, Asked, run
from tests.loadtests.conftest import Serve
from tests.loadtests.seen import seeing

from sluice.analysis.load import LoadRules, judge
from sluice.analysis.loadrun import LoadRun
from sluice.nouns import Objective, VerdictKind
from sluice.reports import document

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

HERE = Path(__file__).parent
UP = Objective(name="up", kind="availability", target=0.95)
PATIENT_MS = 5_000
PATIENT = LoadRules(late_ms=PATIENT_MS, busy_cpu=2.0)
"""Machines that test are busy with tests: what is asked here is never whether they are."""


def asked(url: str, folder: Path, locustfile: str, **more: object) -> Asked:
    given = {
        "url": url,
        "run_file": folder / "run.json",
        "locustfile": HERE / locustfile,
        "rate": 60.0,
        "length": "6s",
        "late_ms": PATIENT_MS,
    }
    return Asked(**{**given, **more})  # type: ignore[arg-type]  # fields of each test


def test_weights_and_on_start_are_those_of_locust(tmp_path: Path) -> None:
    with seeing() as seen:
        counted = run(asked(seen.url, tmp_path, "worked.py"))
    paths = Counter(item.path for item in seen.requests)
    users = {item.headers.get("x-user-id", "") for item in seen.requests}
    assert counted.whole().total == sum(paths.values())
    assert 0.02 < paths["/seldom"] / sum(paths.values()) < 0.25
    assert "" not in users
    assert len(users) == 10


def test_even_arrivals_are_evenly_spaced_and_poisson_ones_are_not(tmp_path: Path) -> None:
    spread = {}
    for kind in ("constant", "poisson"):
        profile = tmp_path / f"{kind}.yaml"
        profile.write_text(f"{{kind: constant, rate: 25, duration: 8s, arrivals: {kind}}}")
        with seeing() as seen:
            counted = run(
                asked(seen.url, tmp_path, "plain.py", profile=str(profile), rate=None, length="")
            )
        gaps = [b.at_s - a.at_s for a, b in pairwise(seen.requests)]
        spread[kind] = pstdev(gaps) / (sum(gaps) / len(gaps))
        if kind == "constant":
            assert abs(counted.whole().total - 200) <= 1
    assert spread["constant"] < 0.6 < spread["poisson"]


def test_arrivals_that_found_no_slot_are_bad_and_said(tmp_path: Path) -> None:
    with seeing(held=True) as seen:
        counted = run(asked(seen.url, tmp_path, "plain.py", max_in_flight=5))
    whole = counted.whole()
    assert whole.dropped > 100
    verdict = judge(counted, [UP], PATIENT)
    assert verdict.kind is VerdictKind.FAILED
    assert "counts as bad: the server held every slot" in verdict.notes[0]


def test_the_config_file_runs_as_it_is(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    words = ["--config", "loadtests/locust.conf", "--headless", "--only-summary"]
    words += ["-H", serve(), "--rate", "40", "--length", "6s", "--late-ms", str(PATIENT_MS)]
    command = [sys.executable, "-m", "locust", *words, "--run-file", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "taxi-availability" in done.stderr or "every objective holds" in done.stderr
    counted = document.parse(LoadRun, file.read_bytes())
    assert set(counted.codes) == {"200"}
    verdict = judge(counted, [UP], PATIENT)
    assert verdict.kind is VerdictKind.PASSED
    assert done.returncode in (0, 1, 2)


@pytest.mark.parametrize(
    ("tag", "path", "type_"),
    [
        pytest.param("json", "/v2/models/taxi-duration/infer", "application/json", id="json"),
        pytest.param(
            "binary", "/v2/models/taxi-duration/infer", "application/octet-stream", id="binary"
        ),
        pytest.param("predict", "/predict", "application/json", id="predict"),
    ],
)
def test_the_taxi_users_send_each_form_with_a_user_that_sticks(
    tag: str, path: str, type_: str, tmp_path: Path
) -> None:
    taxi = ROOT / "loadtests" / "locustfile.py"
    env = {"USERS": "5", "TRIPS": ""}
    with seeing() as seen:
        run(asked(seen.url, tmp_path, str(taxi), tags=[tag], environment=env))
    assert {item.path for item in seen.requests} == {path}
    assert {item.headers["content-type"] for item in seen.requests} == {type_}
    users = {item.headers["x-user-id"] for item in seen.requests}
    assert users == {f"user-{number}" for number in range(5)}
    first = seen.requests[0]
    length = int(first.headers.get(BINARY_HEADER.lower(), len(first.body)))
    head = json.loads(first.body[:length])
    assert "trip_distance" in head or head["inputs"][0]["name"] == "pickup_datetime"


def test_a_log_is_replayed_with_its_paths_bodies_users_and_timing(tmp_path: Path) -> None:
    log = [
        {"at": 3.0, "path": "/predict", "body": {"trip_distance": 1.6}, "user": "anna"},
        {"at": 3.5, "path": "/v2/models/x/infer", "body": {"inputs": []}, "user": "berta"},
        {"at": 5.0, "path": "/predict", "body": {"trip_distance": 9.9}, "user": "anna"},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(line) for line in log))
    (tmp_path / "replay.yaml").write_text("kind: replay\nlog: log.jsonl\n")
    taxi = ROOT / "loadtests" / "locustfile.py"
    with seeing() as seen:
        counted = run(
            asked(
                seen.url,
                tmp_path,
                str(taxi),
                profile=str(tmp_path / "replay.yaml"),
                rate=None,
                length="",
                environment={"TRIPS": ""},
            )
        )
    assert counted.whole().total == 3
    assert [item.path for item in seen.requests] == [line["path"] for line in log]
    assert [json.loads(item.body) for item in seen.requests] == [line["body"] for line in log]
    assert [item.headers["x-user-id"] for item in seen.requests] == ["anna", "berta", "anna"]
    first, second, third = (item.at_s for item in seen.requests)
    assert third - first > 1.5 > second - first


def test_capacity_of_one_version_is_found_by_real_runs(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", serve(), "--out", str(tmp_path), "-f", str(HERE / "plain.py")]
    words += ["--late-ms", str(PATIENT_MS), "--threshold", "rate<0.1", "--version", "v1"]
    words += ["--from", "30", "--to", "60", "--each", "6s"]
    assert capacity(words) == 0
    said = capfd.readouterr().out
    assert "capacity of v1: 60 requests a second keep the SLO, the highest that was tried" in said
    found = json.loads((tmp_path / "capacity.json").read_text())
    assert [rung["rate"] for rung in found["rungs"]] == [30, 60]
