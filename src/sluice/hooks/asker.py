"""One try of a gate's question, by its kind."""

import time
from collections.abc import Callable
from typing import assert_never

from sluice.hooks.commands import ask_command, ask_load
from sluice.hooks.http_check import ask_http
from sluice.hooks.outward import Outward
from sluice.hooks.webhook import ask_webhook
from sluice.nouns import GateAnswer, Question
from sluice.ports import CheckJob


class Asker:
    """Asks webhooks, addresses and programs.

    Args:
        jobs: Runs programs.
        now_s: UTC seconds, for signatures.
    """

    def __init__(self, jobs: CheckJob, *, now_s: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._now_s = now_s
        self._outward = Outward()

    async def ask(self, question: Question) -> GateAnswer:
        """See :class:`sluice.ports.Hook`."""
        match question.ask.kind:
            case "webhook":
                return await ask_webhook(self._outward, question, now_s=self._now_s)
            case "http":
                return await ask_http(self._outward, question)
            case "command":
                return await ask_command(self._jobs, question)
            case "load":
                return await ask_load(self._jobs, question)
            case kind:
                assert_never(kind)

    async def close(self) -> None:
        """Close all connections."""
        await self._outward.close()
