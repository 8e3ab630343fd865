"""A disk that fills up in mid-release: nothing grows, and a bad candidate still goes."""

import resource
import time

import pytest

from sluice.testing.laptop import alive
from sluice.testing.story import Story, poisson_high

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

RPS = 60


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
    given.stable("v1").traffic(rps=RPS)
    when.candidate("v2")
    then.candidate_weight(2_000)
    pid = _disk(story, full=True)
    then.says("cannot write")
    fault_ms = time.time() * 1000
    when.faults("v2", error_rate=1.0)
    then.within(60).aborted()
    aborted = story.status().decisions[-1]
    faulty_s = (aborted.at_ms + (aborted.effect_ms or 0) - fault_ms) / 1000
    when.after(3)
    assert alive(pid)
    _disk(story, full=False)
    then.candidate_weight(0)
    then.harmed(at_most=poisson_high(RPS * 0.2 * faulty_s)).lost(0)
