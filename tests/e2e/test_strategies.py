"""Strategies beside the canary on real processes behind real Envoy: who gets the traffic, and that
nobody loses a request on the way.
"""

import pytest

from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

RULES = {"minBake": "2s", "warmUp": "0s", "deadline": "2m"}


def test_a_rolling_update_replaces_every_replica_and_loses_nothing(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    story.strategy = {"rolling": {"maxSurge": 1, "maxUnavailable": 0}}
    given.spec(replicas=3).policy(**RULES).stable("v1").traffic(rps=50)
    when.candidate("v2")
    then.promoted("v2").lost(0)


def test_a_failing_batch_is_rolled_back_and_stable_has_its_size_again(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    story.strategy = {"rolling": {"maxSurge": 0, "maxUnavailable": 1, "pause": {"duration": "10s"}}}
    given.spec(replicas=3).policy(**RULES).stable("v1").traffic(rps=50)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.aborted().candidate_weight(0).lost(0)


def test_a_switch_is_undone_in_one_change_and_loses_nothing(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    story.strategy = {"blueGreen": {"gate": {"name": "go"}}}
    given.policy(**RULES).stable("v1").traffic(rps=50)
    when.candidate("v2")
    then.stands_at("gate go").candidate_weight(0)
    when.verb("approve", "go")
    then.promoted("v2")
    when.verb("undo")
    then.aborted("Undone").lost(0)


def test_a_version_that_fails_after_the_switch_is_switched_back(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    story.strategy = {"blueGreen": {}}
    given.policy(**RULES).stable("v1").traffic(rps=50)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.aborted("FailedAfterSwitch").lost(0)
