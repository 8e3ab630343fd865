"""The main path with real processes, quick enough for every run of the tests."""

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
