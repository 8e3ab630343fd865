"""Answers to gates, and windows in which nothing grows."""

from dataclasses import replace

import pytest
from tests.unit.engine.driver import BASE, V1, V2, V3, Driver, canary, refusal, with_plan

from sluice.engine.canary import GateStep, SetWeight
from sluice.engine.events import Approve, Freeze, Pause, Promote, Refuse, Resume, Unanswered, Undo
from sluice.engine.invariants import check
from sluice.engine.plan import OnInconclusive
from sluice.engine.state import Mode
from sluice.errors import InvariantError
from sluice.nouns import Phase, VerdictKind

UNTIL = "Mon 06:00 Europe/Berlin"
GATED = with_plan(
    stages=(canary(SetWeight(weight_bp=500), GateStep(name="smoke"), SetWeight(weight_bp=2_500)),)
)


def at_gate() -> Driver:
    driver = Driver(GATED).running()
    driver.poll(times=3)
    assert [gate.name for gate in driver.state.open_gates] == ["smoke"]
    return driver


def freeze(driver: Driver, until: str = UNTIL) -> None:
    driver.send(Freeze(at_ms=driver.state.at_ms, until=until))


def refuse(driver: Driver, gate: str, reason: str = "") -> list[object]:
    return list(driver.send(Refuse(at_ms=driver.state.at_ms, gate=gate, reason=reason, by="ada")))


# --- gates ---


def test_refused_gate_turns_the_candidate_back_with_the_reason_given() -> None:
    driver = at_gate()
    refuse(driver, "smoke", "3 of 40 predictions are negative")
    assert driver.state.phase is Phase.ABORTED
    assert driver.state.reason == "GateRefused"
    assert driver.state.message == "gate smoke refused by ada: 3 of 40 predictions are negative"
    assert driver.served[V2] == 0


def test_gate_can_be_refused_before_it_opens() -> None:
    driver = Driver(GATED).running()
    refuse(driver, "smoke")
    assert driver.state.reason == "GateRefused"


def test_unknown_gate_is_refused_with_the_known_names() -> None:
    driver = at_gate()
    before = driver.state
    (action,) = refuse(driver, "smok")
    assert "the plan's gates are: smoke" in getattr(action, "reason", "")
    assert driver.state == before


def test_gate_cannot_be_refused_without_a_pass() -> None:
    driver = Driver(GATED).steady()
    (action,) = refuse(driver, "smoke")
    assert "cannot reject: no pass is running" in getattr(action, "reason", "")


def test_gate_of_an_edited_plan_can_be_answered_before_its_step() -> None:
    driver = Driver(GATED).running()
    later = with_plan(stages=(canary(SetWeight(weight_bp=500), GateStep(name="later")),))
    driver.deploy(V2, later)
    driver.send(Approve(at_ms=driver.state.at_ms, gate="later"))
    assert "later" in driver.state.approved


def test_silence_is_said_and_a_person_still_answers() -> None:
    driver = at_gate()
    said = Unanswered(at_ms=driver.state.at_ms, gate="smoke", message="no answer after 4 tries")
    driver.send(said)
    assert (driver.state.phase, driver.state.reason) == (Phase.PAUSED, "GateUnanswered")
    driver.send(Approve(at_ms=driver.state.at_ms, gate="smoke"))
    driver.poll(times=2)
    assert driver.state.weight_bp == 2_500


def test_silence_about_a_gate_that_is_not_open_changes_nothing() -> None:
    driver = at_gate()
    before = driver.state
    driver.send(Unanswered(at_ms=driver.state.at_ms, gate="other", message="no answer"))
    assert driver.state == before


# --- freeze windows ---


def test_frozen_pass_keeps_its_weight_and_goes_on_afterwards() -> None:
    driver = Driver().running()
    freeze(driver)
    assert (driver.state.phase, driver.state.reason) == (Phase.PAUSED, "FreezeWindow")
    driver.poll(VerdictKind.PASSED, times=30)
    assert (driver.state.rung, driver.state.weight_bp) == (0, 500)
    freeze(driver, "")
    assert driver.state.reason == "FreezeOver"
    driver.poll(VerdictKind.PASSED, times=30)
    assert driver.state.stable == V2


def test_ramp_does_not_grow_in_a_freeze_and_still_falls() -> None:
    driver = Driver(with_plan(stages=(canary(),))).running()
    driver.poll(times=3, upper=0.05)
    weight = driver.state.weight_bp
    freeze(driver)
    driver.poll(times=5, upper=0.0001)
    assert driver.state.weight_bp == weight
    driver.poll(upper=1.0, rate_rps=100_000.0)
    assert driver.state.weight_bp < weight


def test_failing_candidate_is_turned_back_in_a_freeze() -> None:
    driver = Driver().running()
    freeze(driver)
    driver.poll(VerdictKind.FAILED)
    assert driver.state.reason == "CheckFailed"


def test_candidate_that_gets_ready_in_a_freeze_waits_without_traffic() -> None:
    driver = Driver().steady()
    freeze(driver)
    assert driver.state.phase is Phase.HEALTHY
    driver.deploy(V2)
    for _ in range(60):
        driver.observe()
        driver.ack()
    assert (driver.state.mode, driver.state.reason) == (Mode.PREPARING, "FreezeWindow")
    assert driver.kinds().count("Frozen") == 1
    freeze(driver, "")
    driver.observe()
    assert driver.state.mode is Mode.RUNNING


def test_first_revision_is_not_kept_from_serving() -> None:
    driver = Driver()
    driver.deploy(V1)
    freeze(driver)
    driver.observe()
    assert driver.state.stable == V1


@pytest.mark.parametrize("policy", [OnInconclusive.PROMOTE, OnInconclusive.ABORT])
def test_deadline_does_not_run_in_a_freeze(policy: OnInconclusive) -> None:
    stage = canary(SetWeight(weight_bp=500), deadline_ms=20_000, on_inconclusive=policy)
    driver = Driver(with_plan(stages=(stage,))).running()
    freeze(driver)
    driver.poll(times=60)
    assert (driver.state.mode, driver.state.stable) == (Mode.RUNNING, V1)
    freeze(driver, "")
    driver.poll(times=30)
    assert driver.state.mode is not Mode.RUNNING


def test_promotion_that_waits_for_capacity_waits_for_the_freeze_too() -> None:
    driver = Driver().running()
    driver.broken.add(V2)
    driver.state = replace(driver.state, promoting=True)
    freeze(driver)
    driver.broken.clear()
    driver.poll(times=3)
    assert driver.state.stable == V1
    freeze(driver, "")
    driver.poll()
    assert driver.state.stable == V2


def test_promote_is_refused_in_a_freeze_and_force_lifts_it_for_this_pass() -> None:
    driver = Driver().running()
    freeze(driver)
    said = refusal(driver.send(Promote(at_ms=driver.state.at_ms, by="ada")))
    assert f"frozen until {UNTIL}" in said
    assert "--force" in said
    driver.send(Promote(at_ms=driver.state.at_ms, force=True, by="ada"))
    assert driver.state.weight_bp == 2_500
    (lifted,) = [record for record in driver.records if record.reason == "FreezeLifted"]
    assert lifted.by == "ada"
    driver.poll(VerdictKind.PASSED, times=30)
    assert driver.state.stable == V2


def test_lifted_freeze_holds_the_next_pass_again() -> None:
    driver = Driver().running()
    freeze(driver)
    driver.send(Promote(at_ms=driver.state.at_ms, full=True, force=True))
    assert driver.state.stable == V2
    driver.deploy(V3)
    driver.poll(times=3)
    assert (driver.state.mode, driver.state.phase) == (Mode.PREPARING, Phase.PAUSED)


@pytest.mark.parametrize("full", [False, True])
def test_forced_promote_starts_a_pass_that_waits_before_its_first_step(full: bool) -> None:
    driver = Driver().steady()
    freeze(driver)
    driver.deploy(V2)
    driver.observe()
    driver.send(Promote(at_ms=driver.state.at_ms, force=True, full=full))
    assert driver.state.stable == (V2 if full else V1)
    assert full or driver.state.weight_bp == 500


def test_candidate_without_replicas_cannot_be_forced() -> None:
    driver = Driver().steady()
    freeze(driver)
    driver.deploy(V2)
    said = refusal(driver.send(Promote(at_ms=driver.state.at_ms, force=True)))
    assert "0 of 2 replicas ready" in said


def test_undo_while_warm_works_in_a_freeze() -> None:
    driver = Driver().running()
    driver.send(Promote(at_ms=driver.state.at_ms, full=True))
    freeze(driver)
    driver.send(Undo(at_ms=driver.state.at_ms))
    assert driver.state.stable == V1


def test_pause_and_resume_in_a_freeze_keep_the_freeze() -> None:
    driver = Driver().running()
    driver.send(Pause(at_ms=driver.state.at_ms))
    freeze(driver)
    assert driver.state.reason == "PausedByUser"
    driver.send(Resume(at_ms=driver.state.at_ms))
    assert driver.state.reason == "FreezeWindow"
    driver.poll(times=3)
    assert driver.state.rung == 0


def test_measurement_that_comes_back_in_a_freeze_leaves_it_frozen() -> None:
    driver = Driver().running()
    freeze(driver)
    driver.poll(VerdictKind.ERROR)
    assert driver.state.reason == "CannotMeasure"
    driver.poll(VerdictKind.INCONCLUSIVE)
    assert driver.state.reason == "FreezeWindow"


def test_approval_in_a_freeze_counts_when_it_is_over() -> None:
    driver = at_gate()
    freeze(driver)
    driver.send(Approve(at_ms=driver.state.at_ms, gate="smoke"))
    driver.poll(times=3)
    assert driver.state.weight_bp == 500
    freeze(driver, "")
    driver.poll(times=2)
    assert driver.state.weight_bp == 2_500


def test_freeze_is_recorded_once_and_a_moved_end_is_not_news() -> None:
    driver = Driver().running()
    freeze(driver)
    freeze(driver)
    freeze(driver, "Tue 06:00 Europe/Berlin")
    assert driver.kinds().count("Frozen") == 1
    assert "Tue 06:00" in driver.state.message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"weight_bp": 600}, id="weight"),
        pytest.param({"rung": 1}, id="step"),
        pytest.param({"stable": V2}, id="promotion"),
    ],
)
def test_growth_in_a_freeze_breaks_an_invariant(change: dict[str, object]) -> None:
    driver = Driver().running()
    freeze(driver)
    with pytest.raises(InvariantError, match="nothing_grows_in_a_freeze"):
        check(driver.state, replace(driver.state, routing=None, **change))  # type: ignore[arg-type]


def test_first_step_in_a_freeze_breaks_an_invariant() -> None:
    driver = Driver(BASE).steady()
    freeze(driver)
    driver.deploy(V2)
    driver.observe()
    with pytest.raises(InvariantError, match="the first step was entered"):
        check(driver.state, replace(driver.state, mode=Mode.RUNNING))
