"""Twins in memory: a hook that answers what it is told to, a notifier that remembers."""

import asyncio
from collections.abc import Sequence

from sluice.nouns import AnswerKind, GateAnswer, Notice, Notify, Question


class MemoryHook:
    """Answers gates from lists, the last answer again and again; others are silent.

    Args:
        answers: By the gate's name, in order.
    """

    def __init__(self, **answers: Sequence[GateAnswer]) -> None:
        self.answers = {gate: list(given) for gate, given in answers.items()}
        self.asked: list[Question] = []
        self.cancelled: list[str] = []
        """Ids of questions that nobody wanted to know any more."""
        self.stuck = asyncio.Event()
        self.stuck.set()
        """Cleared: questions wait until it is set again."""

    async def ask(self, question: Question) -> GateAnswer:
        """See :class:`sluice.ports.Hook`."""
        self.asked.append(question)
        try:
            await self.stuck.wait()
        except asyncio.CancelledError:
            self.cancelled.append(question.id)
            raise
        given = self.answers.get(question.gate, [])
        if not given:
            return GateAnswer(kind=AnswerKind.SILENT, reason="nobody is there")
        return given.pop(0) if len(given) > 1 else given[0]


class MemoryNotifier:
    """Remembers what was told, and to whom."""

    def __init__(self) -> None:
        self.told: list[tuple[Notify, Notice]] = []

    def tell(self, notice: Notice, receivers: Sequence[Notify]) -> None:
        """See :class:`sluice.ports.Notifier`."""
        self.told += [(receiver, notice) for receiver in receivers]

    def problems(self, receivers: Sequence[Notify]) -> Sequence[str]:
        """None, ever."""
        return ()
