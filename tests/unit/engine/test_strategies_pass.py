"""Blue/green, shadow, A/B test and their mixtures, as the machine lives them."""

from dataclasses import replace

from tests.unit.engine.driver import V1, V2, V3, Driver, canary, refusal, verdict, with_plan

from sluice.engine.abtest import ab_test_stage
from sluice.engine.bluegreen import blue_green_stage
from sluice.engine.canary import GateStep, HeaderOnly, SetWeight
from sluice.engine.canary import Pause as PauseStep
from sluice.engine.events import Abort, Approve, Deleted, Deployed, Judged, Pause, Promote, Undo
from sluice.engine.plan import Gate, OnInconclusive, Plan
from sluice.engine.rolling import rolling_stage
from sluice.engine.shadow import shadow_stage
from sluice.engine.state import Mode
from sluice.nouns import (
    BP_TOTAL,
    Ask,
    Goal,
    GoalRules,
    Match,
    Phase,
    Purpose,
    RevisionId,
    ShadowRules,
    VerdictKind,
)

B = RevisionId("vb")
MATCH = Match(header="x-preview", value="1")
HEALTH = Gate(name="http /health", ask=Ask(kind="http", url="/health"))
RULES = GoalRules(goals=(Goal(name="tip", kind="continuous"),), horizon_users=1_000)


def switching(*gates: Gate, **changes: object) -> Plan:
    stage = blue_green_stage(match=MATCH, hosts=("preview.taxi",), gates=gates, deadline_ms=600_000)
    return with_plan(stages=(stage,), watch=True, **changes)


def shadowing(*, last: bool = True, then: OnInconclusive = OnInconclusive.HOLD) -> Plan:
    stage = shadow_stage(
        percent_bp=1_000,
        rules=ShadowRules(pairs=100),
        last=last,
        deadline_ms=60_000,
        on_inconclusive=then,
    )
    rest = () if last else (canary(SetWeight(weight_bp=500)),)
    return with_plan(stages=(stage, *rest))


def ab_plan(*more: object) -> Plan:
    stage = ab_test_stage(
        variants=(("candidate", 2_500), ("b", 1_500)), rules=RULES, forced_header="x-ab"
    )
    return with_plan(stages=(stage, *more), sticky_header="x-user", min_bake_ms=0)


def at_test(plan: Plan) -> Driver:
    driver = Driver(plan).steady()
    driver.send(Deployed(at_ms=driver.state.at_ms, revision=V2, plan=plan, variants=(("b", B),)))
    driver.poll(times=2)
    return driver


def won(driver: Driver, winner: str) -> None:
    said = replace(verdict(VerdictKind.PASSED), winner=winner)
    state = driver.state
    driver.send(Judged(at_ms=state.at_ms, pass_number=state.pass_number, verdict=said))


def purposes(driver: Driver) -> set[tuple[RevisionId, Purpose]]:
    routing = driver.state.routing
    assert routing is not None
    return {(arm.revision, arm.purpose) for arm in routing.arms}


# --- blue/green ---


def test_preview_shows_the_whole_candidate_to_testers_only() -> None:
    driver = Driver(switching(Gate(name="go"))).running()
    driver.poll(times=2)
    assert driver.state.size_of(V2) == driver.plan.replicas
    assert driver.served == {V2: 0, V1: BP_TOTAL}
    assert (V2, Purpose.PREVIEW) in purposes(driver)
    assert driver.state.phase is Phase.PAUSED


def test_the_switch_is_one_routing_change_and_blue_stays_warm() -> None:
    driver = Driver(switching(Gate(name="go"))).running()
    driver.poll(times=2)
    before = driver.state.generation
    driver.send(Approve(at_ms=driver.state.at_ms, gate="go"))
    driver.observe()
    assert driver.state.generation == before + 1
    assert driver.served == {V1: 0, V2: BP_TOTAL}
    assert driver.state.size_of(V1) == driver.plan.replicas
    assert (V2, Purpose.PREVIEW) not in purposes(driver)


def test_a_failure_after_the_switch_and_undo_go_back_in_one_change() -> None:
    for undo in (False, True):
        driver = Driver(switching()).running()
        driver.poll(times=3)
        assert driver.state.stable == V2
        before = driver.state.generation
        if undo:
            driver.send(Undo(at_ms=driver.state.at_ms))
        else:
            driver.judge(VerdictKind.FAILED)
        assert driver.state.stable == V1
        assert driver.state.generation == before + 1
        assert driver.served[V1] == BP_TOTAL
        assert driver.state.mode is Mode.ABORTED


def test_checks_are_asked_one_after_the_other_and_the_deadline_runs_meanwhile() -> None:
    second = Gate(name="command smoke", ask=Ask(kind="command", command=("smoke",)))
    driver = Driver(switching(HEALTH, second)).running()
    driver.poll(times=2)
    assert [gate.name for gate in driver.state.open_gates] == ["http /health"]
    assert driver.state.phase is Phase.PROGRESSING, "nobody is waited for but a program"
    driver.send(Approve(at_ms=driver.state.at_ms, gate="http /health"))
    driver.poll(times=1)
    assert [gate.name for gate in driver.state.open_gates] == ["command smoke"]
    driver.poll(times=700)
    assert driver.state.reason == "DeadlineExceeded"


def test_questions_begin_when_routers_serve_the_preview() -> None:
    driver = Driver(switching(HEALTH)).steady()
    driver.deploy(V2)
    driver.observe()
    driver.observe()
    assert driver.state.at_rung.name == "preview", "no router has said that it serves it"
    driver.ack()
    driver.observe()
    assert driver.state.open_gates == (HEALTH,)


# --- shadow ---


def test_a_shadow_ends_with_a_person_and_no_user_meets_the_candidate() -> None:
    driver = Driver(shadowing()).running()
    assert (V2, Purpose.MIRROR) in purposes(driver)
    driver.poll(VerdictKind.PASSED, times=30)
    assert driver.state.at_rung.name == "promote"
    assert driver.served == {V1: BP_TOTAL}
    driver.judge(VerdictKind.FAILED)
    assert driver.state.mode is Mode.ABORTED, "copies are judged while a person is waited for"


def test_a_shadow_never_promotes_by_deadline() -> None:
    driver = Driver(shadowing(then=OnInconclusive.PROMOTE)).running()
    driver.poll(times=100)
    assert driver.state.phase is Phase.PAUSED
    assert driver.state.reason == "DeadlineExceeded"


def test_a_deadline_that_promotes_goes_on_to_the_next_stage() -> None:
    driver = Driver(shadowing(last=False, then=OnInconclusive.PROMOTE)).running()
    driver.poll(times=70)
    assert driver.state.stage == 1
    assert driver.state.mode is Mode.RUNNING


def test_what_passed_as_a_shadow_has_not_passed_with_users() -> None:
    plan = replace(shadowing(last=False), min_bake_ms=0)
    driver = Driver(plan).running()
    driver.poll(VerdictKind.PASSED, times=1)
    assert driver.state.stage == 1
    assert driver.state.verdict is None
    driver.observe(30)
    driver.ack()
    driver.observe(30)
    assert driver.state.mode is Mode.RUNNING, "nobody has judged the canary yet"
    assert driver.state.at_rung.name == "bake"


# --- A/B test ---


def test_variants_have_their_shares_and_testers_choose() -> None:
    driver = at_test(ab_plan())
    assert driver.served == {V2: 2_500, B: 1_500, V1: 6_000}
    assert driver.state.routing is not None
    forced = {
        arm.match.value: arm.revision
        for arm in driver.state.routing.arms
        if arm.purpose is Purpose.FORCED and arm.match
    }
    assert forced == {"candidate": V2, "b": B, "stable": V1}
    assert driver.state.routing.lease_ms is None


def test_the_winner_is_promoted_in_one_change_whichever_it_is() -> None:
    for winner, revision in (("b", B), ("candidate", V2), ("", V2)):
        driver = at_test(ab_plan())
        before = driver.state.generation
        won(driver, winner)
        assert driver.state.stable == revision
        assert driver.state.generation == before + 1
        assert driver.served[revision] == BP_TOTAL
        driver.deploy_again()
        assert driver.state.mode is Mode.STEADY, "the same spec starts no new pass"


def test_control_wins_and_its_cause_is_the_reason() -> None:
    driver = at_test(ab_plan())
    said = replace(verdict(VerdictKind.FAILED), cause="ControlWon")
    state = driver.state
    driver.send(Judged(at_ms=state.at_ms, pass_number=state.pass_number, verdict=said))
    assert driver.state.reason == "ControlWon"
    assert driver.served[V1] == BP_TOTAL


def test_a_test_has_no_deadline() -> None:
    driver = at_test(ab_plan())
    for _ in range(50):
        driver.observe(86_400)
        driver.judge(VerdictKind.INCONCLUSIVE)
    assert driver.state.mode is Mode.RUNNING
    assert driver.state.phase is Phase.PROGRESSING


def test_the_winner_goes_on_as_the_candidate_of_the_next_stage() -> None:
    driver = at_test(ab_plan(canary(SetWeight(weight_bp=5_000), GateStep(name="go"))))
    won(driver, "b")
    assert driver.state.candidates == (("candidate", B),)
    assert driver.served == {B: 5_000, V1: 5_000, V2: 0} or driver.served == {B: 5_000, V1: 5_000}


def test_other_variants_are_a_new_pass() -> None:
    driver = at_test(ab_plan())
    at = driver.state.at_ms
    driver.send(
        Deployed(at_ms=at, revision=V2, plan=driver.plan, variants=(("b", RevisionId("vc")),))
    )
    assert driver.state.pass_number == 3
    assert dict(driver.state.candidates)["b"] == "vc"


# --- canary ---


def test_staff_goes_first_and_stays() -> None:
    steps = (
        HeaderOnly(match=Match(header="x-staff", value="1")),
        PauseStep(duration_ms=5_000),
        SetWeight(weight_bp=500),
    )
    driver = Driver(with_plan(stages=(canary(*steps),))).running()
    driver.poll(times=2)
    assert driver.served == {V2: 0, V1: BP_TOTAL}
    assert (V2, Purpose.FORCED) in purposes(driver)
    driver.poll(times=10)
    assert driver.served[V2] == 500
    assert (V2, Purpose.FORCED) in purposes(driver)


# --- edits in mid-release ---


def test_another_strategy_waits_for_the_next_pass() -> None:
    driver = Driver().running()
    driver.deploy(V2, switching())
    driver.poll(times=2)
    assert driver.state.at_stage.strategy == "canary"
    assert driver.state.next_plan == switching()
    driver.deploy(V3, switching())
    assert driver.state.plan == switching()
    assert driver.state.next_plan is None


def test_an_edited_plan_is_not_lost_by_an_abort() -> None:
    driver = Driver().running()
    edited = with_plan(stages=(canary(SetWeight(weight_bp=900)),))
    driver.deploy(V2, edited)
    driver.send(Abort(at_ms=driver.state.at_ms))
    driver.deploy(V3)
    assert driver.state.plan == edited


def test_a_new_candidate_takes_the_place_of_a_paused_one() -> None:
    driver = Driver().running()
    driver.send(Pause(at_ms=driver.state.at_ms))
    driver.deploy(V3)
    assert driver.state.candidate == V3
    assert not driver.state.paused
    assert [record.reason for record in driver.records if record.kind == "Aborted"] == [
        "Superseded"
    ]


def test_a_newer_candidate_waits_until_stable_has_its_replicas_back() -> None:
    stage = rolling_stage(replicas=4, surge=1, unavailable=0, gate="look", deadline_ms=None)
    plan = with_plan(replicas=4, stages=(stage,), surge=1)
    driver = Driver(plan).running()
    driver.poll(times=6)
    assert driver.served[V2] > 0
    driver.deploy(V3)
    assert driver.state.mode is Mode.ABORTED
    assert driver.served[V2] > 0, "stable cannot carry everything yet"
    assert "on their way back" in refusal(driver.send(Undo(at_ms=driver.state.at_ms, to=V2)))
    driver.poll(times=12)
    assert driver.state.candidate == V3
    assert driver.state.in_pass


def test_delete_works_at_every_step_of_every_strategy() -> None:
    for plan in (switching(HEALTH), shadowing(), shadowing(last=False), ab_plan()):
        for polls in range(8):
            driver = Driver(plan).running()
            driver.poll(VerdictKind.PASSED, times=polls)
            driver.send(Deleted(at_ms=driver.state.at_ms))
            driver.poll(times=2)
            assert driver.state.mode is Mode.DELETING
            assert driver.served == {}
            assert not any(size for _, size in driver.state.sizes)


def test_promote_goes_past_a_question_that_nobody_answers() -> None:
    driver = Driver(switching(HEALTH)).running()
    driver.poll(times=2)
    driver.send(Promote(at_ms=driver.state.at_ms, by="ann"))
    assert driver.state.stable == V2
