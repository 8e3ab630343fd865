"""Whole A/B tests in memory: users come, outcomes arrive, the release moves."""

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.runtime.world import NAME, SETTINGS, V1, V2, V3, World

from sluice.dataplanes.assignment import revision_for
from sluice.engine.plan import ArmSpec, Exit, Fixed, Plan, Rung, Stage
from sluice.errors import Fault, SpecError, TransientError
from sluice.nouns import Goal, GoalRules, OutcomePage, OutcomeRow, Phase, VerdictKind, Workload
from sluice.outcomes.memory import MemoryOutcomes
from sluice.runtime.abtest import AbTest
from sluice.runtime.loop import Loop

RULES = GoalRules(goals=(Goal(name="bought", kind="binary"),), outcomes="memory")


def ab_plan(rules: GoalRules = RULES, weight_bp: int = 5_000) -> Plan:
    rung = Rung(
        name="abTest",
        weight=Fixed(weight_bp=weight_bp),
        checks=("slo", "regression"),
        exit=Exit(passed=True, baked=False),
        goals=rules,
    )
    stage = Stage(strategy="abTest", rungs=(rung,), deadline_ms=None, lease=False)
    return Plan(
        release=NAME,
        replicas=2,
        hosts=(NAME,),
        stages=(stage,),
        sticky_header="x-user-id",
        min_bake_ms=5_000,
        keep_warm_ms=60_000,
    )


@dataclass
class Breaking(MemoryOutcomes):
    """A source that fails as told."""

    error: Exception | None = None
    closed: int = 0
    reads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        self.reads.append(cursor)
        if self.error is not None:
            raise self.error
        return await super().read(cursor, until=until)

    async def close(self) -> None:
        self.closed += 1


class AbWorld(World):
    """A world whose users come back with outcomes."""

    def __post_init__(self) -> None:
        self.source = Breaking()
        self.users = 0
        self.judge = AbTest(lambda where: self.source, every_ms=1_000)
        super().__post_init__()

    def _controller(self) -> Loop:
        self.judge = AbTest(lambda where: self.source, every_ms=1_000)
        loop = super()._controller()
        loop._judges = (self.judge,)
        return loop

    def come(self, count: int, *, v1: float, v2: float, v3: float = 0.0, lost: float = 0.0) -> None:
        """New users; each buys with the chance that the revision he gets gives him."""
        core = self.loop.releases[NAME].core
        routing = core.state.routing
        assert routing is not None
        for _ in range(count):
            self.users += 1
            user = f"user-{self.users}"
            revision = revision_for(user, routing)
            if revision == V2 and self.random.random() < lost:
                continue
            bought = self.random.random() < {V1: v1, V2: v2, V3: v3}[revision]
            now = self.clock.now_ms()
            self.source.add(
                OutcomeRow(user=user, revision=revision, at_ms=now, value=float(bought))
            )

    async def test(self, plan: Plan | None = None) -> None:
        """V2 stands in its test."""
        plan = plan or ab_plan()
        await self.stable(plan)
        await self.deploy(V2, plan)
        await self.seconds(5)
        assert self.status().phase is Phase.PROGRESSING

    async def day(self, users: int = 400, **rates: float) -> None:
        self.come(users, **rates)
        await self.second()


async def until_decided(world: AbWorld, *, most: int = 60, **rates: float) -> None:
    for _ in range(most):
        await world.day(**rates)
        if world.status().phase is not Phase.PROGRESSING:
            return
    raise AssertionError(world.status().verdict)


async def test_a_variant_that_sells_more_is_promoted_in_one_change() -> None:
    world = AbWorld(seed=3)
    await world.test()
    await until_decided(world, v1=0.05, v2=0.10)
    status = world.status()
    assert status.stable == V2
    assert world.served_bp(V2) == 10_000
    promoted = [item for item in status.decisions if item.kind == "Promoted"][-1]
    assert promoted.verdict is not None
    assert promoted.verdict.winner == "candidate"
    assert "candidate wins" in promoted.verdict.reason
    assert {check.check for check in promoted.verdict.checks} >= {"srm", "goal", "slo"}


async def test_a_variant_that_sells_less_is_turned_back() -> None:
    world = AbWorld(seed=5)
    await world.test()
    await until_decided(world, v1=0.10, v2=0.05)
    status = world.status()
    assert (status.phase, status.stable, status.reason) == (Phase.ABORTED, V1, "ControlWon")
    assert world.served_bp(V2) == 0
    assert "stable wins" in status.message


async def test_equal_variants_stay_in_their_test() -> None:
    world = AbWorld(seed=7)
    await world.test()
    for _ in range(30):
        await world.day(v1=0.05, v2=0.05)
    status = world.status()
    assert status.phase is Phase.PROGRESSING
    assert status.verdict is not None
    assert status.verdict.reason.startswith("undecided")


async def test_a_candidate_that_fails_is_turned_back_however_much_it_sells() -> None:
    world = AbWorld(seed=11, bad={V2: 0.5})
    await world.test(ab_plan(weight_bp=100))
    world.come(4_000, v1=0.01, v2=0.9)
    await world.seconds(60)
    status = world.status()
    assert status.phase is Phase.ABORTED
    assert status.reason == "CheckFailed"


async def test_users_that_get_lost_on_one_arm_hold_the_release() -> None:
    world = AbWorld(seed=13)
    await world.test()
    for _ in range(12):
        await world.day(v1=0.05, v2=0.05, lost=0.3)
        if world.status().phase is Phase.PAUSED:
            break
    status = world.status()
    assert status.reason == "MeasurementInvalid"
    assert "users do not fall on the arms as planned" in status.message


async def test_outcomes_that_cannot_be_read_hold_until_they_can() -> None:
    world = AbWorld(seed=17)
    await world.test()
    world.source.error = TransientError("sales.csv: cannot be read: gone")
    await world.day(v1=0.05, v2=0.05)
    held = world.status()
    assert (held.phase, held.reason) == (Phase.PAUSED, "CannotMeasure")
    assert "sales.csv" in held.message
    world.source.error = None
    await world.day(v1=0.05, v2=0.05)
    assert world.status().phase is Phase.PROGRESSING


async def test_users_are_guarded_while_outcomes_cannot_be_read() -> None:
    world = AbWorld(seed=19)
    await world.test(ab_plan(weight_bp=100))
    world.source.error = SpecError([Fault(path="outcome", reason="not a number")])
    await world.seconds(2)
    assert world.status().reason == "CannotMeasure"
    world.bad[V2] = 1.0
    await world.seconds(30)
    assert world.status().phase is Phase.ABORTED


async def test_bad_rows_are_named_but_not_all_of_a_thousand() -> None:
    world = AbWorld(seed=19)
    await world.test()
    world.source.add(*(OutcomeRow(user=str(i), value=7.0) for i in range(1_000)))
    await world.second()
    message = world.status().message
    assert "outcome of user 0: goal bought is yes or no: 1 or 0, not 7" in message
    assert "(and 995 more)" in message


@pytest.mark.parametrize(
    ("on_horizon", "phase", "stable"),
    [("abort", Phase.ABORTED, V1), ("promote", Phase.HEALTHY, V2), ("hold", Phase.PAUSED, V1)],
)
async def test_the_horizon_ends_an_undecided_test_as_asked(
    on_horizon: str, phase: Phase, stable: str
) -> None:
    rules = replace(RULES, horizon_users=2_000, on_horizon=on_horizon)  # type: ignore[arg-type]
    world = AbWorld(seed=23)
    await world.test(ab_plan(rules))
    for _ in range(6):
        await world.day(v1=0.05, v2=0.05)
    status = world.status()
    assert (status.phase, status.stable) == (phase, stable)


async def test_a_controller_that_dies_goes_on_with_what_it_knew() -> None:
    """The same users, with and without a crash in the middle, give the same evidence."""
    found = []
    for crash in (False, True):
        world = AbWorld(seed=29)
        await world.test()
        for day in range(8):
            await world.day(v1=0.05, v2=0.055)
            if crash and day == 3:
                await world.seconds(12)  # a checkpoint is written at least every ten
                await world.crash()
            elif day == 3:
                await world.seconds(12)
        # Known users come again, with another outcome: they are not counted twice.
        for row in world.source.rows[:50]:
            world.source.add(replace(row, value=1.0, at_ms=world.clock.now_ms()))
        await world.second()
        kept = world.loop.releases[NAME].core.apart["abtest"]
        found.append((kept["state"]["users"], kept["state"]["goals"]))
    assert found[0] == found[1]
    assert sum(found[0][0]) == 3_200


async def test_what_is_written_down_stays_small() -> None:
    goals = tuple(
        Goal(name=f"goal-{i}", kind="continuous", covariate="age", cap=50.0) for i in range(5)
    )
    world = AbWorld(seed=31)
    await world.test(ab_plan(replace(RULES, goals=goals)))
    for index in range(3_000):
        for goal in goals:
            value = random.Random(f"{index}{goal.name}").expovariate(0.3)
            world.source.add(
                OutcomeRow(
                    user=str(index), goal=goal.name, value=value, covariates=(("age", value),)
                )
            )
    kept: dict[str, Any] = {}
    for _ in range(100):
        # A thread takes the rows: on a busy machine it may need more turns than one.
        await world.seconds(5)
        kept = world.loop.releases[NAME].core.apart["abtest"]
        if kept["state"]["users"] != [0, 0]:
            break
    assert kept["state"]["users"] != [0, 0]
    assert len(json.dumps(kept)) < 8_192


async def test_the_source_is_let_go_when_the_test_is_over() -> None:
    world = AbWorld(seed=37)
    await world.test()
    await world.verb("abort")
    await world.seconds(2)
    assert world.source.closed == 1
    assert not world.judge._tests


async def test_a_source_is_read_no_more_often_than_needed() -> None:
    world = AbWorld(seed=41)
    await world.test()
    world.judge._every_ms = 5_000
    before = len(world.source.reads)
    await world.seconds(10)
    assert len(world.source.reads) - before == 2


async def test_a_test_without_sticky_users_is_said_not_judged() -> None:
    world = AbWorld(seed=43)
    plan = replace(ab_plan(), sticky_header=None)
    await world.stable(plan)
    await world.deploy(V2, plan)
    await world.seconds(5)
    status = world.status()
    assert status.verdict is not None
    assert status.verdict.kind is VerdictKind.ERROR
    assert "users are not sticky" in status.verdict.reason


async def test_of_three_arms_the_winner_is_promoted_whichever_it_is() -> None:
    rung = replace(
        ab_plan().stages[0].rungs[0],
        weight=Fixed(weight_bp=6_000),
        arms=(ArmSpec(share=3_000), ArmSpec(variant="b", share=3_000)),
    )
    what = ab_plan()
    what = replace(what, stages=(replace(what.stages[0], rungs=(rung,)),))
    world = AbWorld(seed=47)
    await world.stable(what)
    variant = Workload(release=NAME, revision=V3, template={})
    candidate = Workload(release=NAME, revision=V2, template={})
    await world.loop.deploy(candidate, what, SETTINGS, variants=(("b", variant),))
    await world.seconds(6)
    for _ in range(40):
        world.come(600, v1=0.05, v2=0.05, v3=0.12)
        await world.second()
        if world.status().phase is not Phase.PROGRESSING:
            break
    status = world.status()
    assert status.stable == V3
    assert world.served_bp(V3) == 10_000
    promoted = [item for item in status.decisions if item.kind == "Promoted"][-1]
    assert promoted.verdict is not None
    assert promoted.verdict.winner == "b"
