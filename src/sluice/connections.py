"""HTTP connections that are kept, one client for each address; where an agent listens."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import httpx
from pydantic import SecretStr

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAddress:
    """Where one router's agent listens."""

    name: str
    url: str
    """``http://10.0.0.7:9901``; any host when ``uds`` is set."""
    uds: Path | None = None
    awaited: bool = field(default=True, compare=False)
    """False: told everything as well, but nobody waits for its answer. A router that is not ready
    gets no new users; those that it still has must not keep a failed candidate."""


class Connections(Generic[K]):
    """Base of what talks to others: a client for each key, made when it is first asked for."""

    def __init__(self, connect: Callable[[K], httpx.AsyncClient]) -> None:
        self._connect = connect
        self._clients: dict[K, httpx.AsyncClient] = {}

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

    def _client(self, key: K) -> httpx.AsyncClient:
        if key not in self._clients:
            self._clients[key] = self._connect(key)
        return self._clients[key]

    async def _close_gone(self, keys: Collection[K]) -> None:
        for gone in self._clients.keys() - set(keys):
            await self._clients.pop(gone).aclose()


class AgentConnections(Connections[AgentAddress]):
    """Base of what talks to the agents of routers.

    Args:
        agents: Returns the routers there are now; asked at every call.
        token: What the agents want to see.
        timeout: Longest wait for one agent; seconds, or one for each part of a request.
    """

    def __init__(
        self,
        agents: Callable[[], Sequence[AgentAddress]],
        *,
        token: SecretStr,
        timeout: float | httpx.Timeout,
    ) -> None:
        headers = {"authorization": f"Bearer {token.get_secret_value()}"}

        def connect(agent: AgentAddress) -> httpx.AsyncClient:
            transport = httpx.AsyncHTTPTransport(uds=str(agent.uds)) if agent.uds else None
            return httpx.AsyncClient(
                base_url=agent.url,
                headers=headers,
                timeout=timeout,
                transport=transport,
                trust_env=False,
            )

        super().__init__(connect)
        self._agents = agents
