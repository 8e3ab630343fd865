"""The main path with real processes, quick enough for every run of the tests."""

from dataclasses import replace

import pytest

from sluice.testing.story import Story

pytestmark = pytest.mark.timeout(180)


def test_good_candidate_is_promoted_under_load(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="2s", warmUp="0s", deadline="2m").stable("v1").traffic(rps=80)
    when.candidate("v2")
    then.promoted().harmed(at_most=0).lost(0)


def test_dead_candidate_is_turned_back_and_only_the_budget_is_harmed(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=50)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.aborted().candidate_weight(0).harmed_within_budget().lost(0)


def test_command_that_does_not_start_is_turned_back_and_named(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=20).spec(progressDeadline="3s")
    story.model = replace(story.model, command=["no-such-command"])
    when.candidate("v2")
    then.aborted("ProgressDeadlineExceeded")
    assert "no-such-command" in story.laptop.history("taxi")[-1].message
    then.lost(0)


def test_deploy_and_wait_ends_with_the_end_of_the_release(story: Story) -> None:
    given = story.given
    given.slo(0.9).policy(minBake="1s", warmUp="0s").stable("v1").traffic(rps=80)
    file = story.laptop.folder / "v2.yaml"
    file.write_text(story.documents("v2", {"error_rate": 1.0}), encoding="utf-8")
    ran = story.laptop.sluice("deploy", "-f", file.name, "--wait", "--timeout", "2m")
    assert ran.code == 1, (ran.out, ran.err)
    assert "CheckFailed" in ran.out
    file.write_text(story.documents("v3", {}), encoding="utf-8")
    ran = story.laptop.sluice("deploy", "-f", file.name, "--wait", "--timeout", "2m")
    assert ran.code == 0, (ran.out, ran.err)


def test_killed_supervisor_leaves_everything_running_for_the_next(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=50)
    before = {item.name: item.pid for item in story.laptop.processes()}
    when.killed("supervisor")
    story.laptop.up()
    assert {item.name: item.pid for item in story.laptop.processes()} == before
    then.lost(0)
