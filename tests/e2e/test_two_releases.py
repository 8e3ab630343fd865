"""Two releases behind one router, told apart by host."""

import pytest

from sluice.nouns import Phase
from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def test_release_that_cannot_start_does_not_block_the_abort_of_another(story: Story) -> None:
    story.given.stable("v1").traffic(rps=50)
    other = story.beside("tip", host="tip.local")
    other.given.spec(progressDeadline="10m")
    other.given.stable("v1").traffic(rps=50)
    good = other.model
    other.model = type(good)(command=["no-such-command"], env=good.env)
    other.when.candidate("v2")
    other.then.says("no-such-command")

    story.when.candidate("v2", faults={"error_rate": 1.0})
    story.then.aborted().candidate_weight(0).harmed_within_budget().lost(0)
    assert other.status().phase is Phase.PROGRESSING
    other.then.lost(0)
