"""Reading from the agents of all routers: connections kept open, silent routers left out."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from sluice.connections import AgentAddress, AgentConnections
from sluice.errors import TransientError


class AgentReader(AgentConnections):
    """Asks every agent the same, at once."""

    async def _ask_all(
        self, ask: Callable[[AgentAddress], Awaitable[bytes | TransientError]], what: str
    ) -> list[tuple[AgentAddress, bytes]]:
        """The answers of those that answer.

        Raises:
            TransientError: none does.
        """
        agents = self._agents()
        await self._close_gone(agents)
        answers = await asyncio.gather(*(ask(agent) for agent in agents))
        reached = [
            (agent, item)
            for agent, item in zip(agents, answers, strict=True)
            if isinstance(item, bytes)
        ]
        if not reached:
            reasons = "; ".join(str(item) for item in answers) or "there is no router"
            raise TransientError(f"no {what}: {reasons}")
        return reached

    async def _ask(self, agent: AgentAddress, path: str, **params: str) -> bytes | TransientError:
        """What an agent answers, or why it did not."""
        try:
            answer = await self._client(agent).get(path, params=params)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            return TransientError(f"router {agent.name} cannot be reached: {reason}")
        if not answer.is_success:
            text = answer.text[:200]
            return TransientError(f"router {agent.name}: {answer.status_code}: {text}")
        return answer.content
