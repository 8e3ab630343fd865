"""What a router of a cluster learns by itself: routing at the start, endpoints in silence.

The controller decides as long as it speaks. A router that starts without one serves what the
Releases' ``status.routing`` say; one whose controller has gone silent follows the pods that come
and go. Decision 124.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from sluice.agent.callers import Callers
from sluice.agent.core import Agent
from sluice.agent.endpoints import SERVICE_LABEL, endpoints_of
from sluice.dataplanes.codec import decode_routing
from sluice.errors import RoutingRefused, SpecError, StateError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import ENDPOINT_SLICE, RELEASE
from sluice.kube.watching import Watched
from sluice.nouns import Endpoint, Fragment, RevisionId, Routing

log = structlog.get_logger(__name__)

SILENCE_S = 5.0
"""A controller asks for counters every second: after so long without a word it is away."""
PATIENCE_S = 10.0
"""After so long without an API server a router that has something to serve gets ready with that."""
PAUSE_S = 1.0
"""How often it looks whether the controller has gone silent, and tries again what failed."""
REVISION_LABEL = "sluice.dev/revision"

Endpoints = Mapping[RevisionId, tuple[Endpoint, ...]]
Slices = Mapping[tuple[str, str], list[Mapping[str, Any]]]
"""By namespace and Service."""


class ClusterWatch:
    """Follows Releases and EndpointSlices for one agent.

    Args:
        agent: Who serves.
        callers: When a controller spoke last.
        client: The API server.
        namespaces: Only these; none: all.
        now_s: A clock that only moves forward, seconds.
    """

    def __init__(
        self,
        agent: Agent,
        callers: Callers,
        client: KubeClient,
        *,
        namespaces: Sequence[str] = (),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent = agent
        self._callers = callers
        self._now_s = now_s
        self._began_s = now_s()
        places = namespaces or (None,)
        self._releases = [client.watch(RELEASE, place) for place in places]
        self._slices = [
            client.watch(ENDPOINT_SLICE, place, labels=REVISION_LABEL) for place in places
        ]
        self._started = False
        self._done: tuple[int, ...] | None = None
        self._refused: dict[str, int] = {}
        self._changed = asyncio.Event()

    @property
    def waiting_for(self) -> str:
        """What the router must still learn before users may come; empty: nothing."""
        if self._started:
            return ""
        if self._agent.fragments and self._now_s() - self._began_s >= PATIENCE_S:
            return ""
        problems = [watched.problem for watched in self._watched if watched.problem]
        return f"Releases have not been read yet: {problems[0] if problems else 'no answer yet'}"

    @property
    def _watched(self) -> Sequence[Watched]:
        return (*self._releases, *self._slices)

    async def run(self) -> None:
        """Follow until cancelled."""
        tasks = [asyncio.create_task(self._notice(watched.start())) for watched in self._watched]
        try:
            while True:
                await self.step()
                self._changed.clear()
                try:
                    await asyncio.wait_for(self._changed.wait(), PAUSE_S)
                except TimeoutError:
                    continue
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for watched in self._watched:
                await watched.stop()

    async def _notice(self, watched: Watched) -> None:
        seen = watched.version
        while True:
            seen = await watched.wait_change(seen)
            self._changed.set()

    async def step(self) -> None:
        """Do what is to be done now: everything at the start, then only while nobody speaks."""
        if not all(watched.synced for watched in self._watched):
            return
        silent = self._callers.silent_s >= SILENCE_S
        if self._started and not silent:
            self._done = None
            return
        versions = tuple(watched.version for watched in self._watched)
        if versions == self._done:
            return
        if await self._take(endpoints=silent):
            self._done = versions if silent else None
            if not self._started:
                self._started = True
                log.info("agent.cluster_read", releases=len(self._agent.fragments))

    async def _take(self, *, endpoints: bool) -> bool:
        slices = self._by_service()
        whole = True
        for watched in self._releases:
            for (namespace, name), release in tuple(watched.objects().items()):
                try:
                    await self._one(namespace, name, release, slices, endpoints=endpoints)
                except RoutingRefused:
                    pass  # said in the log and in the acknowledgement by the agent itself
                except (TransientError, StateError) as error:
                    whole = False
                    log.warning(
                        "agent.release_not_taken", release=f"{namespace}/{name}", reason=str(error)
                    )
        return whole

    async def _one(
        self,
        namespace: str,
        name: str,
        release: Mapping[str, Any],
        slices: Slices,
        *,
        endpoints: bool,
    ) -> None:
        key = f"{namespace}/{name}"
        port = ((release.get("spec") or {}).get("traffic") or {}).get("port", "http")
        served = self._agent.fragment(key)

        def present(routing: Routing) -> Endpoints:
            known = served.endpoints if served is not None else {}
            found = {}
            for revision in dict.fromkeys(arm.revision for arm in routing.arms):
                of_service = slices.get((namespace, f"{name}-{revision}"))
                # A Service that is not there says nothing about pods that are.
                found[revision] = (
                    known.get(revision, ())
                    if of_service is None
                    else endpoints_of(of_service, port)
                )
            return found

        routing = self._recorded(key, release)
        if routing is not None and (
            served is None or routing.generation > served.routing.generation
        ):
            if self._refused.get(key) == routing.generation:
                return
            try:
                await self._agent.put(Fragment(routing=routing, endpoints=present(routing)))
            except RoutingRefused:
                self._refused[key] = routing.generation
                raise
        elif served is not None and endpoints:
            await self._agent.refresh(key, present(served.routing))

    def _recorded(self, key: str, release: Mapping[str, Any]) -> Routing | None:
        record = (release.get("status") or {}).get("routing")
        if not record:
            return None
        try:
            routing = decode_routing(record)
        except SpecError as error:
            log.warning("agent.status_routing_unreadable", release=key, reason=str(error))
            return None
        if routing.release != key:
            log.warning("agent.status_routing_of_another", release=key, names=routing.release)
            return None
        return routing

    def _by_service(self) -> Slices:
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for watched in self._slices:
            for (namespace, _), item in watched.objects().items():
                service = (item["metadata"].get("labels") or {}).get(SERVICE_LABEL, "")
                found[namespace, service].append(item)
        return dict(found)
