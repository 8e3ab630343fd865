"""kill -9 in mid-release, under load."""

import pytest

from sluice.testing.laptop import wait_until
from sluice.testing.story import Story, lost_in, poisson_high
from sluice.testing.traffic.report import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

RPS = 60


def _half_way(story: Story) -> None:
    """A good candidate has live traffic and at least ten more seconds to go."""
    story.given.slo(0.9).policy(minBake="12s", warmUp="0s", deadline="5m").stable("v1")
    story.given.traffic(rps=RPS)
    story.when.candidate("v2")
    story.when.live(500)


def test_killed_supervisor_is_followed_by_one_that_adopts_everything(story: Story) -> None:
    _half_way(story)
    before = {item.name: item.pid for item in story.laptop.processes()}
    story.when.killed("supervisor")
    story.when.after(2)
    story.laptop.up()
    assert {item.name: item.pid for item in story.laptop.processes()} == before
    story.then.promoted().harmed(at_most=0).lost(0)
    assert story.status().pass_number == 2


def test_killed_agent_is_started_again(story: Story) -> None:
    _half_way(story)
    killed = story.when.killed("agent")
    story.then.promoted().harmed(at_most=0).lost(0)
    assert story.laptop.daemon("agent").pid != killed


def test_killed_replica_of_stable_is_replaced_and_its_requests_are_retried(story: Story) -> None:
    _half_way(story)
    killed = story.when.killed("v1")
    story.then.promoted().harmed(at_most=0).lost(0)
    assert killed not in [item.pid for item in story.laptop.processes()]


def test_killed_replica_of_the_candidate_is_replaced(story: Story) -> None:
    _half_way(story)
    killed = story.when.killed("v2")
    story.then.promoted().harmed(at_most=0).lost(0)
    replicas = [item.pid for item in story.laptop.replicas(story.revisions["v2"])]
    assert len(replicas) == 2
    assert killed not in replicas


def test_killed_envoy_loses_no_more_than_was_in_flight_in_it(story: Story) -> None:
    _half_way(story)
    story.when.faults("v1", latency_ms=100)
    story.when.faults("v2", latency_ms=100)
    killed = story.when.killed("envoy")
    wait_until(
        lambda: any(i.name == "envoy-a" and i.pid != killed for i in story.laptop.processes()),
        within_s=30,
        what="Envoy to be started again",
    )
    story.then.promoted()
    report = story.settle()
    refused = report.lost_by["refused"]
    broken = lost_in(report, but=()) - refused
    story.facts |= {"requests": report.done, "lost": f"{broken}+{refused}"}
    # Answers take 100 ms, so that about RPS / 10 requests are in flight in both routers together.
    assert broken <= poisson_high(RPS * 0.1)
    assert refused == 0, "the other router takes new connections"


def test_without_a_supervisor_the_lease_gives_the_traffic_to_stable(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(lease="3s").steps({"setWeight": 40}, {"pause": {}})
    given.stable("v1").traffic(rps=RPS)
    when.candidate("v2")
    when.live(4_000)
    when.after(4)
    load = story.loads[-1]
    killed_s = load.elapsed_s
    when.killed("supervisor")
    when.after(10)
    gone_s = load.elapsed_s
    story.laptop.up()
    then.candidate_weight(4_000)
    back_s = load.elapsed_s
    when.after(4)
    then.lost(0)
    candidate = story.revisions["v2"]
    by_second = story.reports[-1].seconds

    def answers(begin_s: float, end_s: float) -> int:
        seconds = range(int(begin_s), int(end_s))
        return sum(by_second.get(s, {}).get(candidate, {}).get(Outcome.OK, 0) for s in seconds)

    assert answers(killed_s - 3, killed_s) > 0, "before: 40% of the requests"
    assert answers(gone_s - 4, gone_s) == 0, "the lease is over: stable has everything"
    assert answers(back_s + 1, back_s + 4) > 0, "a supervisor is back, and the weight with it"
