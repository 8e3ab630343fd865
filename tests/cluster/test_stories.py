"""Scenarios on a real cluster: installed controller and routers, pods, and locust beside them.

``make e2e`` tells those of ``CORE``, ``make e2e-all`` every one; what they measured is written
beside the results in memory when ``CONFORMANCE_RESULTS`` is set.
"""

import os

import pytest
from tests.cluster.system import System
from tests.conformance.catalog import Scenario
from tests.conformance.cluster import cluster_world
from tests.conformance.results import keep
from tests.conformance.story import Story
from tests.conformance.suite import SCENARIOS

CORE = (
    "situations/canary/good",
    "situations/canary/failing",
    "situations/canary/dead",
    "situations/canary/never-ready",
    "situations/blueGreen/failing",
    "situations/rolling/good",
    "verbs/at-a-gate/promote-full",
    "verbs/at-a-gate/abort",
    "verbs/promoted/undo",
    "edits/candidate-over-a-paused-one",
    "kills/half-of-the-traffic/controller",
    "kills/half-of-the-traffic/agent",
    "kills/half-of-the-traffic/pod-of-stable",
)
"""Told whenever there is a cluster; the others by ``make e2e-all``."""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def _cases() -> list[object]:
    cases = []
    for scenario in SCENARIOS:
        if not scenario.laptop:
            continue
        # Whoever kills what all stories share must be alone: its own run, after the others.
        marks = [pytest.mark.alone] if scenario.group == "kills" else []
        if scenario.name in CORE:
            marks.append(pytest.mark.core)
        cases.append(pytest.param(scenario, id=scenario.name, marks=marks))
    return cases


def test_the_core_is_made_of_stories_that_are_told_here() -> None:
    assert set(CORE) <= {item.name for item in SCENARIOS if item.laptop}


@pytest.mark.parametrize("scenario", _cases())
def test_scenario(scenario: Scenario, system: System) -> None:
    with cluster_world(system, f"{scenario.row}-{scenario.column}") as world:
        story = Story(world)
        scenario.tell(story)
    if os.environ.get("CONFORMANCE_RESULTS"):
        keep("cluster", scenario.name, story.facts)
