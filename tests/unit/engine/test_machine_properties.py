"""Whatever happens, in whatever order, with a crash anywhere: the invariants hold."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.unit.engine.driver import verdict

from sluice.engine.events import (
    Abort,
    Acknowledged,
    Approve,
    Deleted,
    Deployed,
    Event,
    Freeze,
    Judged,
    Observed,
    Pause,
    Promote,
    Refuse,
    Resume,
    Retry,
    Unanswered,
    Undo,
)
from sluice.engine.machine import decide, resume
from sluice.engine.plan import (
    ArmSpec,
    ByReady,
    Capacity,
    Exit,
    Fixed,
    Gate,
    OnInconclusive,
    Plan,
    Ramp,
    Rung,
    Stage,
)
from sluice.engine.state import Mode, State
from sluice.nouns import BP_TOTAL, Match, Purpose, RevisionId, VerdictKind
from sluice.runtime.checkpoint import state_from_json, state_to_json

REVISIONS = [RevisionId(f"v{n}") for n in range(1, 5)]
CHECKS = ("slo", "regression")

live = ArmSpec()
mirror = ArmSpec(purpose=Purpose.MIRROR, mirror_bp=1_000)
preview = ArmSpec(purpose=Purpose.PREVIEW, match=Match(header="x-preview", value="1"))

exits = st.builds(
    Exit,
    hold_ms=st.sampled_from([0, 0, 3_000]),
    passed=st.booleans(),
    person=st.sampled_from([False, False, False, True]),
)
weights = st.one_of(
    st.builds(Fixed, weight_bp=st.sampled_from([0, 1, 500, 3_333, 9_999])),
    st.just(Ramp()),
)


def _rung(weight: Any, exit_: Exit, capacity: int | None, gated: bool, checked: bool) -> Rung:
    return Rung(
        name="rung",
        weight=weight,
        exit=exit_,
        capacity=Capacity(candidate_bp=capacity),
        gates=(Gate(name="ok"),) if gated else (),
        checks=CHECKS if checked else (),
    )


live_rungs = st.builds(
    _rung,
    weight=weights,
    exit_=exits,
    capacity=st.sampled_from([10_000, 10_000, None]),
    gated=st.sampled_from([False, False, True]),
    checked=st.sampled_from([True, True, True, False]),
)
still_rungs = st.builds(
    lambda arms, exit_: Rung(
        name="still", weight=Fixed(weight_bp=0), arms=arms, exit=exit_, checks=CHECKS
    ),
    arms=st.sampled_from([(mirror,), (preview,), (preview, mirror)]),
    exit_=exits,
)
rolling_rungs = st.builds(
    lambda share, exit_: Rung(
        name="batch",
        weight=ByReady(),
        exit=exit_,
        checks=CHECKS,
        capacity=Capacity(candidate_bp=share, stable_bp=BP_TOTAL - share),
    ),
    share=st.sampled_from([2_500, 5_000, 7_500, 10_000]),
    exit_=exits,
)
stages = st.builds(
    Stage,
    strategy=st.just("canary"),
    rungs=st.one_of(
        st.lists(live_rungs, min_size=1, max_size=4).map(tuple),
        st.lists(still_rungs, min_size=1, max_size=2).map(tuple),
        st.lists(rolling_rungs, min_size=1, max_size=3).map(tuple),
    ),
    deadline_ms=st.sampled_from([None, 20_000, 600_000]),
    on_inconclusive=st.sampled_from(list(OnInconclusive)),
    lease=st.booleans(),
)
plans = st.builds(
    Plan,
    release=st.just("taxi"),
    replicas=st.integers(1, 4),
    hosts=st.just(("taxi",)),
    stages=st.lists(stages, min_size=1, max_size=3).map(tuple),
    forced_header=st.sampled_from([None, "x-arm"]),
    sticky_header=st.sampled_from([None, "x-user"]),
    min_bake_ms=st.sampled_from([0, 5_000]),
    keep_warm_ms=st.sampled_from([0, 10_000]),
    progress_deadline_ms=st.sampled_from([5_000, 60_000]),
    watch=st.booleans(),
)
kinds = st.sampled_from(
    [VerdictKind.PASSED] * 3 + [VerdictKind.INCONCLUSIVE] * 3 + list(VerdictKind)
)


class AnyOrder(RuleBasedStateMachine):
    """A twin is killed and resumed at will; both must always agree."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(release="taxi")
        self.twin = self.state
        self.log: list[Event] = []

    def send(self, event: Event) -> None:
        self.log.append(event)
        self.state, actions = decide(self.state, event)
        self.twin, same = decide(self.twin, event)
        assert same == actions

    @property
    def now(self) -> int:
        return self.state.at_ms

    @rule(revision=st.sampled_from(REVISIONS), plan=plans)
    def deploys(self, revision: RevisionId, plan: Plan) -> None:
        self.send(Deployed(at_ms=self.now, revision=revision, plan=plan))

    @rule(seconds=st.integers(-5, 40), loss=st.sampled_from([0, 0, 0, 1, 9]))
    def observes(self, seconds: int, loss: int) -> None:
        ready = tuple((r, max(0, n - loss)) for r, n in self.state.sizes)
        self.send(Observed(at_ms=self.now + seconds * 1_000, ready=ready))

    @rule(late=st.integers(0, 2))
    def acknowledges(self, late: int) -> None:
        generation = max(0, self.state.generation - late)
        self.send(Acknowledged(at_ms=self.now, generation=generation))

    @rule(kind=kinds, late=st.sampled_from([0, 0, 0, 1]), upper=st.floats(0, 1))
    def judges(self, kind: VerdictKind, late: int, upper: float) -> None:
        said = verdict(kind, upper=upper)
        number = self.state.pass_number - late
        self.send(Judged(at_ms=self.now, pass_number=number, verdict=said))

    @initialize(plan=plans)
    def has_a_stable(self, plan: Plan) -> None:
        """Most stories begin with a revision that serves."""
        self.deploys(REVISIONS[0], plan)
        self.observes(1, 0)
        self.acknowledges(0)

    @precondition(lambda self: not self.state.in_pass)
    @rule(plan=plans, revision=st.sampled_from(REVISIONS), kind=kinds)
    def runs_a_candidate(self, plan: Plan, revision: RevisionId, kind: VerdictKind) -> None:
        self.deploys(revision, plan)
        self.polls_on(VerdictKind.INCONCLUSIVE, 3)
        self.judges(kind, 0, 0.5)

    @precondition(lambda self: self.state.in_pass)
    @rule(kind=kinds, polls=st.integers(1, 12))
    def polls_on(self, kind: VerdictKind, polls: int) -> None:
        """A healthy stretch, so that deep states are reached."""
        for _ in range(polls):
            self.observes(1, 0)
            self.judges(kind, 0, 0.1)
            self.acknowledges(0)

    @rule(full=st.booleans(), force=st.sampled_from([False, False, True]))
    def promotes(self, full: bool, force: bool) -> None:
        self.send(Promote(at_ms=self.now, full=full, force=force))

    @rule(until=st.sampled_from(["", "", "Mon 06:00 UTC", "Sat 00:00 UTC"]))
    def freezes(self, until: str) -> None:
        self.send(Freeze(at_ms=self.now, until=until))

    @precondition(lambda self: self.state.in_pass and not self.state.frozen)
    @rule(kind=kinds, polls=st.integers(1, 12))
    def polls_on_in_a_freeze(self, kind: VerdictKind, polls: int) -> None:
        self.send(Freeze(at_ms=self.now, until="Mon 06:00 UTC"))
        self.polls_on(kind, polls)

    @rule(
        make=st.sampled_from([Pause, Resume, Abort, Retry, Undo]),
    )
    def says(self, make: Any) -> None:
        self.send(make(at_ms=self.now))

    @rule(to=st.sampled_from(REVISIONS))
    def undoes_to(self, to: RevisionId) -> None:
        self.send(Undo(at_ms=self.now, to=to))

    @rule()
    def approves(self) -> None:
        self.send(Approve(at_ms=self.now, gate="ok"))

    @rule(gate=st.sampled_from(["ok", "ok", "nobody"]))
    def goes_unanswered(self, gate: str) -> None:
        self.send(Unanswered(at_ms=self.now, gate=gate, message="nobody answered"))

    @rule(gate=st.sampled_from(["ok", "nobody"]))
    def refuses(self, gate: str) -> None:
        self.send(Refuse(at_ms=self.now, gate=gate, reason="too slow"))

    @precondition(lambda self: len(self.log) > 40)
    @rule()
    def deletes(self) -> None:
        self.send(Deleted(at_ms=self.now))

    @rule()
    def crashes_and_resumes(self) -> None:
        self.twin = state_from_json(state_to_json(self.twin))
        wanted = {type(action).__name__ for action in resume(self.twin)}
        assert not (self.state.routing and "Route" not in wanted)

    @invariant()
    def twin_agrees(self) -> None:
        assert self.twin == self.state

    @invariant()
    def weights_are_whole_and_stable_is_last(self) -> None:
        routing = self.state.routing
        if routing is not None:
            assert sum(arm.weight_bp for arm in routing.live) == BP_TOTAL
            assert routing.fallback == self.state.stable

    @invariant()
    def aborted_means_no_candidate_traffic_when_stable_is_whole(self) -> None:
        state = self.state
        if state.mode is Mode.ABORTED and state.plan and state.stable and state.routing:
            whole = state.ready_of(state.stable) >= state.plan.replicas
            assert not whole or state.routing.weight_bp(state.stable) == BP_TOTAL

    def teardown(self) -> None:
        replayed = State(release="taxi")
        for event in self.log:
            replayed, _ = decide(replayed, event)
        assert replayed == self.state


AnyOrder.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = AnyOrder.TestCase


@given(plan=plans)
@settings(max_examples=60, deadline=None)
def test_plan_survives_the_checkpoint_exactly(plan: Plan) -> None:
    state, _ = decide(State(release="taxi"), Deployed(at_ms=1, revision=REVISIONS[0], plan=plan))
    assert state_from_json(state_to_json(state)) == state
