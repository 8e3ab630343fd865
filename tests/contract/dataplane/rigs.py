"""The same story for two data planes: memory, and Envoy with its agent and real connections."""

import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from pydantic import SecretStr
from tests.contract.dataplane.support import (
    TOKEN,
    EnvoyProcess,
    Reply,
    Upstream,
    Users,
    agent_of,
    eventually,
)

from sluice.connections import AgentAddress
from sluice.dataplanes.agents import AgentDataPlane
from sluice.dataplanes.memory import MemoryDataPlane
from sluice.errors import TransientError
from sluice.metrics.memory import MemoryMetricSource, MemoryPairs
from sluice.metrics.pairs import RouterPairs
from sluice.metrics.routers import RouterCounters
from sluice.nouns import Answer as Captured
from sluice.nouns import ArmCounts, Endpoint, Fragment, Pair, Purpose, RevisionId, Routing, Snapshot
from sluice.ports import DataPlane, MetricSource, Pairs


@dataclass(frozen=True)
class Answer:
    """What a user saw."""

    status: int
    revision: str
    generation: int


class Rig(Protocol):
    """A data plane, its counters, servers behind it and users in front."""

    plane: DataPlane
    metrics: MetricSource
    pairs: Pairs

    async def endpoints(self, revision: str, count: int = 1) -> tuple[Endpoint, ...]: ...

    def behave(self, revision: str, mode: str) -> None: ...

    def answers(self, revision: str, body: bytes) -> None:
        """What a revision answers from now on, as JSON."""
        ...

    async def send(
        self,
        routing: Routing,
        count: int = 1,
        *,
        users: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> list[Answer]: ...

    async def lease_ends(self, routing: Routing) -> None: ...

    async def counts(
        self, release: str, revision: str, purpose: Purpose, total: int, *, timed: bool = True
    ) -> ArmCounts:
        """The arm, once it has counted ``total`` requests, and timed them as well."""
        ...


@dataclass
class ManualClock:
    ms: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass
class MemoryRig:
    clock: ManualClock = field(default_factory=ManualClock)
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    modes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memory = MemoryDataPlane(self.clock, router="router-0")
        self.plane: DataPlane = self.memory
        self.metrics: MetricSource = MemoryMetricSource(self.memory.snapshots)
        self.captured = MemoryPairs()
        self.pairs: Pairs = self.captured
        self.bodies: dict[str, bytes] = {}

    async def endpoints(self, revision: str, count: int = 1) -> tuple[Endpoint, ...]:
        return tuple(
            Endpoint(name=f"{revision}-{index}", host="127.0.0.1", port=9_000 + index)
            for index in range(count)
        )

    def behave(self, revision: str, mode: str) -> None:
        self.modes[revision] = mode

    def answers(self, revision: str, body: bytes) -> None:
        self.bodies[revision] = body

    async def send(
        self,
        routing: Routing,
        count: int = 1,
        *,
        users: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> list[Answer]:
        answers = []
        for user in users if users is not None else [None] * count:
            pick = self.memory.pick(
                routing.release, user=user, headers=headers, host=host, rng=self.rng
            )
            copies = self.memory.mirrors(routing.release, rng=self.rng)
            for copy in copies:
                self.memory.record(routing.release, copy, status=self._status(copy.revision))
            if routing.capture is not None and pick.revision == routing.fallback:
                self._capture(routing, [copy.revision for copy in copies])
            status = self._status(pick.revision) if pick.endpoint else 503
            self.memory.record(routing.release, pick, status=status)
            generation = (await self.plane.acks())[0].generation
            answers.append(Answer(status, pick.revision, generation))
        return answers

    def _capture(self, routing: Routing, copies: list[RevisionId]) -> None:
        stable = routing.fallback
        for revision in copies:
            if revision != stable:
                pair = Pair(
                    request_id=f"{self.rng.getrandbits(64):x}",
                    stable=stable,
                    candidate=revision,
                    primary=self._answer(stable),
                    shadow=self._answer(revision),
                    again=self._answer(stable) if stable in copies else None,
                )
                self.captured.add(routing.release, pair)

    def _answer(self, revision: str) -> Captured:
        return Captured(
            status=self._status(revision),
            duration_us=1_000,
            media_type="application/json",
            body=self.bodies.get(revision, b"{}"),
        )

    def _status(self, revision: str) -> int:
        mode = self.modes.get(revision, "ok")
        return int(mode) if mode.isdecimal() else 200

    async def lease_ends(self, routing: Routing) -> None:
        self.clock.ms += routing.lease_ms or 0

    async def counts(
        self, release: str, revision: str, purpose: Purpose, total: int, *, timed: bool = True
    ) -> ArmCounts:
        snapshots = await self.metrics.read()
        arm = snapshots[release][0].arm(RevisionId(revision), purpose)
        assert arm is not None
        assert arm.counts.total == total
        return arm


@dataclass
class EnvoyRig:
    envoy: EnvoyProcess
    plane: DataPlane
    metrics: MetricSource
    pairs: Pairs
    users: Users
    stack: contextlib.AsyncExitStack
    upstreams: dict[str, list[Upstream]] = field(default_factory=dict)

    async def endpoints(self, revision: str, count: int = 1) -> tuple[Endpoint, ...]:
        started = self.upstreams.setdefault(revision, [])
        while len(started) < count:
            upstream = Upstream(f"{revision}-{len(started)}")
            await upstream.start()
            self.stack.push_async_callback(upstream.stop)
            started.append(upstream)
        return tuple(
            Endpoint(name=upstream.name, host="127.0.0.1", port=upstream.port)
            for upstream in started[:count]
        )

    def behave(self, revision: str, mode: str) -> None:
        for upstream in self.upstreams[revision]:
            upstream.mode = mode

    def answers(self, revision: str, body: bytes) -> None:
        for upstream in self.upstreams[revision]:
            upstream.body, upstream.media_type = body, "application/json"

    async def send(
        self,
        routing: Routing,
        count: int = 1,
        *,
        users: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> list[Answer]:
        sticky = routing.sticky.header if routing.sticky else None

        async def one(user: str | None) -> Reply:
            known = {sticky: user} if sticky and user is not None else {}
            return await self.users.ask(
                host or routing.hosts[0], headers={**known, **(headers or {})}
            )

        wanted = list(users) if users is not None else [None] * count
        replies = await self.users.ask_all([partial(one, user) for user in wanted])
        return [
            Answer(
                reply.status,
                reply.headers.get("x-sluice-version", ""),
                int(reply.headers["x-sluice-generation"]),
            )
            for reply in replies
        ]

    async def lease_ends(self, routing: Routing) -> None:
        async def expired() -> bool:
            return any(
                ack.lease_expired
                for ack in await self.plane.acks()
                if ack.release == routing.release
            )

        await eventually(expired, bool)

    async def counts(
        self, release: str, revision: str, purpose: Purpose, total: int, *, timed: bool = True
    ) -> ArmCounts:
        async def read() -> ArmCounts | None:
            snapshots: Mapping[str, tuple[Snapshot, ...]] = await self.metrics.read()
            return snapshots[release][0].arm(RevisionId(revision), purpose)

        def settled(arm: ArmCounts | None) -> bool:
            if arm is None or arm.counts.total != total:
                return False
            return not timed or arm.counts.timed == total

        arm = await eventually(read, settled)
        assert arm is not None
        return arm


@contextlib.asynccontextmanager
async def envoy_rig(envoy: EnvoyProcess) -> AsyncIterator[EnvoyRig]:
    """A new agent for an Envoy that runs already."""
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(agent_of(envoy.settings))
        token = SecretStr(TOKEN)
        plane = await stack.enter_async_context(
            AgentDataPlane(lambda: [AgentAddress(name="router-0", url=url)], token=token)
        )
        metrics = await stack.enter_async_context(
            RouterCounters(lambda: [AgentAddress(name="router-0", url=url)], token=token)
        )
        pairs = await stack.enter_async_context(
            RouterPairs(lambda: [AgentAddress(name="router-0", url=url)], token=token)
        )
        users = Users(envoy.settings.traffic_port)
        stack.push_async_callback(users.close)
        rig = EnvoyRig(envoy, plane, metrics, pairs, users, stack)
        try:
            yield rig
        finally:
            with contextlib.suppress(TransientError):
                for ack in await plane.acks():
                    await plane.remove(ack.release)


def fragment(routing: Routing, endpoints: Mapping[str, tuple[Endpoint, ...]]) -> Fragment:
    return Fragment(
        routing=routing,
        endpoints={RevisionId(revision): found for revision, found in endpoints.items()},
    )
