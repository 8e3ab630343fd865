"""What a dead candidate costs on the default ramp, against the intervals that were measured."""

import time

import pytest

from sluice.testing.story import Story, poisson_high

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


@pytest.mark.parametrize("rps", [50, 200, 500])
def test_dead_candidate_harms_no_more_than_twice_the_budget(story: Story, rps: int) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=rps)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.aborted().candidate_weight(0).harmed_within_budget(10.0).lost(0)


@pytest.mark.parametrize("rps", [50, 200])
def test_with_a_shield_users_see_no_error_and_failures_still_count(story: Story, rps: int) -> None:
    given, when, then = story.given, story.when, story.then
    given.shield("2s").stable("v1").traffic(rps=rps)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.aborted().candidate_weight(0)
    verdict = story.status().verdict
    assert verdict is not None
    assert verdict.evidence[0].bad_candidate > 0
    assert verdict.harmed == 0
    then.harmed(at_most=0).lost(0)


@pytest.mark.parametrize(
    "healthy_s", [pytest.param(40, id="40s"), pytest.param(120, id="two-minutes")]
)
def test_fault_after_a_healthy_time_is_found_as_soon(story: Story, healthy_s: int) -> None:
    given, when, then = story.given, story.when, story.then
    given.stable("v1").traffic(rps=50)
    when.candidate("v2")
    weight_bp = when.live(5_000).weight_bp
    when.after(healthy_s)
    fault_ms = time.time() * 1000
    when.faults("v2", error_rate=1.0)
    then.aborted().candidate_weight(0)
    aborted = story.laptop.history("taxi")[-1]
    polls = [
        entry["at_ms"]
        for entry in story.laptop.journal("taxi")
        if entry["entry"] == "poll" and fault_ms < entry["at_ms"] <= aborted.at_ms
    ]
    assert len(polls) <= 2, "a dead candidate at half of the traffic is found by two looks"
    faulty_s = (aborted.at_ms + (aborted.effect_ms or 0) - fault_ms) / 1000
    then.harmed(at_most=poisson_high(50 * weight_bp / 10_000 * faulty_s)).lost(0)
