import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.unit.runtime.world import NAME, V1, V2, V3, World, plan

from sluice.engine.canary import Pause, SetWeight
from sluice.errors import RefusedError, TransientError, UnknownRelease
from sluice.nouns import Fragment, Phase, RevisionId, Snapshot, VerdictKind, Workload

BY_HAND = plan(SetWeight(weight_bp=2_000), Pause(duration_ms=None))


async def test_good_candidate_is_promoted_without_a_lost_request() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2)
    status = await world.until(Phase.HEALTHY)
    assert status.stable == V2
    assert (world.lost, world.harmed) == (0, 0)


async def test_dead_candidate_is_turned_back_at_the_cost_of_its_budget() -> None:
    world = World(bad={V2: 1.0})
    await world.stable()
    await world.deploy(V2)
    status = await world.until(Phase.ABORTED)
    assert status.reason == "CheckFailed"
    assert world.served_bp(V2) == 0
    assert 0 < world.harmed <= 20
    assert world.lost == 0


async def test_candidate_without_traffic_is_held_at_the_deadline() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2)
    status = await world.until(Phase.PAUSED, rps=0)
    assert status.reason == "DeadlineExceeded"
    assert status.verdict is not None
    assert status.verdict.kind is VerdictKind.INCONCLUSIVE


# --- measuring ---


async def test_counters_that_cannot_be_read_hold_and_are_named() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(5)

    def garbage() -> Mapping[str, tuple[Snapshot, ...]]:
        raise TransientError("router memory answers nonsense: (document): Invalid JSON")

    world.counters = garbage
    await world.seconds(3)
    status = world.status()
    assert status.phase is Phase.PAUSED
    assert status.reason == "CannotMeasure"
    assert any("answers nonsense" in problem for problem in status.problems)
    assert world.served_bp(V2) == 2_000

    world.counters = world.plane.snapshots
    await world.second()
    assert world.status().reason != "CannotMeasure"
    assert world.status().problems == ()


async def test_a_router_that_has_no_counters_for_a_release_holds_it() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2)
    await world.seconds(3)
    world.counters = lambda: {}
    status = await world.until(Phase.PAUSED, at_most_s=5)
    assert status.reason == "CannotMeasure"
    assert "no router reports counters" in status.problems[0]


async def test_counters_that_begin_again_with_the_router_are_no_negative_traffic() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2)
    await world.seconds(4)
    world.plane.restart()
    status = await world.until(Phase.HEALTHY)
    assert status.stable == V2


# --- acting ---


async def test_refused_routing_is_named_and_the_old_one_goes_on() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    world.plane.refuse_next = "unknown cluster"
    served = []
    for _ in range(4):
        await world.second()
        served.append((world.served_bp(V1), world.status().problems))
    assert any("unknown cluster" in text for _, problems in served for text in problems)
    assert world.lost == 0
    await world.seconds(3)
    assert world.status().problems == ()
    assert world.served_bp(V2) == 2_000


async def test_router_out_of_reach_is_named_and_the_weight_follows_when_it_is_back() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(3)
    world.plane.reachable = False
    await world.verb("abort")
    assert world.status().problems
    assert world.status().acknowledged < world.status().generation
    world.plane.reachable = True
    await world.second()
    assert world.served_bp(V2) == 0
    assert world.status().problems == ()


async def test_candidate_that_the_platform_cannot_run_is_named_and_turned_back() -> None:
    world = World()
    await world.stable()
    world.platform.ready_after(V2, None)
    await world.deploy(V2)
    status = await world.until(Phase.ABORTED)
    assert status.reason == "ProgressDeadlineExceeded"
    assert "readiness probe: no answer yet" in status.decisions[-1].message
    assert world.served_bp(V1) == 10_000


async def test_nothing_is_done_before_it_is_written_down() -> None:
    world = World()
    await world.stable()
    done: list[str] = []
    checkpoint, apply, scale = world.journal.checkpoint, world.plane.apply, world.platform.scale

    async def checkpointed(release: str, record: Mapping[str, Any]) -> None:
        done.append(f"checkpoint {record['state']['generation']}")
        await checkpoint(release, record)

    async def applied(fragment: Fragment) -> None:
        done.append(f"apply {fragment.routing.generation}")
        await apply(fragment)

    async def scaled(workload: Workload, replicas: int) -> None:
        done.append(f"scale {workload.revision}")
        await scale(workload, replicas)

    world.journal.checkpoint = checkpointed  # type: ignore[method-assign]
    world.plane.apply = applied  # type: ignore[method-assign]
    world.platform.scale = scaled  # type: ignore[method-assign]
    await world.deploy(V2, BY_HAND)
    assert done[0].startswith("checkpoint")
    assert "scale v2" in done
    await world.seconds(4)
    for generation in {item for item in done if item.startswith("apply")}:
        number = generation.split()[1]
        assert done.index(f"checkpoint {number}") < done.index(generation)


async def test_state_that_cannot_be_written_holds_growth_but_never_an_abort() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(4)
    assert world.served_bp(V2) == 2_000
    world.journal.fault = "cannot write taxi.json: No space left on device"
    world.bad[V2] = 1.0
    await world.seconds(2)
    assert world.served_bp(V2) == 0
    assert any("No space left" in problem for problem in world.status().problems)
    world.journal.fault = None
    await world.second()
    assert world.status().problems == ()
    assert (await world.journal.load())[NAME]["state"]["mode"] == "aborted"


async def test_weight_does_not_grow_while_state_cannot_be_written() -> None:
    world = World()
    await world.stable()
    world.journal.fault = "cannot write taxi.json: No space left on device"
    await world.deploy(V2, BY_HAND)
    await world.seconds(5)
    assert world.served_bp(V1) == 10_000
    assert any("No space left" in problem for problem in world.status().problems)


# --- verbs ---


async def test_deploying_the_same_again_changes_nothing() -> None:
    world = World()
    await world.stable()
    assert await world.deploy(V2, BY_HAND)
    await world.seconds(3)
    before = world.status()
    assert not await world.deploy(V2, BY_HAND)
    after = world.status()
    assert (after.pass_number, after.weight_bp, after.generation) == (
        before.pass_number,
        before.weight_bp,
        before.generation,
    )


async def test_verb_that_makes_no_sense_is_refused_and_changes_nothing() -> None:
    world = World()
    await world.stable()
    before = world.status()
    with pytest.raises(RefusedError, match="no pass is running"):
        await world.verb("pause")
    assert world.status().generation == before.generation


async def test_deleted_release_leaves_nothing_but_its_history() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(3)
    await world.loop.delete(NAME, by="kay")
    await world.clock.advance(1.0)
    await world.loop.turn(poll=True)
    with pytest.raises(UnknownRelease):
        world.status()
    assert await world.platform.observe(NAME) == []
    assert await world.plane.acks() == []
    assert await world.journal.load() == {}
    assert [item.kind for item in await world.loop.history(NAME)][-1] == "Deleted"


@pytest.mark.parametrize("answers", [True, False], ids=["renewed", "not-renewed"])
async def test_release_that_goes_while_its_lease_is_renewed_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(3)

    async def gone_meanwhile(releases: object) -> None:
        del world.loop.releases[NAME]
        if not answers:
            raise TransientError("no agent")

    monkeypatch.setattr(world.plane, "renew", gone_meanwhile)
    await world.loop.turn(poll=True)
    assert world.loop.statuses() == []


async def test_release_can_be_deployed_anew_after_it_was_deleted() -> None:
    world = World()
    await world.stable()
    await world.loop.delete(NAME, by="")
    await world.loop.turn(poll=True)
    await world.stable()
    assert world.status().stable == V1


async def test_broken_release_does_not_stop_another() -> None:
    world = World(bad={V2: 1.0})
    await world.stable()
    other = plan(release="tip")
    await world.deploy(V1, other)
    observe = world.platform.observe

    async def broken(release: str) -> Any:
        if release == "tip":
            raise RuntimeError("a bug")
        return await observe(release)

    world.platform.observe = broken  # type: ignore[method-assign]
    await world.deploy(V2)
    with capture_logs() as logs:
        await world.until(Phase.ABORTED)
    assert {"release.turn_failed", "release.decided"} <= {line["event"] for line in logs}
    assert "a bug" in world.status("tip").problems[0]


async def test_newer_candidate_takes_over_in_mid_pass() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2, BY_HAND)
    await world.seconds(3)
    await world.deploy(V3, BY_HAND)
    await world.seconds(3)
    assert world.status().candidate == V3
    assert world.served_bp(RevisionId("v3")) == 2_000
    assert world.lost == 0


async def test_polls_that_judged_are_kept_for_replay() -> None:
    world = World(bad={V2: 1.0})
    await world.stable()
    await world.deploy(V2)
    await world.until(Phase.ABORTED)
    polls = await world.loop.polls(NAME)
    assert polls[-1]["verdict"]["kind"] == "failed"  # type: ignore[index]
    assert all(entry["snapshots"] for entry in polls)


async def test_turn_that_comes_after_the_delete_leaves_a_new_release_of_that_name_alone() -> None:
    world = World()
    await world.stable()
    fresh: list[bool] = []

    async def deleted_and_deployed() -> None:
        # Runs between the begin of the turn and its look at the release.
        await world.loop.delete(NAME, by="")
        fresh.append(await world.deploy(V3))

    with capture_logs() as logs:
        await asyncio.gather(world.loop.turn(poll=True), deleted_and_deployed())
    assert fresh == [True]
    assert "release.turn_failed" not in {line["event"] for line in logs}
    await world.seconds(4)
    assert world.status().stable == V3


async def test_deploy_that_waited_for_a_delete_is_a_new_release() -> None:
    world = World()
    await world.stable()
    tracked = world.loop.releases[NAME]
    async with tracked.lock:
        deleting = asyncio.create_task(world.loop.delete(NAME, by=""))
        deploying = asyncio.create_task(world.deploy(V3))
        await asyncio.sleep(0)
    await asyncio.gather(deleting, deploying)
    await world.seconds(4)
    assert world.status().stable == V3


async def test_verb_that_waited_for_a_delete_finds_no_release() -> None:
    world = World()
    await world.stable()
    tracked = world.loop.releases[NAME]
    async with tracked.lock:
        deleting = asyncio.create_task(world.loop.delete(NAME, by=""))
        aborting = asyncio.create_task(world.verb("abort"))
        await asyncio.sleep(0)
    await deleting
    with pytest.raises(UnknownRelease):
        await aborting


# --- routers that come and go ---


async def test_a_new_router_is_told_what_the_others_serve_already() -> None:
    routers = {"a"}
    world = World(routers=lambda: frozenset(routers))
    await world.stable()
    pushes: list[int] = []
    apply = world.plane.apply

    async def counted(fragment: Fragment) -> None:
        pushes.append(fragment.routing.generation)
        await apply(fragment)

    world.plane.apply = counted  # type: ignore[method-assign]  # seen, then done
    await world.seconds(3)
    assert pushes == []
    routers.add("b")
    await world.seconds(3)
    assert pushes == [world.status().generation]
