"""Reading from the agents of all routers: connections kept open, silent routers left out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from sluice.errors import TransientError


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterAddress:
    """Where one router's agent listens."""

    name: str
    url: str
    """``http://10.0.0.7:9901``; any host when ``uds`` is set."""
    uds: Path | None = None


class AgentReader:
    """Asks every agent the same, at once.

    Args:
        agents: Returns the routers there are now; asked at every reading.
        token: What the agents want to see.
        timeout_s: Longest wait for one agent, seconds.
    """

    def __init__(
        self, agents: Callable[[], Sequence[CounterAddress]], *, token: SecretStr, timeout_s: float
    ) -> None:
        self._agents = agents
        self._headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        self._timeout_s = timeout_s
        self._clients: dict[CounterAddress, httpx.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _ask_all(
        self, ask: Callable[[CounterAddress], Awaitable[bytes | TransientError]], what: str
    ) -> list[tuple[CounterAddress, bytes]]:
        """The answers of those that answer.

        Raises:
            TransientError: none does.
        """
        agents = self._agents()
        for gone in self._clients.keys() - set(agents):
            await self._clients.pop(gone).aclose()
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

    def _client(self, agent: CounterAddress) -> httpx.AsyncClient:
        if agent not in self._clients:
            transport = httpx.AsyncHTTPTransport(uds=str(agent.uds)) if agent.uds else None
            self._clients[agent] = httpx.AsyncClient(
                base_url=agent.url,
                headers=self._headers,
                timeout=self._timeout_s,
                transport=transport,
                trust_env=False,
            )
        return self._clients[agent]

    async def _ask(self, agent: CounterAddress, path: str, **params: str) -> bytes | TransientError:
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
