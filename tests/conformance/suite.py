"""All scenarios there are."""

from tests.conformance import edits, kills, situations, verbs
from tests.conformance.catalog import Scenario
from tests.conformance.memory import memory_world
from tests.conformance.story import Facts, Story

SCENARIOS: tuple[Scenario, ...] = (
    *situations.scenarios(),
    *verbs.scenarios(),
    *edits.scenarios(),
    *kills.scenarios(),
)


def tell_in_memory(scenario: Scenario) -> Facts:
    """Tell a story in a new world in memory.

    Raises:
        AssertionError: it goes otherwise.
    """
    with memory_world() as world:
        story = Story(world)
        scenario.tell(story)
        return story.facts
