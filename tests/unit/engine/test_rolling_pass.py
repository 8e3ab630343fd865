from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.driver import V1, V2, V3, Driver
from tests.unit.engine.plans import bounds

from sluice.engine.events import Abort, Approve, Promote, Undo
from sluice.engine.plan import Plan
from sluice.engine.rolling import rolling_stage
from sluice.engine.sizes import ready_share_bp
from sluice.engine.state import Mode, State
from sluice.errors import InvariantError
from sluice.nouns import BP_TOTAL, Phase, VerdictKind

LONG = 200
"""Polls in which anything that moves at all has ended."""


def rolling(replicas: int, surge: int, unavailable: int, *, gate: str = "", hold: int = 0) -> Plan:
    stage = rolling_stage(
        replicas=replicas,
        surge=surge,
        unavailable=unavailable,
        gate=gate,
        hold_ms=hold,
        deadline_ms=3_600_000,
    )
    return Plan(
        release="taxi",
        replicas=replicas,
        hosts=("taxi",),
        stages=(stage,),
        surge=surge,
        unavailable=unavailable,
        min_bake_ms=10_000,
        keep_warm_ms=60_000,
        progress_deadline_ms=30_000,
    )


class Rolls(Driver):
    """Looks at every moment at the bounds that a rolling update promises."""

    def look(self) -> None:
        plan, state = self.plan, self.state
        assert plan.surge is not None
        asked = sum(size for _, size in state.sizes)
        assert asked <= plan.replicas + plan.surge, state.sizes
        if not self.broken:
            serving = sum(min(state.ready_of(r), size) for r, size in state.sizes)
            assert serving >= plan.enough, (state.sizes, state.ready)

    def step(self, kind: VerdictKind = VerdictKind.PASSED) -> None:
        self.observe()
        self.look()
        self.judge(kind)
        self.look()
        self.ack()
        self.look()

    def until(self, mode: Mode) -> int:
        for steps in range(LONG):
            if self.state.mode is mode:
                return steps
            self.step()
        raise AssertionError(f"{self.state.mode} after {LONG} polls: {self.state.message}")


def started(plan: Plan) -> Rolls:
    driver = Rolls(plan)
    driver.steady()
    driver.deploy(V2)
    return driver


@given(of=bounds())
@settings(deadline=None)
def test_every_replica_is_replaced_within_the_bounds(of: tuple[int, int, int]) -> None:
    driver = started(rolling(*of))
    driver.until(Mode.STEADY)
    assert driver.state.stable == V2
    for _ in range(LONG):
        driver.step()
    assert driver.state.sizes in (((V2, of[0]),), ((V2, of[0]), (V1, 0)))
    assert driver.served == {V2: BP_TOTAL}


@given(of=bounds(), after=st.integers(0, 30), how=st.sampled_from(["abort", "failed", "newer"]))
@settings(deadline=None)
def test_turning_back_at_any_moment_keeps_the_bounds_and_ends_on_stable(
    of: tuple[int, int, int], after: int, how: str
) -> None:
    driver = started(rolling(*of))
    for _ in range(after):
        driver.step()
    if driver.state.mode is not Mode.RUNNING:
        return
    if how == "abort":
        driver.send(Abort(at_ms=driver.state.at_ms))
    elif how == "failed":
        driver.judge(VerdictKind.FAILED)
    else:
        driver.deploy(V3)
        driver.look()
        driver.until(Mode.STEADY)
        assert driver.state.stable == V3
        return
    driver.look()
    for _ in range(LONG):
        driver.step()
    assert driver.state.mode is Mode.ABORTED
    assert driver.state.stable == V1
    assert driver.served[V1] == BP_TOTAL
    assert driver.state.size_of(V1) == of[0]


def test_weight_follows_ready_replicas_and_batches_follow_one_another() -> None:
    driver = started(rolling(4, 1, 0))
    shares = set()
    driver.step()
    while driver.state.mode is Mode.RUNNING:
        shares.add(driver.served.get(V2, 0))
        driver.step()
    assert sorted(shares) == [2_500, 5_000, 7_500, 8_000]
    assert [r.rung_name for r in driver.records if r.kind == "RungEntered"] == [
        "batch 1 of 4",
        "batch 2 of 4",
        "batch 3 of 4",
        "batch 4 of 4",
        "bake",
    ]


def test_the_last_batch_is_promoted_only_when_the_candidate_passed() -> None:
    driver = started(rolling(4, 1, 0))
    for _ in range(LONG):
        driver.step(VerdictKind.INCONCLUSIVE)
    assert (driver.state.mode, driver.state.at_rung.name) == (Mode.RUNNING, "bake")
    assert driver.served == {V2: 8_000, V1: 2_000}
    driver.until(Mode.STEADY)
    assert driver.state.stable == V2


def test_without_surge_stable_gives_up_a_replica_for_the_candidates_first() -> None:
    driver = started(rolling(4, 0, 1))
    assert (driver.state.size_of(V1), driver.state.size_of(V2)) == (3, 1)
    driver.until(Mode.STEADY)
    assert driver.state.stable == V2


def test_a_gate_between_batches_waits_and_the_last_has_none() -> None:
    driver = started(rolling(2, 1, 0, gate="look"))
    for _ in range(20):
        driver.step()
    assert driver.state.phase is Phase.PAUSED
    assert [gate.name for gate in driver.state.open_gates] == ["look-1"]
    assert (driver.state.size_of(V1), driver.state.size_of(V2)) == (1, 1)
    driver.send(Approve(at_ms=driver.state.at_ms, gate="look-1"))
    driver.until(Mode.STEADY)


def test_a_pause_begins_when_the_batch_is_there() -> None:
    driver = started(rolling(2, 1, 0, hold=5_000))
    names = []
    while driver.state.mode is not Mode.STEADY:
        driver.step()
        if driver.state.mode is Mode.RUNNING:
            names.append(driver.state.at_rung.name)
    assert names.count("pause 5s") >= 10


def test_replicas_that_never_get_ready_turn_the_batch_back() -> None:
    driver = started(rolling(4, 2, 0))
    driver.until(Mode.RUNNING)
    driver.broken.add(V2)
    for _ in range(40):
        driver.step()
    assert driver.state.reason == "ProgressDeadlineExceeded"
    assert driver.served[V1] == BP_TOTAL


def test_a_full_promotion_goes_through_the_batches_without_asking() -> None:
    driver = started(rolling(4, 0, 1, gate="look"))
    driver.until(Mode.RUNNING)
    driver.send(Promote(at_ms=driver.state.at_ms, full=True, by="ann"))
    driver.until(Mode.STEADY)
    assert driver.state.stable == V2


def test_a_rolled_release_has_no_warm_stable_so_that_undo_is_a_new_pass() -> None:
    driver = started(rolling(2, 1, 0))
    driver.until(Mode.STEADY)
    assert driver.state.warm is None
    driver.send(Undo(at_ms=driver.state.at_ms))
    assert driver.state.mode is Mode.PREPARING
    driver.until(Mode.STEADY)
    assert driver.state.stable == V1


def test_an_aborted_rolling_keeps_weight_only_as_long_as_stable_is_short() -> None:
    driver = started(rolling(4, 1, 0))
    while driver.served.get(V2, 0) < 7_500:
        driver.step()
    driver.send(Abort(at_ms=driver.state.at_ms, by="ann"))
    falls = [driver.served[V2]]
    for _ in range(30):
        driver.step()
        falls.append(driver.served.get(V2, 0))
    assert falls == sorted(falls, reverse=True)
    assert falls[-1] == 0
    assert driver.state.size_of(V1) == 4


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"),
    [
        pytest.param(4, 0, 0, id="nothing-moves"),
        pytest.param(1, 0, 1, id="nobody-stays"),
        pytest.param(4, -1, 1, id="negative"),
    ],
)
def test_bounds_that_cannot_work_are_refused(replicas: int, surge: int, unavailable: int) -> None:
    fine = rolling(4, 1, 0)
    with pytest.raises(InvariantError, match="surge"):
        replace(fine, replicas=replicas, surge=surge, unavailable=unavailable)


def test_stable_shrinks_only_in_a_bounded_plan() -> None:
    fine = rolling(4, 1, 0)
    with pytest.raises(InvariantError, match="bounded"):
        replace(fine, surge=None)


def test_nobody_has_a_share_where_there_is_no_pass() -> None:
    assert ready_share_bp(State(release="taxi")) == 0
