"""Whatever happens, in whatever order, with a crash anywhere: the invariants hold."""

from dataclasses import replace
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
from tests.unit.engine.plans import OTHER, plans

from sluice.engine.actions import Refused
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
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.nouns import BP_TOTAL, RevisionId, VerdictKind
from sluice.runtime.checkpoint import state_from_json, state_to_json

REVISIONS = [RevisionId(f"v{n}") for n in range(1, 5)]
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
        before = self.state
        self.state, actions = decide(self.state, event)
        if actions and isinstance(actions[0], Refused):
            assert self.state == before
        looked = isinstance(event, Observed | Judged | Acknowledged)
        late = before.mode is Mode.RUNNING and before.at_stage.on_inconclusive == "promote"
        if looked and before.open_gates and not before.promoting and not late:
            here = (self.state.stage, self.state.rung, self.state.stable)
            assert here == (before.stage, before.rung, before.stable), "a question was skipped"
        self.twin, same = decide(self.twin, event)
        assert same == actions

    @property
    def now(self) -> int:
        return self.state.at_ms

    @rule(
        revision=st.sampled_from(REVISIONS),
        plan=plans,
        other=st.sampled_from([None, None, REVISIONS[-1]]),
    )
    def deploys(self, revision: RevisionId, plan: Plan, other: RevisionId | None) -> None:
        variants = ((OTHER, other),) if other not in (None, revision) else ()
        self.send(Deployed(at_ms=self.now, revision=revision, plan=plan, variants=variants))

    @rule(seconds=st.integers(-5, 40), loss=st.sampled_from([0, 0, 0, 1, 9]))
    def observes(self, seconds: int, loss: int) -> None:
        ready = tuple((r, max(0, n - loss)) for r, n in self.state.sizes)
        self.send(Observed(at_ms=self.now + seconds * 1_000, ready=ready))

    @rule(late=st.integers(0, 2))
    def acknowledges(self, late: int) -> None:
        generation = max(0, self.state.generation - late)
        self.send(Acknowledged(at_ms=self.now, generation=generation))

    @rule(
        kind=kinds,
        late=st.sampled_from([0, 0, 0, 1]),
        upper=st.floats(0, 1),
        winner=st.sampled_from(["", "", "candidate", OTHER, "nobody"]),
    )
    def judges(self, kind: VerdictKind, late: int, upper: float, winner: str) -> None:
        cause = "ControlWon" if winner and kind is VerdictKind.FAILED else ""
        said = replace(verdict(kind, upper=upper), winner=winner, cause=cause)
        number = self.state.pass_number - late
        self.send(Judged(at_ms=self.now, pass_number=number, verdict=said))

    @initialize(plan=plans)
    def has_a_stable(self, plan: Plan) -> None:
        """Most stories begin with a revision that serves."""
        self.deploys(REVISIONS[0], plan, None)
        self.observes(1, 0)
        self.acknowledges(0)

    @precondition(lambda self: not self.state.in_pass)
    @rule(plan=plans, revision=st.sampled_from(REVISIONS), kind=kinds)
    def runs_a_candidate(self, plan: Plan, revision: RevisionId, kind: VerdictKind) -> None:
        self.deploys(revision, plan, None)
        self.polls_on(VerdictKind.INCONCLUSIVE, 3)
        self.judges(kind, 0, 0.5, "")

    @precondition(lambda self: self.state.in_pass)
    @rule(kind=kinds, polls=st.integers(1, 12))
    def polls_on(self, kind: VerdictKind, polls: int) -> None:
        """A healthy stretch, so that deep states are reached."""
        for _ in range(polls):
            self.observes(1, 0)
            self.judges(kind, 0, 0.1, "")
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

    @rule(gate=st.sampled_from(["ok", "ok-1", "ok-2"]))
    def approves(self, gate: str) -> None:
        self.send(Approve(at_ms=self.now, gate=gate))

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
            whole = state.ready_of(state.stable) >= state.plan.enough
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
