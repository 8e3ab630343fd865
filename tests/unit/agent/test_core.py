from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.agent.fakes import Now, RecordingSink, fragment

from sluice.agent.core import Agent
from sluice.agent.sink import Conflict
from sluice.dataplanes.names import ClusterName
from sluice.errors import RoutingRefused, TransientError

CANDIDATE, STABLE = "taxi/v2/live", "taxi/v1/live"


async def test_an_accepted_fragment_is_acknowledged(agent: Agent, sink: RecordingSink) -> None:
    ack = await agent.put(fragment(generation=4))
    assert (ack.release, ack.generation, ack.error) == ("taxi", 4, "")
    assert sink.weights("taxi") == {CANDIDATE: 2_000, STABLE: 8_000}


async def test_a_refused_fragment_leaves_the_old_one_and_says_why(
    agent: Agent, sink: RecordingSink
) -> None:
    await agent.put(fragment())
    sink.refuse_host = "bikes.test"
    with pytest.raises(RoutingRefused):
        await agent.put(fragment("bikes"))
    acks = {ack.release: ack for ack in agent.acks()}
    assert acks["taxi"].generation == 1
    assert (acks["bikes"].generation, "bikes.test" in acks["bikes"].error) == (0, True)
    # The others are not blocked: an abort goes through.
    await agent.put(fragment(generation=2, weight_bp=0))
    assert sink.weights("taxi")[CANDIDATE] == 0


async def test_a_refusal_is_forgotten_with_the_next_accepted_fragment(
    agent: Agent, sink: RecordingSink
) -> None:
    sink.refuse_host = "taxi.test"
    with pytest.raises(RoutingRefused):
        await agent.put(fragment())
    sink.refuse_host = ""
    assert (await agent.put(fragment())).error == ""


async def test_an_older_generation_is_a_conflict(agent: Agent) -> None:
    await agent.put(fragment(generation=5))
    with pytest.raises(Conflict, match="older than 5"):
        await agent.put(fragment(generation=4))


async def test_nothing_changes_while_envoy_is_away(agent: Agent, sink: RecordingSink) -> None:
    await agent.put(fragment())
    sink.away = True
    with pytest.raises(TransientError):
        await agent.put(fragment(generation=2, weight_bp=0))
    assert agent.acks()[0].generation == 1
    with pytest.raises(TransientError):
        await agent.delete("taxi")
    sink.away = False
    await agent.delete("taxi")
    assert agent.acks() == ()


async def test_a_lease_that_nobody_renews_returns_the_weight(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment(lease_ms=30_000))
    now.seconds += 29.9
    assert await agent.expire_leases() == pytest.approx(0.1)
    assert sink.weights("taxi")[CANDIDATE] == 2_000
    now.seconds += 0.2
    assert await agent.expire_leases() is None
    assert sink.weights("taxi") == {CANDIDATE: 0, STABLE: 10_000}
    assert agent.acks()[0].lease_expired


async def test_a_renewed_lease_gives_the_weight_back(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment(lease_ms=1_000))
    now.seconds += 2
    await agent.expire_leases()
    await agent.renew(["taxi", "unknown"])
    assert sink.weights("taxi")[CANDIDATE] == 2_000
    assert not agent.acks()[0].lease_expired
    assert await agent.expire_leases() == pytest.approx(1.0)


async def test_a_lease_that_cannot_be_enforced_is_tried_again_soon(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment(lease_ms=1_000))
    now.seconds += 2
    sink.away = True
    pause = await agent.expire_leases()
    assert pause is not None
    assert pause < 1
    assert not agent.acks()[0].lease_expired
    sink.away = False
    await agent.expire_leases()
    assert sink.weights("taxi")[CANDIDATE] == 0


async def test_the_lease_of_one_release_leaves_the_others_alone(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment(lease_ms=1_000))
    await agent.put(fragment("bikes", lease_ms=1_000))
    now.seconds += 0.9
    await agent.renew(["bikes"])
    now.seconds += 0.2
    await agent.expire_leases()
    assert sink.weights("taxi")[CANDIDATE] == 0
    assert sink.weights("bikes")["bikes/v2/live"] == 2_000


async def test_a_new_agent_serves_what_the_old_one_accepted_with_a_whole_lease(
    new_agent: Callable[[], Agent], sink: RecordingSink, now: Now
) -> None:
    await new_agent().put(fragment(generation=3, lease_ms=10_000))
    now.seconds += 60
    restarted = new_agent()
    assert restarted.acks()[0].generation == 0  # nothing is acknowledged before Envoy says so
    await restarted.confirm()
    assert restarted.acks()[0].generation == 3
    assert await restarted.expire_leases() == pytest.approx(10.0)
    assert sink.weights("taxi")[CANDIDATE] == 2_000


async def test_a_restored_fragment_that_envoy_refuses_leaves_the_others(
    new_agent: Callable[[], Agent], sink: RecordingSink
) -> None:
    first = new_agent()
    await first.put(fragment("bikes"))
    await first.put(fragment("taxi"))
    sink.refuse_host = "bikes.test"
    restarted = new_agent()
    await restarted.confirm()
    acks = {ack.release: ack for ack in restarted.acks()}
    assert acks["taxi"].generation == 1
    assert acks["bikes"].generation == 0
    assert "bikes.test" in acks["bikes"].error


async def test_a_fragment_on_disk_that_is_garbage_is_left_out(
    new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    await new_agent().put(fragment())
    (tmp_path / "fragments" / "bikes.json").write_text("{")
    assert set(new_agent().fragments) == {"taxi"}


async def test_unused_clusters_linger_until_they_are_idle(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment())
    await agent.put(fragment(generation=2, alone=True))
    assert CANDIDATE in sink.clusters
    now.seconds += 61
    assert agent.has_ripe
    await agent.sweep(lambda _: True)
    assert CANDIDATE in sink.clusters
    await agent.sweep(lambda _: False)
    assert sink.clusters == {STABLE}


async def test_a_cluster_that_is_used_again_does_not_leave(
    agent: Agent, sink: RecordingSink, now: Now
) -> None:
    await agent.put(fragment())
    await agent.put(fragment(generation=2, alone=True))
    await agent.put(fragment(generation=3))
    now.seconds += 61
    assert not agent.has_ripe
    busy: list[ClusterName] = []
    await agent.sweep(lambda name: name in busy)
    assert CANDIDATE in sink.clusters
