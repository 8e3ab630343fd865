"""Scenarios with real Envoy, real processes and real load.

What they measured is written beside the results in memory when ``CONFORMANCE_RESULTS`` is set.
"""

import os
from pathlib import Path

import pytest
from tests.conformance.catalog import Scenario
from tests.conformance.laptop import laptop_world
from tests.conformance.results import keep
from tests.conformance.story import Story
from tests.conformance.suite import SCENARIOS

QUICK = ("situations/canary/slow", "verbs/at-a-gate/promote-full")
"""Told in every run of the tests; the others by ``make e2e-laptop``."""

pytestmark = pytest.mark.timeout(420)


def _cases() -> list[object]:
    return [
        pytest.param(
            scenario,
            id=scenario.name,
            marks=pytest.mark.slow if scenario.name in QUICK else pytest.mark.e2e,
        )
        for scenario in SCENARIOS
        if scenario.laptop
    ]


@pytest.mark.parametrize("scenario", _cases())
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    with laptop_world(tmp_path) as world:
        story = Story(world)
        scenario.tell(story)
    if os.environ.get("CONFORMANCE_RESULTS"):
        keep("laptop", scenario.name, story.facts)
