"""What the runtime tells the analysis, what it does for it, and how it is judged again."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, World, plan

from sluice.engine.canary import Pause, SetWeight
from sluice.engine.plan import ArmSpec, Exit, Fixed, Plan, Rung, Stage
from sluice.errors import StateError, UnknownRelease
from sluice.nouns import Difference, Match, Phase, Purpose, ShadowRules, Verdict, VerdictKind
from sluice.runtime.checkpoint import from_record, to_record
from sluice.runtime.core import Core
from sluice.runtime.replay import Replay, replay

STEPS = plan(SetWeight(weight_bp=2_000), Pause(duration_ms=30_000))


def core_of(world: World) -> Core:
    return world.loop.releases[NAME].core


def sick_traffic(world: World, endpoint: str, requests: int = 100) -> None:
    """One endpoint answers badly, whoever else there is."""
    for _ in range(requests):
        try:
            pick = world.plane.pick(NAME, rng=world.random)
        except UnknownRelease:
            return
        assert pick.endpoint is not None
        world.plane.record(NAME, pick, status=500 if pick.endpoint.name == endpoint else 200)


async def second(world: World, endpoint: str) -> None:
    sick_traffic(world, endpoint)
    await world.clock.advance(1.0)
    await world.loop.turn(poll=True)


async def test_a_sick_pod_is_replaced_and_the_version_goes_on() -> None:
    world = World()
    await world.stable(STEPS)
    await world.deploy(V2, STEPS)
    await world.seconds(3)
    sick = "taxi-v2-0"
    for _ in range(20):
        await second(world, sick)
    assert world.status().phase is Phase.PROGRESSING
    replicas = {item.revision: item for item in await world.platform.observe(NAME)}
    names = {endpoint.name for endpoint in replicas[V2].ready}
    assert len(names) == 2
    assert sick not in names
    (decision,) = [d for d in await world.loop.history(NAME) if d.kind == "PodReplaced"]
    assert "replace the pod taxi-v2-0" in decision.message
    assert decision.verdict is not None
    assert decision.verdict.sick == sick


async def test_a_bad_version_has_no_pod_replaced() -> None:
    world = World()
    await world.stable(STEPS)
    world.bad[V2] = 0.5
    await world.deploy(V2, STEPS)
    await world.until(Phase.ABORTED)
    assert not [d for d in await world.loop.history(NAME) if d.kind == "PodReplaced"]


# --- what a rung is judged by ---


def rung(purpose: Purpose, weight_bp: int = 0) -> Rung:
    chosen = Match(header="x-staff", value="1") if purpose is not Purpose.MIRROR else None
    return Rung(
        name=purpose,
        weight=Fixed(weight_bp=weight_bp),
        arms=(ArmSpec(purpose=purpose, match=chosen, mirror_bp=1_000),),
        checks=("slo",),
        exit=Exit(person=True),
        shadow=ShadowRules(pairs=10) if purpose is Purpose.MIRROR else None,
    )


def plan_of(*rungs: Rung) -> Plan:
    stage = Stage(strategy="canary", rungs=rungs, deadline_ms=None)
    return replace(STEPS, stages=(stage, *STEPS.stages))


@pytest.mark.parametrize("purpose", [Purpose.MIRROR, Purpose.PREVIEW, Purpose.FORCED])
async def test_a_rung_without_live_requests_is_judged_by_its_own(purpose: Purpose) -> None:
    world = World()
    what = plan_of(rung(purpose))
    await world.stable(what)
    await world.deploy(V2, what)
    await world.seconds(5)
    judged = core_of(world).judged
    assert judged is not None
    assert judged.poll.purpose is purpose
    await world.verb("promote")
    await world.seconds(3)
    judged = core_of(world).judged
    assert judged is not None
    assert judged.poll.purpose is Purpose.LIVE


async def test_shares_are_those_that_every_router_serves() -> None:
    world = World()
    await world.stable(STEPS)
    await world.deploy(V2, STEPS)
    await world.seconds(5)
    judged = core_of(world).judged
    assert judged is not None
    assert judged.poll.split is not None
    assert judged.poll.split.shares == ((V2, 2_000), (V1, 8_000))
    sticky = replace(STEPS, sticky_header="x-user-id")
    other = World()
    await other.stable(sticky)
    await other.deploy(V2, sticky)
    await other.seconds(5)
    judged = core_of(other).judged
    assert judged is not None
    assert judged.poll.split is None


async def test_a_router_that_keeps_to_no_weight_holds_the_release() -> None:
    world = World()
    await world.stable(STEPS)
    await world.deploy(V2, STEPS)
    await world.seconds(5)
    true = world.counters

    def doubled() -> Any:
        found = copy.deepcopy(dict(true()))
        (snapshot,) = found[NAME]
        arms = tuple(
            replace(arm, counts=replace(arm.counts, total=3 * arm.counts.total))
            if arm.revision == V2
            else arm
            for arm in snapshot.arms
        )
        return {NAME: (replace(snapshot, arms=arms),)}

    world.counters = doubled
    await world.seconds(20)
    status = world.status()
    assert (status.phase, status.reason) == (Phase.PAUSED, "MeasurementInvalid")
    assert status.verdict is not None
    assert status.verdict.kind is VerdictKind.INVALID


# --- judged again ---


async def judged_pass(bad: float = 0.0, crash_at: int | None = None) -> World:
    world = World()
    await world.stable(STEPS)
    world.bad[V2] = bad
    await world.deploy(V2, STEPS)
    for k in range(25):
        if k == crash_at:
            await world.crash()
        await world.second()
    return world


async def replayed(world: World, change: Callable[[list[Any]], None] = lambda _: None) -> Replay:
    number = core_of(world).analysis_pass
    entries = json.loads(json.dumps(await world.loop.kept(NAME, number)))
    change(entries)
    return replay(number, entries, await world.loop.history(NAME))


@pytest.mark.parametrize("crash_at", [None, 7, 16])
@pytest.mark.parametrize("bad", [0.0, 0.3])
async def test_every_verdict_is_recomputed_bit_for_bit(bad: float, crash_at: int | None) -> None:
    found = await replayed(await judged_pass(bad, crash_at))
    assert found.source == "polls"
    assert found.verdicts >= (3 if bad else 20)
    assert found.holds, found.mismatches


class Decider:
    """Says the same at every look, with a difference that the journal does without."""

    name = "said"

    async def look(self, core: Core, at_ms: int) -> Verdict | None:
        worst = Difference(request_id="r-1", field="duration", stable="1", candidate="2")
        return Verdict(
            kind=VerdictKind.INCONCLUSIVE,
            reason="7 of 10 pairs judged",
            taken_ms=at_ms,
            differences=(worst,),
        )


async def test_what_something_else_decided_is_taken_as_it_was_said() -> None:
    world = World()
    world.loop._judges = (Decider(),)
    await world.stable(STEPS)
    await world.deploy(V2, STEPS)
    await world.seconds(8)
    found = await replayed(world)
    assert (found.source, found.holds) == ("polls", True)


async def test_a_counter_that_was_changed_afterwards_is_found() -> None:
    def tamper(entries: list[Any]) -> None:
        for entry in entries:
            if entry["entry"] == "poll":
                for arm in entry["snapshots"][0]["arms"]:
                    if arm["revision"] == V2 and arm["counts"]["total"]:
                        arm["counts"]["errors"] += 1
                        return

    found = await replayed(await judged_pass(), tamper)
    assert not found.holds
    assert "evidence" in found.mismatches[0].kept


async def test_a_verdict_that_was_changed_afterwards_is_found() -> None:
    def tamper(entries: list[Any]) -> None:
        entries[-1]["verdict"]["kind"] = "failed"

    found = await replayed(await judged_pass(), tamper)
    assert [item.kept for item in found.mismatches] == ["kind: failed"]


async def test_without_polls_what_decisions_carry_is_recomputed_and_it_says_so() -> None:
    world = await judged_pass(0.3)
    decisions = await world.loop.history(NAME)
    found = replay(1, [], decisions)
    assert (found.source, found.holds) == ("decisions", True)
    assert found.verdicts >= 1
    assert found.gap == "the journal has no poll of it"
    last = next(d for d in reversed(decisions) if d.verdict and d.verdict.evidence)
    assert last.verdict is not None
    evidence = replace(last.verdict.evidence[0], high=0.5)
    forged = replace(last, verdict=replace(last.verdict, evidence=(evidence,)))
    assert not replay(1, [], [forged]).holds
    forged = replace(last, verdict=replace(last.verdict, log_e=last.verdict.log_e + 1.0))
    assert not replay(1, [], [forged]).holds


async def test_a_journal_that_lacks_a_poll_falls_back_to_decisions() -> None:
    def lose(entries: list[Any]) -> None:
        del entries[5]

    found = await replayed(await judged_pass(), lose)
    assert found.source == "decisions"
    assert found.gap.startswith("the journal lacks the poll before")

    def behead(entries: list[Any]) -> None:
        del entries[0]

    found = await replayed(await judged_pass(), behead)
    assert (found.source, found.gap) == ("decisions", "the journal lacks its beginning")


async def test_an_entry_of_another_version_is_refused() -> None:
    def age(entries: list[Any]) -> None:
        del entries[1]["poll"]

    with pytest.raises(StateError, match="a kept poll cannot be read"):
        await replayed(await judged_pass(), age)


async def test_the_level_of_shown_intervals_is_the_one_that_replay_knows() -> None:
    assert SETTINGS.delta == 0.01


async def test_what_was_judged_survives_a_checkpoint() -> None:
    world = await judged_pass()
    core = core_of(world)
    again = from_record(json.loads(json.dumps(to_record(core))))
    assert again.analysis == core.analysis
