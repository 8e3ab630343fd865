"""The loop runs every strategy on the memory platform: replicas, routing, counters, restarts."""

from dataclasses import replace

from tests.unit.engine.test_strategies_pass import RULES, switching
from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, World, plan

from sluice.engine.abtest import ab_test_stage
from sluice.engine.canary import SetWeight
from sluice.engine.plan import Plan
from sluice.engine.rolling import rolling_stage
from sluice.nouns import Phase, RevisionId, Workload

B = RevisionId("vb")


def workload(revision: RevisionId) -> Workload:
    return Workload(release=NAME, revision=revision, template={})


def rolling(replicas: int, surge: int, unavailable: int) -> Plan:
    stage = rolling_stage(
        replicas=replicas, surge=surge, unavailable=unavailable, deadline_ms=600_000
    )
    return Plan(
        release=NAME,
        replicas=replicas,
        hosts=(NAME,),
        stages=(stage,),
        surge=surge,
        unavailable=unavailable,
        min_bake_ms=5_000,
        progress_deadline_ms=30_000,
    )


async def test_a_rolling_update_goes_through_without_a_lost_request() -> None:
    for surge, unavailable in ((1, 0), (0, 1), (2, 1)):
        world = World()
        what = rolling(4, surge, unavailable)
        await world.stable(what)
        await world.deploy(V2, what)
        status = await world.until(Phase.HEALTHY)
        assert status.stable == V2
        assert world.lost == 0


async def test_a_failing_batch_goes_back_without_a_lost_request_over_a_crash() -> None:
    world = World(bad={V2: 1.0})
    what = rolling(4, 1, 0)
    await world.stable(what)
    await world.deploy(V2, what)
    await world.until(Phase.ABORTED)
    await world.crash()
    await world.seconds(30)
    assert world.served_bp(V2) == 0
    assert world.lost == 0


async def test_a_switch_that_fails_is_switched_back() -> None:
    world = World(bad={V2: 1.0})
    what = replace(switching(), release=NAME, hosts=(NAME,))
    await world.stable(what)
    await world.deploy(V2, what)
    status = await world.until(Phase.ABORTED)
    assert status.reason == "FailedAfterSwitch"
    assert status.stable == V1
    assert world.lost == 0


async def test_variants_run_and_survive_a_crash() -> None:
    stage = ab_test_stage(variants=(("candidate", 2_000), ("b", 2_000)), rules=RULES)
    what = Plan(release=NAME, replicas=2, hosts=(NAME,), stages=(stage,), sticky_header="x-user-id")
    world = World()
    await world.stable(what)
    await world.loop.deploy(workload(V2), what, SETTINGS, variants=[("b", workload(B))])
    await world.seconds(10)
    assert (world.served_bp(V2), world.served_bp(B)) == (2_000, 2_000)
    await world.crash()
    await world.seconds(5)
    assert (world.served_bp(V2), world.served_bp(B)) == (2_000, 2_000)
    again = await world.loop.deploy(workload(V2), what, SETTINGS, variants=[("b", workload(B))])
    assert not again, "the same spec changes nothing"


async def test_counters_alone_pass_no_test_and_no_shadow() -> None:
    world = World()
    stage = ab_test_stage(variants=(("candidate", 5_000),), rules=RULES)
    what = Plan(release=NAME, replicas=2, hosts=(NAME,), stages=(stage,), sticky_header="x-user-id")
    await world.stable(what)
    await world.deploy(V2, what)
    await world.seconds(60)
    status = world.status()
    assert status.phase is Phase.PROGRESSING
    assert status.verdict is not None
    assert status.verdict.reason == "nobody has looked at outcomes of this step yet"


async def test_what_is_said_of_one_stage_does_not_decide_the_next() -> None:
    world = World()
    canary = plan(SetWeight(weight_bp=2_000)).stages[0]
    test = ab_test_stage(variants=(("candidate", 5_000),), rules=RULES)
    what = replace(plan(), stages=(canary, test), sticky_header="x-user-id", min_bake_ms=0)
    await world.stable(what)
    await world.deploy(V2, what)
    await world.seconds(120)
    assert world.served_bp(V2) == 5_000
    assert world.status().phase is Phase.PROGRESSING
