from dataclasses import replace

import pytest
from tests.unit.engine.driver import (
    V1,
    V2,
    V3,
    Driver,
    canary,
    refusal,
    scales,
    with_plan,
)

from sluice.engine.canary import GateStep, Pause, SetWeight
from sluice.engine.events import (
    Abort,
    Approve,
    Deleted,
    Promote,
    Resume,
    Retry,
    Undo,
)
from sluice.engine.events import Pause as PauseEvent
from sluice.engine.plan import OnInconclusive, Plan
from sluice.engine.rolling import rolling_stage
from sluice.engine.state import Mode
from sluice.nouns import BP_TOTAL, Phase, RevisionId, VerdictKind


def now(driver: Driver) -> int:
    return driver.state.at_ms


def test_first_revision_becomes_stable_when_ready_and_gets_everything() -> None:
    driver = Driver()
    assert scales(driver.deploy(V1)) == [(V1, 2)]
    assert driver.state.phase is Phase.PROGRESSING
    driver.observe()
    assert driver.state.phase is Phase.HEALTHY
    assert driver.served == {V1: BP_TOTAL}
    assert driver.state.reason == "FirstRevision"


def test_first_revision_that_never_gets_ready_is_degraded_and_goes_on_trying() -> None:
    driver = Driver()
    driver.broken.add(V1)
    driver.deploy(V1)
    driver.observe(31)
    assert driver.state.phase is Phase.DEGRADED
    assert driver.state.reason == "ProgressDeadlineExceeded"
    driver.broken.clear()
    driver.observe()
    assert driver.state.phase is Phase.HEALTHY


def test_candidate_gets_capacity_before_traffic() -> None:
    driver = Driver().steady()
    driver.broken.add(V2)
    assert scales(driver.deploy(V2)) == [(V2, 2)]
    driver.observe()
    assert driver.served == {V1: BP_TOTAL}
    assert driver.state.phase is Phase.PROGRESSING
    driver.broken.clear()
    driver.observe()
    assert driver.served == {V2: 500, V1: 9_500}


def test_passed_verdict_and_bake_promote_the_candidate() -> None:
    driver = Driver().running()
    driver.poll(VerdictKind.PASSED, times=3)
    assert driver.state.mode is Mode.RUNNING, "minBake is not over"
    driver.poll(VerdictKind.PASSED, times=15)
    assert driver.state.phase is Phase.HEALTHY
    assert driver.state.stable == V2
    assert driver.served == {V1: 0, V2: BP_TOTAL}
    assert driver.state.size_of(V1) == 2, "the old stable is warm"
    driver.poll(times=61)
    driver.observe()
    assert driver.state.size_of(V1) == 0, "keepWarm is over"


def test_inconclusive_verdicts_never_promote_however_long() -> None:
    driver = Driver().running()
    driver.poll(times=300)
    assert driver.state.mode is Mode.RUNNING
    assert driver.state.stable == V1


def test_failed_verdict_returns_all_traffic_to_stable() -> None:
    driver = Driver().running()
    actions = driver.judge(VerdictKind.FAILED)
    assert driver.served == {V2: 0, V1: BP_TOTAL}
    assert scales(actions) == []
    assert driver.state.phase is Phase.ABORTED
    assert driver.state.reason == "CheckFailed"


def test_aborted_candidate_is_kept_for_inspection_and_then_retired() -> None:
    driver = Driver().running()
    driver.judge(VerdictKind.FAILED)
    driver.ack()
    driver.poll(times=30)
    assert driver.state.size_of(V2) == 2
    driver.poll(times=31)
    driver.observe()
    assert driver.state.size_of(V2) == 0
    assert driver.state.phase is Phase.ABORTED


def test_replicas_shrink_only_after_the_routers_acknowledged() -> None:
    driver = Driver().running()
    driver.judge(VerdictKind.FAILED)
    driver.ack()
    driver.observe(61)
    assert driver.state.size_of(V2) == 2, "the routing without the arm is not acknowledged yet"
    driver.ack()
    assert driver.state.size_of(V2) == 0


def test_invalid_verdict_holds_and_says_so_and_a_good_one_releases() -> None:
    driver = Driver().running()
    driver.poll(VerdictKind.PASSED, times=2)
    driver.poll(VerdictKind.ERROR, times=50)
    assert driver.state.phase is Phase.PAUSED
    assert driver.state.reason == "CannotMeasure"
    assert driver.state.stable == V1
    driver.poll(VerdictKind.PASSED, times=1)
    assert driver.state.phase is Phase.PROGRESSING


def test_pause_holds_the_step_and_a_failure_still_aborts() -> None:
    driver = Driver().running()
    driver.send(PauseEvent(at_ms=now(driver), by="ann"))
    driver.poll(VerdictKind.PASSED, times=60)
    assert driver.state.phase is Phase.PAUSED
    assert driver.state.rung == 0
    driver.judge(VerdictKind.FAILED)
    assert driver.state.phase is Phase.ABORTED


def test_resume_goes_on_and_is_refused_when_nothing_is_paused() -> None:
    driver = Driver().running()
    assert "not paused" in refusal(driver.send(Resume(at_ms=now(driver))))
    driver.send(PauseEvent(at_ms=now(driver)))
    driver.send(Resume(at_ms=now(driver)))
    assert driver.state.phase is Phase.PROGRESSING


def test_timed_pause_and_indefinite_pause_and_gate() -> None:
    steps = (
        SetWeight(weight_bp=500),
        Pause(duration_ms=5_000),
        GateStep(name="ok"),
        SetWeight(weight_bp=1_000),
        Pause(duration_ms=None),
    )
    driver = Driver(with_plan(stages=(canary(*steps),))).running()
    driver.poll(times=3)
    assert driver.state.at_rung.name == "pause 5s"
    assert driver.state.phase is Phase.PROGRESSING
    driver.poll(times=6)
    assert driver.state.at_rung.name == "gate ok"
    assert driver.state.phase is Phase.PAUSED
    assert "gates are: ok" in refusal(driver.send(Approve(at_ms=now(driver), gate="nope")))
    driver.send(Approve(at_ms=now(driver), gate="ok", by="ann"))
    driver.poll(times=3)
    assert driver.served[V2] == 1_000
    assert driver.state.at_rung.name == "pause"
    driver.poll(VerdictKind.PASSED, times=60)
    assert driver.state.at_rung.name == "pause", "only promote goes on"
    driver.send(PauseEvent(at_ms=now(driver)))
    driver.send(Resume(at_ms=now(driver)))
    assert driver.state.message == "resumed; step 5: pause waits for a person"
    driver.send(Promote(at_ms=now(driver)))
    assert driver.state.at_rung.name == "bake"


def test_promote_past_the_last_step_and_promote_full_make_it_stable() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=now(driver), full=True, by="ann"))
    assert driver.state.stable == V2
    assert driver.records[-1].by == "ann"


def test_promote_is_refused_while_the_candidate_is_not_ready() -> None:
    driver = Driver().steady()
    driver.broken.add(V2)
    driver.deploy(V2)
    driver.observe()
    assert "0 of 2 replicas" in refusal(driver.send(Promote(at_ms=now(driver), full=True)))


@pytest.mark.parametrize(
    ("policy", "phase", "stable"),
    [
        pytest.param(OnInconclusive.HOLD, Phase.PAUSED, V1, id="hold"),
        pytest.param(OnInconclusive.ABORT, Phase.ABORTED, V1, id="abort"),
        pytest.param(OnInconclusive.PROMOTE, Phase.HEALTHY, V2, id="promote"),
    ],
)
def test_deadline_without_a_decision(
    policy: OnInconclusive, phase: Phase, stable: RevisionId
) -> None:
    stage = canary(deadline_ms=20_000, on_inconclusive=policy)
    driver = Driver(with_plan(stages=(stage,))).running()
    driver.poll(times=25)
    assert driver.state.phase is phase
    assert driver.state.stable == stable


def test_release_held_at_the_deadline_waits_on_after_resume() -> None:
    driver = Driver(with_plan(stages=(canary(deadline_ms=20_000),))).running()
    driver.poll(times=25)
    assert driver.state.reason == "DeadlineExceeded"
    driver.poll(VerdictKind.PASSED, times=30)
    assert driver.state.stable == V1, "a person decides now"
    driver.send(Resume(at_ms=now(driver)))
    driver.poll(VerdictKind.PASSED, times=2)
    assert driver.state.stable == V2


def test_candidate_that_is_not_ready_in_time_is_turned_back() -> None:
    driver = Driver().steady()
    driver.broken.add(V2)
    driver.deploy(V2)
    driver.observe(29)
    assert driver.state.mode is Mode.PREPARING
    driver.observe(2)
    assert driver.state.reason == "ProgressDeadlineExceeded"
    assert driver.state.phase is Phase.ABORTED


def test_candidate_that_loses_its_replicas_loses_its_weight_and_gets_it_back() -> None:
    driver = Driver().running()
    driver.broken.add(V2)
    driver.observe()
    assert driver.served.get(V2, 0) == 0
    driver.broken.clear()
    driver.observe()
    assert driver.served[V2] == 500


def test_new_candidate_in_mid_pass_starts_over_at_the_first_step() -> None:
    driver = Driver().running()
    driver.poll(times=2)
    driver.deploy(V3)
    assert driver.served.get(V2, 0) == 0
    assert driver.kinds()[-2:] == ["Aborted", "PassStarted"]
    driver.observe()
    driver.ack()
    assert (driver.state.candidate, driver.state.stage, driver.state.rung) == (V3, 0, 0)
    driver.observe()
    assert driver.state.size_of(V2) == 0


def test_deploying_stable_again_turns_the_candidate_back_and_is_healthy() -> None:
    driver = Driver().running()
    driver.deploy(V1)
    assert driver.state.phase is Phase.HEALTHY
    assert driver.served == {V1: BP_TOTAL}


def test_edited_plan_is_taken_at_the_next_step() -> None:
    driver = Driver().running()
    edited = with_plan(
        stages=(canary(SetWeight(weight_bp=500), SetWeight(weight_bp=4_000)),),
    )
    driver.deploy(V2, edited)
    assert driver.state.at_rung.name == "setWeight 5"
    assert driver.kinds()[-1] == "PlanEdited"
    driver.poll(times=2)
    assert driver.served[V2] == 4_000


def test_retry_starts_a_new_pass_of_the_candidate_that_was_turned_back() -> None:
    driver = Driver().running()
    driver.judge(VerdictKind.FAILED)
    number = driver.state.pass_number
    driver.send(Retry(at_ms=now(driver), by="ann"))
    assert driver.state.pass_number == number + 1
    assert driver.state.candidate == V2
    assert driver.state.mode is Mode.PREPARING


def test_the_same_spec_again_does_not_retry_what_was_turned_back() -> None:
    driver = Driver().running()
    driver.judge(VerdictKind.FAILED)
    driver.deploy(V2)
    assert driver.state.phase is Phase.ABORTED


def test_undo_while_warm_is_one_routing_change() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=now(driver), full=True))
    driver.ack()
    before = driver.state.generation
    driver.send(Undo(at_ms=now(driver), by="ann"))
    assert driver.state.generation == before + 1
    assert driver.served[V1] == BP_TOTAL
    assert driver.state.phase is Phase.ABORTED
    assert driver.state.reason == "Undone"


def test_undo_later_is_a_new_pass_to_the_revision_before() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=now(driver), full=True))
    driver.ack()
    driver.poll(times=61)
    driver.observe()
    assert driver.state.size_of(V1) == 0
    driver.send(Undo(at_ms=now(driver)))
    assert driver.state.mode is Mode.PREPARING
    assert driver.state.candidate == V1
    driver.deploy(V2)
    assert driver.state.candidate == V1, "the spec still names v2: that is not a new candidate"


def test_undo_names_what_it_knows_when_the_revision_is_unknown() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=now(driver), full=True))
    assert "known: v1" in refusal(driver.send(Undo(at_ms=now(driver), to=V3)))


def test_retry_after_an_undo_by_a_pass_brings_the_spec_revision_back() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=now(driver), full=True))
    driver.ack()
    driver.poll(times=62)
    driver.send(Undo(at_ms=now(driver)))
    driver.observe()
    driver.send(Promote(at_ms=now(driver), full=True))
    assert driver.state.stable == V1
    driver.send(Retry(at_ms=now(driver)))
    assert driver.state.candidate == V2


def test_verbs_that_make_no_sense_change_nothing_and_say_what_to_do() -> None:
    driver = Driver().steady()
    before = driver.state
    assert "no pass is running" in refusal(driver.send(Abort(at_ms=now(driver))))
    assert "no candidate" in refusal(driver.send(Retry(at_ms=now(driver))))
    assert driver.state == before
    driver.running(V2) if False else driver.deploy(V2)
    assert "`abort`" in refusal(driver.send(Undo(at_ms=now(driver))))


def test_verdict_of_another_pass_is_refused() -> None:
    driver = Driver().running()
    driver.state = replace(driver.state, pass_number=7)
    driver.judge(VerdictKind.INCONCLUSIVE)
    from tests.unit.engine.driver import verdict

    from sluice.engine.events import Judged

    late = Judged(at_ms=now(driver), pass_number=6, verdict=verdict(VerdictKind.FAILED))
    assert "pass 6" in refusal(driver.send(late))


def test_stable_without_a_ready_replica_is_degraded_until_it_is_back() -> None:
    driver = Driver().steady()
    driver.broken.add(V1)
    driver.observe()
    assert driver.state.phase is Phase.DEGRADED
    driver.broken.clear()
    driver.observe()
    assert driver.state.phase is Phase.HEALTHY


def test_delete_takes_routing_away_before_replicas() -> None:
    driver = Driver().running()
    actions = driver.send(Deleted(at_ms=now(driver)))
    assert scales(actions) == []
    driver.ack()
    assert driver.state.sizes == () or all(n == 0 for _, n in driver.state.sizes)


def test_proportional_capacity_follows_the_weight_and_is_full_before_promotion() -> None:
    plan = with_plan(
        replicas=4,
        stages=(canary(SetWeight(weight_bp=500), SetWeight(weight_bp=5_000), proportional=True),),
    )
    driver = Driver(plan).running()
    assert driver.state.size_of(V2) == 1
    driver.poll(times=3)
    assert driver.state.size_of(V2) == 2
    driver.poll(VerdictKind.PASSED, times=14)
    assert driver.state.stable == V2
    assert driver.state.size_of(V2) == 4
    sizes = [r for r in driver.records if r.kind == "Promoting"]
    assert sizes, "capacity came before everything"


def test_lease_is_carried_only_while_a_candidate_has_live_weight() -> None:
    driver = Driver().running()
    assert driver.state.routing is not None
    assert driver.state.routing.lease_ms == 30_000
    driver.judge(VerdictKind.FAILED)
    assert driver.state.routing.lease_ms is None


def test_ramp_starts_at_one_basis_point_when_the_rate_is_unknown() -> None:
    driver = Driver(with_plan(stages=(canary(),))).running()
    driver.poll(rate_rps=None)
    assert driver.served[V2] == 1
    driver.poll(rate_rps=100.0, upper=0.5)
    assert driver.served[V2] > 1


def test_plan_that_watches_switches_back_when_the_promoted_revision_fails() -> None:
    driver = Driver(with_plan(watch=True)).running()
    driver.send(Promote(at_ms=now(driver), full=True))
    driver.ack()
    driver.judge(VerdictKind.FAILED)
    assert driver.served[V1] == BP_TOTAL
    assert driver.state.reason == "FailedAfterSwitch"


def test_aborted_rolling_candidate_loses_its_weight_when_fewer_replicas_are_asked_for() -> None:
    """Found by the property tests: an edit of the plan made stable whole."""

    def rolling(replicas: int) -> Plan:
        stage = rolling_stage(
            replicas=replicas, surge=1, unavailable=0, gate="look", deadline_ms=None
        )
        return with_plan(replicas=replicas, stages=(stage,), surge=1)

    driver = Driver(rolling(4)).running()
    driver.poll(times=3)
    driver.judge(VerdictKind.FAILED)
    assert driver.served[V2] > 0, "stable gave up size: no instant abort is promised"
    driver.deploy(V2, rolling(1))
    assert driver.served[V2] == 0
