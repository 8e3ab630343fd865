import io
import json
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake import FakeSupervisor
from tests.unit.reports.samples import (
    ABORTED,
    BEFORE,
    ENTERED,
    HEALTHY,
    HELD,
    RUNNING,
    STARTED,
    TURNED_BACK,
    V2,
)

from sluice.cli import watch
from sluice.cli.exits import ExitCode
from sluice.reports.model import ReleaseStatus

APPLIED = {
    "applied": [
        {"kind": "ReleasePolicy", "name": "taxi", "changed": False},
        {"kind": "Release", "name": "taxi", "revision": V2, "changed": True},
    ],
    "notices": ["spec.template.spec.serviceAccountName has no meaning on a laptop"],
}
ON_ITS_WAY = replace(RUNNING, decisions=(STARTED, ENTERED))


@pytest.fixture
def release(tmp_path: Path) -> str:
    path = tmp_path / "release.yaml"
    path.write_text("kind: Release\n")
    return str(path)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count()
    fast = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: float(next(clock)))
    monkeypatch.setattr(watch, "time", fast)


def journey(supervisor: FakeSupervisor, *statuses: ReleaseStatus) -> None:
    supervisor.releases = {"taxi": BEFORE}
    supervisor.applied = APPLIED
    supervisor.later = list(statuses)


def test_files_are_handed_over_by_name_and_text(
    sluice: Run, supervisor: FakeSupervisor, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey(supervisor)
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: SLO\n"))
    ran = sluice("deploy", "-f", release, "-f", "-")
    assert ran.code == 0
    assert supervisor.last[2]["files"] == [
        {"name": release, "text": "kind: Release\n"},
        {"name": "stdin", "text": "kind: SLO\n"},
    ]
    assert ran.out == f"ReleasePolicy taxi: unchanged\nRelease taxi, revision {V2}: applied\n"
    assert ran.err.startswith("notice: spec.template")


def test_every_fault_is_listed_with_its_place(
    sluice: Run, supervisor: FakeSupervisor, release: str
) -> None:
    faults = [
        {
            "file": "release.yaml",
            "line": 3,
            "path": "spec.replica",
            "reason": "not a field",
        },
        {"file": "slo.yaml", "line": 9, "path": "spec.target", "reason": "must be below 1"},
    ]
    supervisor.refuse = (422, {"title": "bad spec", "detail": "2 faults", "faults": faults})
    ran = sluice("deploy", "-f", release)
    assert ran.code == ExitCode.USAGE
    assert ran.err.splitlines() == [
        "sluice: 2 faults; nothing was applied",
        "  release.yaml:3: spec.replica: not a field",
        "  slo.yaml:9: spec.target: must be below 1",
    ]


def test_files_that_cannot_be_read_are_all_named_and_nothing_is_asked(
    sluice: Run, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Zürich".encode("latin-1"))
    ran = sluice("deploy", "-f", "missing.yaml", "-f", str(latin))
    assert ran.code == ExitCode.USAGE
    assert "missing.yaml: file: cannot be read: No such file" in ran.err
    assert "is not UTF-8" in ran.err
    assert supervisor.asked == []


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        pytest.param(HEALTHY, 0, "taxi v2: promoted", id="promoted"),
        pytest.param(TURNED_BACK, 1, "taxi v2: turned back", id="aborted"),
        pytest.param(HELD, 2, "undecided at the deadline", id="held"),
        pytest.param(replace(HELD, verdict=None), 3, "could not be measured", id="not-measured"),
    ],
)
def test_deploy_with_wait_ends_as_the_release_ends(
    sluice: Run, supervisor: FakeSupervisor, release: str, end: ReleaseStatus, code: int, said: str
) -> None:
    journey(supervisor, BEFORE, ON_ITS_WAY, end)
    ran = sluice("deploy", "-f", release, "--wait")
    assert ran.code == code
    assert said in ran.out


def test_waiting_tells_each_decision_of_the_new_pass_once(
    sluice: Run, supervisor: FakeSupervisor, release: str
) -> None:
    journey(supervisor, BEFORE, ON_ITS_WAY, ON_ITS_WAY, TURNED_BACK)
    out = sluice("deploy", "-f", release, "--wait").out
    assert [out.count(kind) for kind in ("PassStarted", "RungEntered", "Aborted  ")] == [1, 1, 1]


def test_time_out_ends_with_124_and_says_where_it_stands(
    sluice: Run, supervisor: FakeSupervisor, release: str
) -> None:
    journey(supervisor, *[ON_ITS_WAY] * 100)
    ran = sluice("deploy", "-f", release, "--wait", "--timeout", "8s")
    assert ran.code == ExitCode.TIME_OUT
    assert "still on its way" in ran.out


def test_document_of_a_wait_has_ends_and_code_and_progress_goes_to_stderr(
    sluice: Run, supervisor: FakeSupervisor, release: str
) -> None:
    journey(supervisor, ON_ITS_WAY, TURNED_BACK)
    ran = sluice("deploy", "-f", release, "--wait", "-o", "json")
    answer = json.loads(ran.out)
    assert answer["ends"] == {"taxi": "aborted"}
    assert answer["exitCode"] == ran.code == 1
    assert answer["releases"][0]["phase"] == "Aborted"
    assert "PassStarted" in ran.err


def test_junit_of_a_wait_fails_with_the_evidence(
    sluice: Run, supervisor: FakeSupervisor, release: str, tmp_path: Path
) -> None:
    journey(supervisor, ON_ITS_WAY, TURNED_BACK)
    supervisor.decisions = (STARTED, ENTERED, ABORTED)
    report = tmp_path / "junit.xml"
    sluice("deploy", "-f", release, "--wait", "--junit", str(report))
    suite = ElementTree.parse(report).getroot()  # noqa: S314  # our own file
    assert suite.attrib["failures"] == "1"
    failure = suite.find(".//failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("CheckFailed: v2 was turned back")
    assert "e 19,777 of 1,000" in suite.findtext(".//system-out", "")


def test_waiting_outlives_a_supervisor_that_comes_back(
    sluice: Run, supervisor: FakeSupervisor, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey(supervisor, ON_ITS_WAY)
    pauses = count()

    def pause(_: float) -> None:
        match next(pauses):
            case 0:
                supervisor.releases.clear()
            case 2:
                supervisor.releases["taxi"] = HEALTHY
            case later:
                assert later < 3, "it does not end"

    fast = SimpleNamespace(sleep=pause, monotonic=time.monotonic)
    monkeypatch.setattr(watch, "time", fast)
    ran = sluice("deploy", "-f", release, "--wait")
    assert ran.code == 0
    assert "no answer: no release taxi" in ran.out
    assert "the supervisor answers again" in ran.out


def test_waiting_gives_up_when_nothing_answers_any_more(
    sluice: Run, supervisor: FakeSupervisor, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey(supervisor, *[ON_ITS_WAY] * 3)
    clock = count(step=20)
    gone = SimpleNamespace(
        sleep=lambda _: supervisor.releases.clear(), monotonic=lambda: next(clock)
    )
    monkeypatch.setattr(watch, "time", gone)
    ran = sluice("deploy", "-f", release, "--wait")
    assert ran.code == ExitCode.NOTHING_THERE


def test_wait_without_a_release_in_the_files_is_refused(
    sluice: Run, supervisor: FakeSupervisor, release: str
) -> None:
    supervisor.applied = {"applied": APPLIED["applied"][:1], "notices": []}
    ran = sluice("deploy", "-f", release, "--wait")
    assert ran.code == ExitCode.USAGE
    assert "hold no release" in ran.err
