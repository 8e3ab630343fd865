"""The data plane of Envoy routers: routing is pushed to the agent of every one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from sluice.connections import AgentAddress, AgentConnections
from sluice.dataplanes.codec import (
    decode_ack,
    decode_acks,
    encode_fragment,
    encode_releases,
)
from sluice.errors import RoutingRefused, SpecError, TransientError
from sluice.nouns import Ack, Capabilities, Fragment

T = TypeVar("T")

REFUSED = frozenset({httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY})


EPOCH_HEADER = "x-sluice-epoch"
"""Carries the number of the leadership that speaks, on everything that changes a router."""


class AgentDataPlane(AgentConnections):
    """Pushes to all agents at once, and answers when the slowest that is awaited has.

    Args:
        agents: Returns the routers there are now; asked at every call.
        token: What the agents want to see.
        timeout_s: Longest wait for one agent, seconds; above Envoy's own time to acknowledge.
        connect_s: Longest wait for a connection, seconds: an agent that is there accepts at once,
            and one on a dead machine must not hold the others for the whole of ``timeout_s``.
        epoch: Returns the number of the present leadership, which only grows: agents refuse what
            comes with a smaller one than they have seen. None: there is no other controller.
    """

    def __init__(
        self,
        agents: Callable[[], Sequence[AgentAddress]],
        *,
        token: SecretStr,
        timeout_s: float = 15.0,
        connect_s: float = 3.0,
        epoch: Callable[[], int | None] = lambda: None,
    ) -> None:
        timeout = httpx.Timeout(timeout_s, connect=connect_s)
        super().__init__(agents, token=token, timeout=timeout)
        self._epoch = epoch
        self._unawaited: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close all connections."""
        for task in self._unawaited:
            task.cancel()
        await asyncio.gather(*self._unawaited, return_exceptions=True)
        await super().close()

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return Capabilities()

    async def apply(self, fragment: Fragment) -> None:
        """Serve this routing on every router; returns when all have acknowledged it.

        Raises:
            RoutingRefused: a router refused it; names which and why.
            TransientError: a router could not be reached or did not acknowledge in time.
        """
        release = fragment.routing.release
        path = f"/v1/releases/{quote(release, safe='/')}"
        content = encode_fragment(fragment)

        async def put(agent: AgentAddress) -> None:
            try:
                answer = await self._ask(agent, "PUT", path, content)
            except TransientError as error:
                lags = f"it has not acknowledged generation {fragment.routing.generation}"
                raise TransientError(f"{error}; {lags}") from error
            ack = _decoded(agent, lambda: decode_ack(answer))
            served = (ack.release, ack.generation)
            if served != (release, fragment.routing.generation):
                raise TransientError(
                    f"router {agent.name} acknowledged generation {ack.generation} of"
                    f" {ack.release}, not {fragment.routing.generation} of {release}"
                )

        await self._everywhere(put)

    async def remove(self, release: str) -> None:
        """Stop serving a release on every router.

        Raises:
            RoutingRefused: a router has heard of another leader.
            TransientError: a router could not be reached.
        """
        path = f"/v1/releases/{quote(release, safe='/')}"

        async def delete(agent: AgentAddress) -> None:
            await self._ask(agent, "DELETE", path)

        if self._agents():  # without a router nobody serves it
            await self._everywhere(delete)

    async def renew(self, releases: Sequence[str]) -> None:
        """Renew leases on every router that can be reached.

        Raises:
            TransientError: no router could be reached.
        """
        content = encode_releases(releases)

        async def post(agent: AgentAddress) -> None:
            await self._ask(agent, "POST", "/v1/leases", content)

        agents = self._agents()
        errors = await self._outcomes(agents, post)
        if errors and len(errors) == sum(agent.awaited for agent in agents):
            raise TransientError("; ".join(str(error) for error in errors.values()))

    async def acks(self) -> Sequence[Ack]:
        """What every router that can be reached serves.

        Raises:
            TransientError: a router answers what makes no sense.
        """
        found: dict[AgentAddress, tuple[Ack, ...]] = {}

        async def get(agent: AgentAddress) -> None:
            answer = await self._ask(agent, "GET", "/v1/acks")
            found[agent] = _decoded(agent, lambda: decode_acks(answer))

        errors = await self._outcomes(self._agents(), get)
        nonsense = [error for error in errors.values() if isinstance(error, NonsenseError)]
        if nonsense:
            raise nonsense[0]
        return tuple(ack for acks in found.values() for ack in acks)

    async def _everywhere(self, act: Callable[[AgentAddress], Awaitable[None]]) -> None:
        agents = self._agents()
        if not any(agent.awaited for agent in agents):
            raise TransientError("there is no router to push to")
        errors = await self._outcomes(agents, act)
        refused = [str(error) for error in errors.values() if isinstance(error, RoutingRefused)]
        if refused:
            raise RoutingRefused("; ".join(refused))
        if errors:
            raise TransientError("; ".join(str(error) for error in errors.values()))

    async def _outcomes(
        self, agents: Sequence[AgentAddress], act: Callable[[AgentAddress], Awaitable[None]]
    ) -> Mapping[AgentAddress, RoutingRefused | TransientError]:
        errors: dict[AgentAddress, RoutingRefused | TransientError] = {}

        async def one(agent: AgentAddress) -> None:
            try:
                await act(agent)
            except (RoutingRefused, TransientError) as error:
                errors[agent] = error

        await self._close_gone(agents)
        for agent in agents:
            if not agent.awaited:
                task = asyncio.create_task(one(agent))
                self._unawaited.add(task)
                task.add_done_callback(self._unawaited.discard)
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                if agent.awaited:
                    group.create_task(one(agent))
        return {agent: error for agent, error in errors.items() if agent.awaited}

    async def _ask(
        self, agent: AgentAddress, method: str, path: str, content: bytes | None = None
    ) -> bytes:
        epoch = self._epoch() if method != "GET" else None
        headers = {} if epoch is None else {EPOCH_HEADER: str(epoch)}
        try:
            answer = await self._client(agent).request(
                method, path, content=content, headers=headers
            )
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"router {agent.name} cannot be reached: {reason}") from error
        if answer.is_success:
            return answer.content
        message = f"router {agent.name}: {_detail(answer)}"
        if answer.status_code in REFUSED:
            raise RoutingRefused(message)
        raise TransientError(message)


class NonsenseError(TransientError):
    """A router answered what cannot be understood."""


def _decoded(agent: AgentAddress, decode: Callable[[], T]) -> T:
    try:
        return decode()
    except SpecError as error:
        raise NonsenseError(f"router {agent.name} answers nonsense: {error}") from error


def _detail(answer: httpx.Response) -> str:
    try:
        detail = orjson.loads(answer.content)["detail"]
    except (ValueError, LookupError, TypeError):
        detail = answer.text[:200]
    return f"{answer.status_code}: {detail}"
