"""Counters of Envoy routers, read from the agent of every one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from sluice.errors import SpecError, TransientError
from sluice.metrics.codec import decode_snapshots
from sluice.nouns import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterAddress:
    """Where one router's agent listens."""

    name: str
    url: str
    """``http://10.0.0.7:9901``; any host when ``uds`` is set."""
    uds: Path | None = None


class RouterCounters:
    """Reads all routers at once.

    A router that does not answer is left out; one whose answer makes no sense fails the reading:
    garbage, counts that cannot be, counts that fell within an epoch.

    Args:
        agents: Returns the routers there are now; asked at every reading.
        token: What the agents want to see.
        timeout_s: Longest wait for one agent, seconds.
    """

    def __init__(
        self,
        agents: Callable[[], Sequence[CounterAddress]],
        *,
        token: SecretStr,
        timeout_s: float = 5.0,
    ) -> None:
        self._agents = agents
        self._headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        self._timeout_s = timeout_s
        self._clients: dict[CounterAddress, httpx.AsyncClient] = {}
        self._last: dict[tuple[str, str], Snapshot] = {}

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

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """One snapshot per router, by release.

        Raises:
            TransientError: no router answers, or one answers what makes no sense.
        """
        agents = self._agents()
        for gone in self._clients.keys() - set(agents):
            await self._clients.pop(gone).aclose()
        answers = await asyncio.gather(*(self._ask(agent) for agent in agents))
        reached = [
            (agent, item)
            for agent, item in zip(agents, answers, strict=True)
            if isinstance(item, bytes)
        ]
        if not reached:
            reasons = "; ".join(str(item) for item in answers) or "there is no router"
            raise TransientError(f"no counters: {reasons}")
        by_release: dict[str, list[Snapshot]] = {}
        for agent, content in reached:
            for release, snapshot in self._decoded(agent, content).items():
                by_release.setdefault(release, []).append(snapshot)
        for release, snapshots in by_release.items():
            for snapshot in snapshots:
                self._last[snapshot.router, release] = snapshot
        return {release: tuple(snapshots) for release, snapshots in by_release.items()}

    def _decoded(self, agent: CounterAddress, content: bytes) -> dict[str, Snapshot]:
        try:
            _, snapshots = decode_snapshots(content)
        except SpecError as error:
            raise TransientError(f"router {agent.name} answers nonsense: {error}") from error
        for release, snapshot in snapshots.items():
            before = self._last.get((snapshot.router, release))
            if before is not None:
                _check_grown(agent, release, before, snapshot)
        return snapshots

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

    async def _ask(self, agent: CounterAddress) -> bytes | TransientError:
        try:
            answer = await self._client(agent).get("/v1/counters")
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            return TransientError(f"router {agent.name} cannot be reached: {reason}")
        if not answer.is_success:
            text = answer.text[:200]
            return TransientError(f"router {agent.name}: {answer.status_code}: {text}")
        return answer.content


def _check_grown(agent: CounterAddress, release: str, before: Snapshot, after: Snapshot) -> None:
    if before.epoch != after.epoch:
        return
    for arm in before.arms:
        now = after.arm(arm.revision, arm.purpose)
        if now is not None and not (now.counts - arm.counts).plausible:
            raise TransientError(
                f"router {agent.name}: counts of {release} revision {arm.revision}"
                f" ({arm.purpose}) fell from {arm.counts.total} requests, {arm.counts.errors}"
                f" errors to {now.counts.total}, {now.counts.errors} in the same epoch"
            )
