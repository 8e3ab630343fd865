"""Verbs of a person under load: none of them costs a request."""

import pytest

from sluice.testing.story import Story
from sluice.testing.traffic.report import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

STEPS = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}})


def test_every_verb_of_a_pass_loses_nothing(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s", warmUp="0s").steps(*STEPS).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.candidate_weight(1_000)
    when.verb("pause")
    then.held("PausedByUser")
    when.verb("resume")
    then.stands_at("pause")
    when.verb("promote")
    then.candidate_weight(5_000)
    when.verb("abort")
    then.aborted("AbortedByUser").candidate_weight(0)
    when.verb("retry")
    then.candidate_weight(1_000)
    when.verb("promote", "--full")
    then.promoted("v2")
    when.verb("undo")
    then.aborted("Undone")
    assert story.status().stable == story.revisions["v1"]
    then.harmed(at_most=0).lost(0)


def test_new_candidate_in_mid_pass_begins_again_at_the_first_step(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s", warmUp="0s").steps(*STEPS).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.stands_at("pause")
    when.verb("promote")
    then.candidate_weight(5_000)
    when.candidate("v3")
    then.candidate_weight(1_000)
    assert story.status().candidate == story.revisions["v3"]
    assert "Superseded" in [item.reason for item in story.status().decisions]
    when.verb("promote", "--full")
    then.promoted("v3").lost(0)


def test_undo_after_the_warm_time_is_a_new_pass(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s", warmUp="0s").spec(keepWarm="2s")
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.promoted("v2")
    story.wait(lambda s: s.warm_left_ms is None, within_s=60, what="the warm time to be over")
    when.verb("undo")
    then.promoted("v1").lost(0)
    # Not one routing change: the old version went through a pass of its own.
    assert story.status().pass_number == 3


def test_delete_finishes_what_is_under_way(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=60)
    when.verb("delete", "--yes")
    then.gone()
    report = story.settle()
    story.facts |= {"requests": report.done, "lost": report.lost}
    # Who comes later hears from the router that there is no such release.
    assert report.count(Outcome.LOST, Outcome.TIMEOUT, Outcome.SERVER_ERROR) == 0
    assert report.count(Outcome.OK) > 0
