"""A disk that fills up in mid-release: nothing grows, and a bad candidate still goes."""

import resource

import pytest

from sluice.testing.laptop import alive
from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def _disk(story: Story, *, full: bool) -> int:
    """No file of the supervisor can grow any more, its log included; or all can again."""
    pid = story.laptop.supervisor()
    assert pid is not None
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))
    return pid


def test_full_disk_stops_growth_but_not_an_abort(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.steps({"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}})
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.candidate_weight(2_000)
    pid = _disk(story, full=True)
    then.says("cannot write")
    when.faults("v2", error_rate=1.0)
    then.within(60).aborted()
    when.after(3)
    harmed_then = story.loads[-1].sent
    assert harmed_then > 0
    assert alive(pid)
    _disk(story, full=False)
    then.candidate_weight(0)
    then.lost(0)
    assert story.reports[-1].harmed(story.revisions["v2"]) <= 60
