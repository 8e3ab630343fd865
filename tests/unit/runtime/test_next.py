"""What status says comes next, on the steps of every strategy."""

from tests.unit.engine.driver import V1, Driver
from tests.unit.engine.test_rolling_pass import rolling, started
from tests.unit.engine.test_strategies_pass import HEALTH, ab_plan, at_test, shadowing, switching

from sluice.engine.plan import Gate
from sluice.nouns import VerdictKind
from sluice.runtime.status import what_next


def test_a_question_to_a_program_is_named_with_who_can_answer_for_it() -> None:
    driver = Driver(switching(HEALTH)).running()
    driver.poll(times=2)
    assert "`sluice approve taxi 'http /health'`" in what_next(driver.state)
    assert "or by a person" in what_next(driver.state)


def test_a_question_to_a_person_names_the_command() -> None:
    driver = Driver(switching(Gate(name="go"))).running()
    driver.poll(times=2)
    assert what_next(driver.state).startswith("a person answers gate go: `sluice approve taxi go`")


def test_a_shadow_waits_for_pairs_and_then_for_a_person() -> None:
    driver = Driver(shadowing()).running()
    assert (
        what_next(driver.state)
        == "goes on when 100 pairs of answers are judged; hold in 1m (deadline)"
    )
    driver.poll(VerdictKind.PASSED, times=2)
    assert what_next(driver.state) == "`sluice promote taxi` goes on"


def test_a_test_ends_when_it_is_decided() -> None:
    assert what_next(at_test(ab_plan()).state) == "ends when tip is decided, or at its horizon"


def test_a_rolling_candidate_waits_for_its_first_batch_only() -> None:
    driver = started(rolling(4, 1, 0))
    assert what_next(driver.state) == (
        "gets traffic when 1 replica is ready (0 now); 30s left for that"
    )
    assert driver.state.stable == V1
