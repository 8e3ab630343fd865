"""Which user gets which variant, told by what runs or computed from a file."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake import FakeSupervisor
from tests.unit.reports.samples import RUNNING

from sluice.cli.assign import planned_arms
from sluice.cli.exits import ExitCode, WrongUsage
from sluice.engine.plan import ArmSpec, Fixed, Plan, Rung, Stage
from sluice.nouns import Goal, GoalRules, RevisionId
from sluice.reports.model import StickyArm, StickyStatus

STICKY = StickyStatus(
    header="x-user-id",
    cookie=None,
    salt="taxi:3",
    arms=(
        StickyArm(variant="candidate", revision=RevisionId("v2"), weight_bp=6_000),
        StickyArm(variant="stable", revision=RevisionId("v1"), weight_bp=4_000),
    ),
)
RELEASE = """
apiVersion: sluice.dev/v1alpha1
kind: Release
metadata: {name: taxi}
spec:
  replicas: 1
  traffic: {hosts: [taxi], sticky: {header: x-user-id}}
  strategy: {canary: {}}
  template: {spec: {containers: [{name: model, ports: [{name: http, containerPort: 80}]}]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "release.yaml"
    path.write_text(RELEASE)
    return str(path)


def test_users_of_a_running_release_are_assigned_by_its_salt_and_weights(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    supervisor.releases["taxi"] = replace(RUNNING, sticky=STICKY)
    ran = sluice("assign", "anna", "7", "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out) == [
        {"user": "anna", "variant": "candidate", "revision": "v2", "place_bp": 5_904},
        {"user": "7", "variant": "stable", "revision": "v1", "place_bp": 6_711},
    ]
    table = sluice("assign", "anna").out
    assert table.splitlines()[1].split() == ["anna", "candidate", "v2", "5904"]


def test_the_same_is_computed_from_the_file_alone(sluice: Run, file: str) -> None:
    ran = sluice("assign", "anna", "7", "-f", file, "--pass", "3", "--weight", "60", "-o", "json")
    assert [item["variant"] for item in json.loads(ran.out)] == ["candidate", "stable"]


def test_users_come_from_stdin_too(sluice: Run, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("anna\n\n7\n"))
    ran = sluice("assign", "-", "-f", file, "--pass", "3", "--weight", "60", "-o", "json")
    assert [item["user"] for item in json.loads(ran.out)] == ["anna", "7"]


def test_a_release_that_is_not_sticky_assigns_nobody(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    ran = sluice("assign", "anna")
    assert ran.code == ExitCode.FAILED
    assert "spec.traffic.sticky" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param((), "--pass N", id="no-pass"),
        pytest.param(("--pass", "3"), "--weight PERCENT", id="no-weight"),
        pytest.param(("--pass", "3", "--release", "gone"), "the files hold taxi", id="release"),
    ],
)
def test_what_is_missing_is_asked_for(
    sluice: Run, file: str, words: tuple[str, ...], said: str
) -> None:
    ran = sluice("assign", "anna", "-f", file, *words)
    assert ran.code == ExitCode.USAGE
    assert said in ran.err


def test_pass_without_a_file_is_refused(sluice: Run) -> None:
    ran = sluice("assign", "anna", "--pass", "3")
    assert ran.code == ExitCode.USAGE
    assert "belong to --file" in ran.err


def test_an_a_b_test_fixes_the_weights_of_all_its_arms() -> None:
    rung = Rung(
        name="abTest",
        weight=Fixed(weight_bp=6_000),
        arms=(ArmSpec(share=1), ArmSpec(variant="b", share=2)),
        goals=GoalRules(goals=(Goal(name="tip", kind="binary"),)),
    )
    stage = Stage(strategy="abTest", rungs=(rung,), deadline_ms=None)
    plan = Plan(release="taxi", replicas=1, hosts=("taxi",), stages=(stage,))
    assert planned_arms(plan, None) == [
        (("candidate", ""), 2_000),
        (("b", ""), 4_000),
        (("stable", ""), 4_000),
    ]
    with pytest.raises(WrongUsage, match="fixes it"):
        planned_arms(plan, 10.0)
