"""Has open gates answered without a person: in the background, one question at a time a release.

A question is about one gate of one pass. What came of it is in ``core.apart["gates"]``, so that a
controller that starts again goes on asking, and does not ask again what a person answers now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from sluice.engine.events import Approve, Event, Refuse, Unanswered
from sluice.engine.state import Mode, State
from sluice.hooks.outward import place_of
from sluice.nouns import (
    AnswerKind,
    Ask,
    GateAnswer,
    Purpose,
    Question,
    Reach,
    RevisionId,
)
from sluice.ports import Clock, Hook
from sluice.runtime.tracked import Tracked

log = structlog.get_logger()

KEPT = "gates"
"""Key in ``core.apart``: by gate, ``tries``, ``said`` and whether it is ``left`` to a person."""
FIRST_PAUSE_MS = 1_000
Send = Callable[[Question, Callable[[int], Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    id: str
    task: asyncio.Task[None]


class Gates:
    """Asks the gates of all releases.

    Args:
        hook: Tries once.
        clock: Time between tries.
        send: Takes the event that an answer means, if the question still stands.
        router_url: Where users connect; empty: unknown.
    """

    def __init__(
        self, hook: Hook, clock: Clock, send: Send, router_url: Callable[[], str] = lambda: ""
    ) -> None:
        self._hook = hook
        self._clock = clock
        self._send = send
        self._router_url = router_url
        self._asked: dict[str, _Asked] = {}

    def look(self, tracked: Tracked) -> None:
        """Begin to ask what is open now, and stop asking what no longer is."""
        name = tracked.core.state.release
        question = question_of(tracked, self._router_url())
        asked = self._asked.get(name)
        if asked is not None and (question is None or asked.id != question.id):
            self.drop(name)
            asked = None
        if question is None:
            tracked.solved(KEPT)
        elif asked is None and not _kept(tracked, question.gate).get("left"):
            task = asyncio.create_task(self._ask(tracked, question))
            self._asked[name] = _Asked(id=question.id, task=task)

    def drop(self, name: str) -> None:
        """Nobody wants to know any more."""
        asked = self._asked.pop(name, None)
        if asked is not None:
            asked.task.cancel()

    async def close(self) -> None:
        """Stop asking; the next controller begins each open question again."""
        tasks = [asked.task for asked in self._asked.values()]
        for name in list(self._asked):
            self.drop(name)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, tracked: Tracked, question: Question) -> None:
        """Try until it is answered, or all tries are used up."""
        ask, kept = question.ask, _kept(tracked, question.gate)
        while True:
            answer = await self._try(question)
            kept["said"] = answer.reason
            again = answer.kind is AnswerKind.SILENT or answer.again
            kept["tries"] = kept.get("tries", 0) + 1 if again else 0
            log.info(
                "gate.asked",
                release=question.release,
                gate=question.gate,
                kind=ask.kind,
                answer=answer.kind,
                reason=answer.reason,
                tries=kept["tries"],
            )
            if answer.kind is AnswerKind.WAIT:
                tracked.solved(KEPT)
                pause_ms = ask.every_ms
            elif again and kept["tries"] <= ask.retries:
                tracked.problem(KEPT, f"gate {question.gate}: {answer.reason}; asked again")
                pause_ms = min(ask.every_ms, FIRST_PAUSE_MS << min(kept["tries"] - 1, 20))
            else:
                break
            await self._clock.sleep(pause_ms / 1000)
        tracked.solved(KEPT)
        event = _event(question, answer, kept)
        kept["left"] = isinstance(event(0), Unanswered)
        await self._send(question, event)

    async def _try(self, question: Question) -> GateAnswer:
        try:
            return await self._hook.ask(question)
        except Exception as error:  # a fault of ours in one gate must not leave it unanswered
            log.exception("gate.ask_failed", release=question.release, gate=question.gate)
            fault = f"internal fault: {type(error).__name__}: {error}"
            return GateAnswer(kind=AnswerKind.SILENT, reason=fault)


def question_of(tracked: Tracked, router_url: str = "") -> Question | None:
    """What is to be asked of a release now: its first open gate, once routers serve its step."""
    state = tracked.core.state
    gate = state.open_gates[0] if state.open_gates else None
    if gate is None or gate.ask is None or state.paused or state.promoting:
        return None
    candidate, stable = state.candidate, state.stable
    if candidate is None or stable is None or state.ready_of(candidate) == 0:
        return None
    if state.acknowledged < state.generation:
        return None
    return Question(
        id=f"{state.release}/{state.pass_number}/{gate.name}",
        release=state.release,
        pass_number=state.pass_number,
        revision=candidate,
        stable=stable,
        gate=gate.name,
        strategy=state.at_stage.strategy,
        step=state.at_rung.name,
        weight_bp=state.weight_bp,
        ask=gate.ask,
        reach=_reach(tracked, candidate, router_url),
        verdict=tracked.core.verdict,
    )


def still_asked(state: State, question: Question) -> bool:
    """Whether an answer to this question still means anything."""
    return (
        state.mode is Mode.RUNNING
        and state.pass_number == question.pass_number
        and question.gate in {gate.name for gate in state.open_gates}
    )


def asked_of(ask: Ask) -> str:
    """Who answers a gate, without what may be secret in an address."""
    match ask.kind:
        case "webhook":
            return f"webhook {place_of(ask.url)}"
        case "http":
            return f"http {place_of(ask.url) if '://' in ask.url else ask.url}"
        case "command" | "load":
            return f"{ask.kind} {ask.command[0] if ask.command else ''}".rstrip()


def said_of(apart: Mapping[str, Any], gate: str) -> str:
    """What the gate was last answered, in one line; empty: nothing yet."""
    return str(apart.get(KEPT, {}).get(gate, {}).get("said", ""))


def _kept(tracked: Tracked, gate: str) -> dict[str, Any]:
    kept: dict[str, Any] = tracked.core.apart.setdefault(KEPT, {}).setdefault(gate, {})
    return kept


def _reach(tracked: Tracked, candidate: RevisionId, router_url: str) -> Reach:
    replicas = next((item for item in tracked.replicas if item.revision == candidate), None)
    direct = tuple(f"http://{item.address}" for item in replicas.ready) if replicas else ()
    routing = tracked.core.state.routing
    arms = [arm for arm in routing.arms if arm.revision == candidate] if routing else []
    for arm in sorted(arms, key=lambda arm: arm.purpose is not Purpose.PREVIEW):
        if arm.purpose is Purpose.PREVIEW and arm.hosts:
            return Reach(direct=direct, router=router_url, headers=(("host", arm.hosts[0]),))
        if arm.match is not None:
            host = next((h for h in routing.hosts if h != "*"), "") if routing else ""
            chosen = ((arm.match.header, arm.match.value),)
            headers = (("host", host), *chosen) if host else chosen
            return Reach(direct=direct, router=router_url, headers=headers)
    return Reach(direct=direct, router=router_url)


def _event(question: Question, answer: GateAnswer, kept: dict[str, Any]) -> Callable[[int], Event]:
    """What the last answer means for the release."""
    ask, gate, reason = question.ask, question.gate, answer.reason
    match answer.kind:
        case AnswerKind.YES:
            return lambda at: Approve(at_ms=at, gate=gate, by=ask.kind)
        case AnswerKind.NO:
            return lambda at: Refuse(at_ms=at, gate=gate, reason=reason, by=ask.kind)
        case AnswerKind.HOLD:
            return _left_to_a_person(gate, f"cannot be said by its {ask.kind}: {reason}")
        case _:
            return _silence(ask, gate, reason, kept["tries"])


def _silence(ask: Ask, gate: str, reason: str, tries: int) -> Callable[[int], Event]:
    times = "1 try" if tries == 1 else f"{tries} tries"
    why = f"no answer after {times}: {reason}"
    by = f"onSilence of its {ask.kind}"
    match ask.on_silence:
        case "approve":
            return lambda at: Approve(at_ms=at, gate=gate, by=by)
        case "abort":
            return lambda at: Refuse(at_ms=at, gate=gate, reason=why, by=by)
        case "hold":
            return _left_to_a_person(gate, why)


def _left_to_a_person(gate: str, why: str) -> Callable[[int], Event]:
    return lambda at: Unanswered(
        at_ms=at, gate=gate, message=f"gate {gate}: {why}; a person answers now"
    )
