"""Gates are asked in the background: what is asked when, and what each answer does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from tests.unit.runtime.world import NAME, V1, V2, V3, World, plan

from sluice.engine.canary import GateStep, SetWeight
from sluice.engine.events import Approve, Promote, Refuse
from sluice.engine.plan import Gate, Plan
from sluice.hooks.memory import MemoryHook
from sluice.nouns import (
    AnswerKind,
    Ask,
    FreezeWindow,
    GateAnswer,
    Phase,
    Question,
)
from sluice.runtime.loop import Loop

YES = GateAnswer(kind=AnswerKind.YES)
NO = GateAnswer(kind=AnswerKind.NO, reason="3 of 40 fares are negative")
WAIT = GateAnswer(kind=AnswerKind.WAIT, reason="still looking")
HOLD = GateAnswer(kind=AnswerKind.HOLD, reason="undecided")
SILENT = GateAnswer(kind=AnswerKind.SILENT, reason="nobody is there")
LATER = GateAnswer(kind=AnswerKind.NO, reason="answered 503", again=True)
ASK = Ask(kind="webhook", url="https://gate.example/x", retries=2, every_ms=4_000)


def gated(*gates: Gate, weight_bp: int = 500) -> Plan:
    """One step with a weight, one with gates, one more."""
    names = [GateStep(name="smoke")]
    base = plan(SetWeight(weight_bp=weight_bp), *names, SetWeight(weight_bp=2_500))
    (stage,) = base.stages
    rungs = tuple(replace(rung, gates=gates) if rung.gates else rung for rung in stage.rungs)
    return replace(base, stages=(replace(stage, rungs=rungs, deadline_ms=None),))


@dataclass(kw_only=True)
class Asked(World):
    """A world with somebody who answers gates."""

    hook: MemoryHook = field(default_factory=MemoryHook)

    def _controller(self) -> Loop:
        return Loop(
            platform=self.platform,
            dataplane=self.plane,
            metrics=_Counters(self),
            journal=self.journal,
            clock=self.clock,
            hook=self.hook,
            router_url=lambda: "http://127.0.0.1:8080",
        )

    async def second(self, rps: int = 100, releases: Sequence[str] = (NAME,)) -> None:
        await super().second(rps, releases)
        for _ in range(5):  # what goes on in the background gets its turn
            await asyncio.sleep(0)

    async def at_gate(self, what: Plan | None = None) -> None:
        """V2 stands at its gate."""
        await self.stable(what)
        await self.deploy(V2, what)
        for _ in range(20):
            await self.second()
            if self.hook.asked or self.status().gates:
                return
        raise AssertionError(self.status())


class _Counters:
    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self):  # type: ignore[no-untyped-def]
        return self._world.counters()


def world(ask: Ask = ASK, **answers: Sequence[GateAnswer]) -> tuple[Asked, Plan]:
    return Asked(hook=MemoryHook(**answers)), gated(Gate(name="smoke", ask=ask))


async def test_yes_goes_on_by_itself() -> None:
    asked, what = world(smoke=[YES])
    await asked.at_gate(what)
    await asked.seconds(3)
    assert asked.served_bp(V2) == 2_500
    assert [question.gate for question in asked.hook.asked] == ["smoke"]


async def test_no_turns_the_candidate_back_with_its_reason() -> None:
    asked, what = world(smoke=[NO])
    await asked.at_gate(what)
    await asked.seconds(2)
    status = asked.status()
    assert (status.phase, status.reason) == (Phase.ABORTED, "GateRefused")
    assert status.message == "gate smoke refused by webhook: 3 of 40 fares are negative"
    assert asked.served_bp(V2) == 0


async def test_question_says_what_is_asked_about_whom() -> None:
    asked, what = world(smoke=[WAIT])
    await asked.at_gate(what)
    question = asked.hook.asked[0]
    assert question.id == "taxi/2/smoke"
    assert (question.revision, question.stable) == (V2, V1)
    assert (question.strategy, question.step, question.weight_bp) == ("canary", "gate smoke", 500)
    assert question.reach.router == "http://127.0.0.1:8080"
    assert question.reach.headers == ()
    assert len(question.reach.direct) == 2
    assert question.verdict is not None


async def test_question_knows_the_header_that_leads_to_the_candidate() -> None:
    asked, what = world(smoke=[WAIT])
    await asked.at_gate(replace(what, forced_header="x-arm"))
    (question,) = asked.hook.asked
    assert question.reach.headers == (("host", "taxi"), ("x-arm", "candidate"))


async def test_wait_is_asked_again_and_holds_up_nobody() -> None:
    asked, what = world(smoke=[WAIT, WAIT, YES])
    await asked.at_gate(what)
    await asked.seconds(3)
    status = asked.status()
    assert (status.phase, len(asked.hook.asked)) == (Phase.PAUSED, 1)
    assert status.gates[0].said == "still looking"
    assert status.gates[0].asked == "webhook https://gate.example"
    assert "answered by webhook https://gate.example, or by a person" in status.next
    await asked.seconds(8)
    assert asked.served_bp(V2) == 2_500
    assert len({question.id for question in asked.hook.asked}) == 1


async def test_slow_gate_of_one_release_holds_up_no_poll_and_no_other_release() -> None:
    asked, what = world(smoke=[YES])
    asked.hook.stuck.clear()
    await asked.at_gate(what)
    other = plan(release="other")
    await asked.deploy(V1, other)
    await asked.seconds(5)
    assert asked.status("other").phase is Phase.HEALTHY
    asked.bad[V2] = 1.0
    status = await asked.until(Phase.ABORTED, at_most_s=60)
    assert status.reason == "CheckFailed"
    assert asked.hook.cancelled == ["taxi/2/smoke"]


async def test_silence_is_tried_again_with_growing_pauses_and_then_held_for_a_person() -> None:
    asked, what = world(Ask(kind="webhook", retries=3, every_ms=3_000), smoke=[SILENT])
    await asked.at_gate(what)
    times = [asked.clock.now_ms()]
    while asked.status().reason != "GateUnanswered":
        count = len(asked.hook.asked)
        await asked.second()
        if len(asked.hook.asked) > count:
            times.append(asked.clock.now_ms())
        assert len(times) < 10
        if len(asked.hook.asked) < 4:
            assert "nobody is there; asked again" in asked.status().problems[0]
    assert [b - a for a, b in pairwise(times)] == [1_000, 2_000, 3_000]
    status = asked.status()
    assert status.phase is Phase.PAUSED
    assert "no answer after 4 tries: nobody is there" in status.message
    assert "in place of its webhook" in status.next
    await asked.seconds(60)
    assert len(asked.hook.asked) == 4
    await asked.loop.command(NAME, lambda at: Approve(at_ms=at, gate="smoke", by="ada"))
    await asked.seconds(3)
    assert asked.served_bp(V2) >= 2_500


@pytest.mark.parametrize(
    ("on_silence", "phase", "reason"),
    [
        pytest.param("abort", Phase.ABORTED, "GateRefused", id="abort"),
        pytest.param("approve", Phase.PROGRESSING, "RungEntered", id="approve"),
        pytest.param("hold", Phase.PAUSED, "GateUnanswered", id="hold"),
    ],
)
async def test_policy_says_what_silence_means(on_silence: str, phase: Phase, reason: str) -> None:
    asked, what = world(replace(ASK, retries=0, on_silence=on_silence), smoke=[SILENT])
    await asked.at_gate(what)
    await asked.seconds(2)
    assert (asked.status().phase, asked.status().reason) == (phase, reason)


async def test_no_that_may_turn_is_tried_again_before_it_counts() -> None:
    asked, what = world(smoke=[LATER, LATER, YES])
    await asked.at_gate(what)
    await asked.seconds(8)
    assert asked.served_bp(V2) == 2_500
    refused, what = world(smoke=[LATER])
    await refused.at_gate(what)
    await refused.seconds(8)
    assert refused.status().reason == "GateRefused"
    assert len(refused.hook.asked) == 3


async def test_undecided_load_test_waits_for_a_person_and_is_not_run_again() -> None:
    asked, what = world(Ask(kind="load", command=("load",)), smoke=[HOLD])
    await asked.at_gate(what)
    await asked.seconds(60)
    assert asked.status().reason == "GateUnanswered"
    assert len(asked.hook.asked) == 1
    await asked.loop.command(NAME, lambda at: Refuse(at_ms=at, gate="smoke", by="ada"))
    assert asked.status().phase is Phase.ABORTED


async def test_gates_of_a_step_are_asked_one_after_the_other_and_a_persons_is_left_alone() -> None:
    hook = MemoryHook(first=[YES], last=[YES])
    asked = Asked(hook=hook)
    gates = (Gate(name="first", ask=ASK), Gate(name="person"), Gate(name="last", ask=ASK))
    await asked.at_gate(gated(*gates))
    await asked.seconds(10)
    assert [question.gate for question in hook.asked] == ["first"]
    assert [gate.name for gate in asked.status().gates] == ["person", "last"]
    await asked.loop.command(NAME, lambda at: Approve(at_ms=at, gate="person"))
    await asked.seconds(5)
    assert [question.gate for question in hook.asked] == ["first", "last"]
    assert asked.served_bp(V2) == 2_500


async def test_person_answers_first_and_the_question_is_dropped() -> None:
    asked, what = world(smoke=[NO])
    asked.hook.stuck.clear()
    await asked.at_gate(what)
    await asked.loop.command(NAME, lambda at: Approve(at_ms=at, gate="smoke", by="ada"))
    await asked.seconds(2)
    assert asked.hook.cancelled == ["taxi/2/smoke"]
    asked.hook.stuck.set()
    await asked.seconds(3)
    assert asked.status().phase is Phase.PROGRESSING


async def test_answer_about_a_pass_that_is_over_changes_nothing() -> None:
    asked, what = world(smoke=[NO])
    await asked.at_gate(what)
    old = asked.hook.asked[0]
    fresh, what = world(smoke=[WAIT])
    await fresh.at_gate(what)
    await fresh.deploy(V3, what)
    await fresh.seconds(4)
    before = fresh.loop.releases[NAME].core.state
    assert before.pass_number == 3
    make = lambda at: Refuse(at_ms=at, gate="smoke", reason="late")  # noqa: E731
    await fresh.loop._answered(old, make)
    assert fresh.loop.releases[NAME].core.state == before


async def test_new_candidate_is_asked_about_anew() -> None:
    asked, what = world(smoke=[SILENT])
    await asked.at_gate(what)
    await asked.seconds(10)
    assert asked.status().reason == "GateUnanswered"
    asked.hook.answers["smoke"] = [YES]
    await asked.deploy(V3, what)
    await asked.seconds(8)
    assert asked.hook.asked[-1].id == "taxi/3/smoke"
    assert asked.served_bp(V3) == 2_500


async def test_nothing_is_asked_while_a_person_has_paused() -> None:
    asked = Asked(hook=MemoryHook(smoke=[YES]))
    await asked.at_gate(gated(Gate(name="person"), Gate(name="smoke", ask=ASK)))
    await asked.verb("pause")
    await asked.loop.command(NAME, lambda at: Approve(at_ms=at, gate="person"))
    await asked.seconds(10)
    assert asked.hook.asked == []
    await asked.verb("resume")
    await asked.seconds(2)
    assert len(asked.hook.asked) == 1


async def test_nothing_is_asked_once_a_person_has_decided_to_promote() -> None:
    asked, what = world(smoke=[WAIT])
    await asked.at_gate(what)
    await asked.loop.command(NAME, lambda at: Promote(at_ms=at, full=True))
    await asked.seconds(20)
    assert asked.status().stable == V2
    assert len(asked.hook.asked) == 1


async def test_deleted_release_is_asked_about_no_more() -> None:
    asked, what = world(smoke=[YES])
    asked.hook.stuck.clear()
    await asked.at_gate(what)
    await asked.loop.delete(NAME, by="ada")
    for _ in range(5):
        await asked.clock.advance(1.0)
        await asked.loop.turn(poll=True)
    assert NAME not in asked.loop.releases
    await asyncio.sleep(0)
    assert asked.hook.cancelled == ["taxi/2/smoke"]


# --- restarts ---


async def test_controller_that_starts_again_goes_on_asking_under_the_same_id() -> None:
    asked, what = world(smoke=[YES])
    asked.hook.stuck.clear()
    await asked.at_gate(what)
    await asked.loop.close()
    assert asked.hook.cancelled == ["taxi/2/smoke"]
    asked.hook.stuck.set()
    await asked.crash()
    await asked.seconds(4)
    assert [question.id for question in asked.hook.asked] == ["taxi/2/smoke"] * 2
    assert asked.served_bp(V2) == 2_500


async def test_what_a_person_answers_now_is_not_asked_again_after_a_restart() -> None:
    asked, what = world(replace(ASK, retries=0), smoke=[SILENT])
    await asked.at_gate(what)
    await asked.seconds(2)
    assert asked.status().reason == "GateUnanswered"
    await asked.crash()
    await asked.seconds(10)
    assert len(asked.hook.asked) == 1
    assert asked.status().gates[0].said == "nobody is there"


async def test_fault_of_ours_in_a_hook_is_silence_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, what = world(replace(ASK, retries=0), smoke=[YES])

    async def breaks(_: Question) -> GateAnswer:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(asked.hook, "ask", breaks)
    await asked.at_gate(what)
    await asked.seconds(3)
    status = asked.status()
    assert status.reason == "GateUnanswered"
    assert "internal fault: ZeroDivisionError" in status.message


# --- freeze windows of the policy ---


async def test_freeze_window_of_the_policy_holds_the_pass_and_refuses_promote() -> None:
    always = FreezeWindow(
        days=tuple(range(7)), from_minute=0, to_minute=1_440, time_zone="Europe/Berlin"
    )
    asked, what = world(smoke=[YES])
    await asked.at_gate(what)
    tracked = asked.loop.releases[NAME]
    tracked.core.settings = replace(tracked.core.settings, freeze=(always,))
    await asked.seconds(5)
    status = asked.status()
    assert (status.phase, status.reason) == (Phase.PAUSED, "FreezeWindow")
    assert "sluice promote taxi --force" in status.next
    assert asked.served_bp(V2) == 500
    tracked.core.settings = replace(tracked.core.settings, freeze=())
    await asked.seconds(3)
    assert asked.served_bp(V2) == 2_500


async def test_verb_between_two_polls_meets_a_window_that_has_just_opened() -> None:
    asked, what = world(smoke=[WAIT])
    await asked.at_gate(what)
    core = asked.loop.releases[NAME].core
    always = FreezeWindow(days=tuple(range(7)), from_minute=0, to_minute=1_440, time_zone="UTC")
    core.settings = replace(core.settings, freeze=(always,))
    with pytest.raises(Exception, match="frozen until"):
        await asked.loop.command(NAME, lambda at: Promote(at_ms=at))
