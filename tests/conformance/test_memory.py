"""Every scenario in memory, in virtual time, comes out as it is written down."""

import pytest
from tests.conformance.catalog import Scenario
from tests.conformance.memory import MemoryWorld, memory_world
from tests.conformance.results import UPDATE, read
from tests.conformance.story import Story
from tests.conformance.suite import SCENARIOS, tell_in_memory

KEPT = read("memory")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.name)
def test_scenario(scenario: Scenario) -> None:
    facts = tell_in_memory(scenario)
    assert facts == KEPT.get(scenario.name), f"another result than is kept: `{UPDATE}`"


def test_every_scenario_is_kept_once_and_nothing_else() -> None:
    names = [item.name for item in SCENARIOS]
    assert len(set(names)) == len(names) >= 60
    assert set(names) == set(KEPT), f"`{UPDATE}`"


@pytest.mark.parametrize("world", ["laptop", "cluster"])
def test_what_was_measured_with_real_parts_is_of_stories_told_there(world: str) -> None:
    assert set(read(world)) <= {item.name for item in SCENARIOS if item.laptop}


def test_every_end_says_what_it_is() -> None:
    assert [name for name, facts in KEPT.items() if not facts.end] == []


# --- the world in memory is no yes-man ---


def _canary(world: MemoryWorld) -> Story:
    story = Story(world)
    story.given.slo(0.9).policy(minBake="2s", warmUp="0s").stable("v1").traffic(50)
    return story


def test_lost_requests_are_seen() -> None:
    with memory_world() as world:
        story = _canary(world)
        world.platform.crash_always(world.revisions["v1"])
        story.when.after(3)
        with pytest.raises(AssertionError, match="lost"):
            story.then.lost(0)


def test_harm_is_seen() -> None:
    with memory_world() as world:
        story = _canary(world)
        story.when.candidate("v2", error_rate=1.0)
        story.then.aborted()
        with pytest.raises(AssertionError, match="harmed, at most 0"):
            story.then.harmed(at_most=0)


def test_errors_of_a_version_that_should_be_well_are_lost_requests() -> None:
    with memory_world() as world:
        story = _canary(world)
        world.faults("v1", {"error_rate": 0.5})
        story.when.after(2)
        with pytest.raises(AssertionError, match="lost"):
            story.then.lost(0)


def test_end_that_comes_too_late_is_seen() -> None:
    with memory_world() as world:
        story = _canary(world)
        story.when.candidate("v2")
        with pytest.raises(AssertionError, match="waited 1 s"):
            story.then.within(1).promoted()


def test_another_reason_is_seen() -> None:
    with memory_world() as world:
        story = _canary(world)
        story.when.candidate("v2", error_rate=1.0)
        with pytest.raises(AssertionError, match="CheckFailed, not AbortedByUser"):
            story.then.aborted("AbortedByUser")


def test_shield_hides_what_the_candidate_does_wrong() -> None:
    with memory_world() as world:
        story = Story(world)
        story.given.strategy(canary={"shield": {"perTryTimeout": "500ms"}}).slo(0.95)
        story.given.stable("v1").traffic(50)
        story.when.candidate("v2", error_rate=1.0)
        story.then.aborted().harmed(at_most=0).lost(0)
