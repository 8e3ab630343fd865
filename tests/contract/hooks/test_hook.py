"""What every hook promises: it tries once, says what came of it, and stops when it is cancelled."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.hooks.questions import question
from tests.unit.hooks.servers import Receiver, receiver

from sluice.hooks.asker import Asker
from sluice.hooks.jobs import LocalJobs
from sluice.hooks.memory import MemoryHook
from sluice.nouns import AnswerKind, Ask, GateAnswer, Question
from sluice.ports import Hook

WORDS = {AnswerKind.YES: "approve", AnswerKind.NO: "refuse", AnswerKind.WAIT: "wait"}


@dataclass(kw_only=True)
class Rig:
    """A hook, somebody behind it, and a question for them."""

    hook: Hook
    question: Question
    says: Callable[[GateAnswer | None], None]
    """What is answered from now on; None: nothing, ever."""
    asked: Callable[[], Awaitable[None]]
    """Returns when a question has arrived."""


async def _memory(_: Path) -> AsyncIterator[Rig]:
    hook = MemoryHook()

    def says(answer: GateAnswer | None) -> None:
        if answer is None:
            hook.stuck.clear()
        else:
            hook.answers["smoke"] = [answer]

    async def asked() -> None:
        await asyncio.sleep(0)
        assert hook.asked

    yield Rig(hook=hook, question=question(Ask(kind="webhook")), says=says, asked=asked)


async def _webhook(folder: Path) -> AsyncIterator[Rig]:
    async with receiver() as server:
        hook = Asker(LocalJobs(folder))
        ask = Ask(kind="webhook", url=server.url, timeout_ms=60_000)
        yield Rig(
            hook=hook,
            question=question(ask),
            says=lambda answer: _answers(server, answer),
            asked=lambda: _arrived(server),
        )
        await hook.close()


def _answers(server: Receiver, answer: GateAnswer | None) -> None:
    if answer is None:
        server.answers = [(-1, b"")]
        return
    body = {"answer": WORDS.get(answer.kind, "?"), "reason": answer.reason}
    server.answers = [(200, json.dumps(body).encode())]


async def _arrived(server: Receiver) -> None:
    await server.wait(1)


@pytest_asyncio.fixture(params=[_memory, _webhook], ids=["memory", "webhook"])
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    async for made in request.param(tmp_path):
        yield made


@pytest.mark.parametrize("kind", list(WORDS))
async def test_answer_comes_back_as_it_was_given(rig: Rig, kind: AnswerKind) -> None:
    rig.says(GateAnswer(kind=kind, reason="so it is"))
    assert await rig.hook.ask(rig.question) == GateAnswer(kind=kind, reason="so it is")


async def test_nobody_there_is_silence_with_a_reason(rig: Rig) -> None:
    rig.says(GateAnswer(kind=AnswerKind.SILENT, reason="nobody is there"))
    answer = await rig.hook.ask(rig.question)
    assert answer.kind is AnswerKind.SILENT
    assert answer.reason


async def test_cancelled_question_ends_at_once(rig: Rig) -> None:
    rig.says(None)
    asking = asyncio.ensure_future(rig.hook.ask(rig.question))
    await rig.asked()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await asking


async def test_questions_do_not_wait_for_each_other(rig: Rig) -> None:
    rig.says(None)
    stuck = asyncio.ensure_future(rig.hook.ask(rig.question))
    await rig.asked()
    if isinstance(rig.hook, MemoryHook):
        rig.hook.stuck.set()
        await stuck
    rig.says(GateAnswer(kind=AnswerKind.YES))
    assert (await rig.hook.ask(rig.question)).kind is AnswerKind.YES
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
