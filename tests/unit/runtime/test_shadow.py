"""A shadow rung in the whole loop: pairs of answers decide, and survive the controller."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson
import pytest
from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, World, plan

from sluice.analysis.shadow import CHECK
from sluice.engine.plan import ArmSpec, Exit, Fixed, Plan, Rung, Stage
from sluice.errors import TransientError
from sluice.nouns import (
    Answer,
    FieldRule,
    Pair,
    PairBatch,
    Phase,
    Purpose,
    ShadowRules,
    Verdict,
    VerdictKind,
)
from sluice.runtime.shadow import WORST_KEPT, memory_of
from sluice.runtime.simulate import Scenario, one_run

RULES = ShadowRules(pairs=400, compare=(FieldRule(field="fare", atol=0.5),), max_disagreement=0.02)
Said = Callable[[int], dict[str, object]]


def shadow_plan(rules: ShadowRules = RULES) -> Plan:
    rung = Rung(
        name="mirror 100%",
        weight=Fixed(weight_bp=0),
        arms=(ArmSpec(purpose=Purpose.MIRROR, mirror_bp=10_000),),
        checks=("slo", CHECK),
        exit=Exit(passed=True, baked=False),
        shadow=rules,
    )
    canary = plan()
    stage = Stage(strategy="shadow", rungs=(rung,), deadline_ms=600_000)
    return replace(canary, stages=(stage, *canary.stages))


def answer(document: object, status: int = 200) -> Answer:
    body = orjson.dumps(document)
    return Answer(status=status, duration_us=900, media_type="application/json", body=body)


def pair(number: int, shadow: Answer, again: Answer | None = None) -> Pair:
    primary = answer({"fare": 10.0, "id": f"a{number}"})
    return Pair(
        request_id=f"r{number}",
        stable=V1,
        candidate=V2,
        primary=primary,
        shadow=shadow,
        again=again,
    )


async def begun(rules: ShadowRules = RULES) -> World:
    """V2 stands on the shadow rung, and the judge has its cursor."""
    world = World()
    await world.stable(shadow_plan(rules))
    await world.deploy(V2, shadow_plan(rules))
    await world.seconds(4)
    status = world.status()
    assert (status.phase, status.rungs[0].state) == (Phase.PROGRESSING, "active")
    return world


async def seconds(world: World, count: int, said: Said, *, per_s: int = 100) -> Verdict:
    """Requests go by; every one is mirrored."""
    for _ in range(count):
        for _ in range(per_s):
            number = world.random.randrange(1 << 30)
            world.pairs.add(NAME, pair(number, answer(said(number))))
        await world.second()
    verdict = world.status().verdict
    assert verdict is not None
    return verdict


def same(number: int) -> dict[str, object]:
    return {"fare": 10.4, "id": f"b{number}"}


def often_wrong(number: int) -> dict[str, object]:
    return {"fare": 10.0 + number % 97} if number % 5 == 0 else same(number)


async def test_the_routing_captures_on_a_shadow_rung_and_nowhere_else() -> None:
    world = await begun(replace(RULES, noise_bp=500))
    state = world.loop.releases[NAME].core.state
    assert state.routing is not None
    assert state.routing.capture is not None
    assert state.routing.capture.noise_bp == 500
    await world.verb("abort")
    await world.seconds(2)
    state = world.loop.releases[NAME].core.state
    assert state.routing is not None
    assert state.routing.capture is None


async def test_enough_pairs_that_agree_end_the_stage_and_no_more() -> None:
    world = await begun()
    verdict = await seconds(world, 3, same)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "300 of 400 pairs judged" in verdict.reason
    assert "when 400 pairs of answers are judged" in world.status().next
    await seconds(world, 1, same)
    status = world.status()
    assert [rung.state for rung in status.rungs][:2] == ["done", "active"]
    assert status.stable == V1


async def test_a_candidate_that_answers_otherwise_is_turned_back_with_the_worst() -> None:
    world = await begun()
    verdict = await seconds(world, 1, often_wrong, per_s=200)
    assert world.status().phase is Phase.ABORTED
    assert verdict.kind is VerdictKind.FAILED
    assert "in fare" in verdict.reason
    worst = verdict.differences
    assert len(worst) == WORST_KEPT
    assert {item.field for item in worst} == {"fare"}
    distances = [item.distance or 0.0 for item in worst]
    assert distances == sorted(distances, reverse=True)
    assert world.harmed == 0


async def test_a_controller_that_dies_judges_every_pair_once() -> None:
    """What came after the last checkpoint is read again, and was not judged then."""
    world = await begun()
    await seconds(world, 12, same, per_s=10)
    await world.crash()
    await seconds(world, 12, same, per_s=10)
    await world.crash()
    verdict = await seconds(world, 1, same, per_s=10)
    assert "250 of 400 pairs judged" in verdict.reason


async def test_other_rules_judge_anew_and_the_next_rung_with_the_same_goes_on() -> None:
    world = await begun()
    await seconds(world, 1, same)
    core = world.loop.releases[NAME].core
    stage = core.state.at_stage
    again = replace(stage.rungs[0], name="promote", exit=Exit(person=True))
    for rules, wanted in ((RULES, 200), (replace(RULES, pairs=500), 100)):
        rungs = (stage.rungs[0], replace(again, shadow=rules))
        plan = core.state.plan
        assert plan is not None
        stages = (replace(stage, rungs=rungs), *plan.stages[1:])
        core.state = replace(core.state, plan=replace(plan, stages=stages), rung=1)
        verdict = await seconds(world, 1, same)
        assert f"{wanted} of {rules.pairs} pairs judged" in verdict.reason


async def test_pairs_of_other_revisions_are_not_judged() -> None:
    world = await begun()
    for number in range(50):
        world.pairs.add(NAME, replace(pair(number, answer({"fare": 99})), stable=V2, candidate=V1))
    verdict = await seconds(world, 1, same)
    assert "100 of 400 pairs judged" in verdict.reason


async def test_a_new_pass_forgets_the_pairs_of_the_old_one() -> None:
    world = await begun()
    await seconds(world, 2, same)
    await world.verb("abort")
    await world.verb("retry")
    await world.seconds(4)
    core = world.loop.releases[NAME].core
    memory = memory_of(core)
    assert memory is not None
    assert memory.state.whole.pairs == 0


async def test_with_noise_only_pairs_that_stable_answered_twice_are_judged() -> None:
    world = await begun(replace(RULES, noise_bp=1_000))
    for number in range(100):
        # Both answers of stable differ as often as the candidate does: nothing is proven.
        noisy = answer({"fare": 20.0 if number % 3 == 0 else 10.0})
        other = answer({"fare": 20.0 if number % 3 == 1 else 10.0})
        world.pairs.add(NAME, pair(number, other, noisy))
        world.pairs.add(NAME, pair(number + 1_000, answer({"fare": 99.0})))
    verdict = await seconds(world, 1, same, per_s=0)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "candidate differs in 33% (stable from itself in 34%)" in verdict.reason
    assert "100 that stable answered once" in verdict.reason


@pytest.mark.parametrize(
    ("shadow", "kind", "said"),
    [
        pytest.param(answer({"fare": 10}, 500), VerdictKind.FAILED, "(status)", id="failed"),
        pytest.param(
            replace(answer({}), body=b"<html>"), VerdictKind.FAILED, "(body)", id="no-json"
        ),
        pytest.param(
            replace(answer({}), body=b"", cut=True),
            VerdictKind.INCONCLUSIVE,
            "not comparable (longer than the router keeps)",
            id="cut",
        ),
    ],
)
async def test_answers_without_fields(shadow: Answer, kind: VerdictKind, said: str) -> None:
    world = await begun()
    for number in range(60):
        world.pairs.add(NAME, pair(number, shadow))
    verdict = await seconds(world, 1, same, per_s=0)
    assert verdict.kind is kind
    assert said in verdict.reason


async def test_a_failure_of_stable_is_not_held_against_the_candidate() -> None:
    world = await begun()
    failed = answer({"error": "x"}, 503)
    for number in range(60):
        world.pairs.add(NAME, replace(pair(number, answer({"fare": 10})), primary=failed))
    verdict = await seconds(world, 1, same, per_s=0)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "60 not comparable (stable answered 503)" in verdict.reason


async def test_the_same_refusal_by_both_is_agreement() -> None:
    world = await begun()
    for number in range(60):
        refused = answer({"error": str(number)}, 422)
        world.pairs.add(NAME, replace(pair(number, answer({"error": 1}, 422)), primary=refused))
    verdict = await seconds(world, 1, same, per_s=0)
    assert "60 of 400 pairs judged: candidate differs in 0%" in verdict.reason


class Unreadable:
    async def read(self, release: str, after: Mapping[str, str]) -> PairBatch:
        raise TransientError("no pairs: router-0 cannot be reached")


async def test_pairs_that_cannot_be_read_hold_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await begun()
    monkeypatch.setattr(world.pairs, "read", Unreadable().read)
    verdict = await seconds(world, 1, same)
    assert verdict.kind is VerdictKind.ERROR
    assert "no pairs" in verdict.reason
    monkeypatch.undo()
    assert (await seconds(world, 1, same)).kind is not VerdictKind.ERROR


async def test_what_is_remembered_is_bounded() -> None:
    world = await begun(replace(RULES, pairs=10**6, compare=(), max_disagreement=0.99))
    wide = {f"f{number}": "x" * 500 for number in range(200)}
    for number in range(300):
        world.pairs.add(NAME, pair(number, answer(wide | {"n": number})))
    await seconds(world, 1, same, per_s=0)
    record = world.loop.releases[NAME].core.apart["shadow"]
    assert len(orjson.dumps(record)) < 16_000
    assert math.isfinite(record["state"]["peak"])


@pytest.mark.parametrize(
    ("bad", "outcome"), [pytest.param(0.0, "promoted", id="good"), (0.5, "aborted")]
)
def test_a_plan_with_a_shadow_is_simulated_with_its_pairs(bad: float, outcome: str) -> None:
    scenario = Scenario(
        plan=shadow_plan(),
        settings=SETTINGS,
        stable_bad={},
        candidate_bad={"availability": bad},
        rps=100,
    )
    run = one_run(scenario, seed=3)
    assert run.outcome == outcome
    assert run.harmed == 0
