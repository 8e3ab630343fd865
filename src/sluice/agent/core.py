"""What an agent knows and does: fragments in, leases, acknowledgements out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from sluice.agent.lingering import Lingering
from sluice.agent.rendering import Rendered, Renderer
from sluice.agent.sink import ConfigSink, Conflict
from sluice.agent.store import FragmentStore
from sluice.dataplanes.codec import claimed_hosts
from sluice.dataplanes.envoyfiles import XdsConfig
from sluice.dataplanes.names import ClusterName
from sluice.errors import RoutingRefused, StateError, TransientError
from sluice.nouns import Ack, Endpoint, Fragment, RevisionId

log = structlog.get_logger(__name__)

RETRY_S = 0.2
"""Pause before Envoy is asked again, when it could not be reached."""


@dataclass(slots=True)
class _Served:
    fragment: Fragment
    rendered: Rendered
    confirmed: bool = False
    """Envoy has acknowledged it since this agent started."""
    deadline_s: float | None = None
    expired: bool = False


class Agent:
    """The state of one router: one fragment per release, and what Envoy made of it.

    Args:
        name: Name of this router.
        sink: Where configurations go.
        renderer: How they are made.
        store: Where fragments are kept.
        now_s: A clock that only moves forward, seconds.
        linger_s: How long unused clusters stay.
    """

    def __init__(
        self,
        *,
        name: str,
        sink: ConfigSink,
        renderer: Renderer,
        store: FragmentStore,
        now_s: Callable[[], float],
        linger_s: float,
    ) -> None:
        self.name = name
        self._sink = sink
        self._renderer = renderer
        self._store = store
        self._now_s = now_s
        self._releases: dict[str, _Served] = {}
        self._lingering = Lingering(now_s, linger_s)
        self._refusals: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()

    # --- starting ------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take up the fragments on disk; each lease has its full time again."""
        for release, fragment in self._store.load().items():
            served = _Served(fragment, self._renderer.release(fragment))
            self._grant(served)
            self._releases[release] = served

    def prepare(self) -> None:
        """Write all files for an Envoy that has not started."""
        self._sink.prepare(self._config())

    async def confirm(self) -> None:
        """Make Envoy serve what was restored; a release that it refuses is left out.

        Raises:
            TransientError: Envoy does not answer.
        """
        async with self._lock:
            try:
                await self._sink.push(self._config(), whole=True)
            except RoutingRefused:
                await self._confirm_one_by_one()
            for served in self._releases.values():
                served.confirmed = True

    async def _confirm_one_by_one(self) -> None:
        wanted, self._releases = self._releases, {}
        for release, served in wanted.items():
            self._releases[release] = served
            try:
                await self._sink.push(self._config(), whole=True)
            except RoutingRefused as error:
                del self._releases[release]
                self._refusals[release] = str(error)
                log.error("agent.restored_fragment_refused", release=release, reason=str(error))

    # --- what callers ask ----------------------------------------------------------------------

    async def put(self, fragment: Fragment) -> Ack:
        """Serve a fragment; returns once Envoy does.

        Raises:
            Conflict: it is older than what is served, or claims another release's host.
            RoutingRefused: Envoy refused it.
            TransientError: Envoy does not answer, or not in time.
            StateError: a file cannot be written.
        """
        release = fragment.routing.release
        async with self._lock:
            old = self._releases.get(release)
            try:
                self._check(fragment, old)
                await self._serve(fragment, old)
            except RoutingRefused as error:
                self._refusals[release] = str(error)
                log.warning("agent.fragment_refused", release=release, reason=str(error))
                raise
            self._refusals.pop(release, None)
            self._store.save(fragment)
            self._wake.set()
            return self._ack(release)

    def _check(self, fragment: Fragment, old: _Served | None) -> None:
        routing = fragment.routing
        if old is not None:
            known = old.fragment.routing
            if routing.generation < known.generation:
                raise Conflict(
                    f"generation {routing.generation} is older than {known.generation},"
                    f" which {self.name} serves"
                )
            if routing.generation == known.generation and routing != known:
                raise Conflict(
                    f"generation {routing.generation} is served with another routing:"
                    " every change of routing needs a new generation"
                )
        wanted = {host.lower() for host in claimed_hosts(routing)}
        for other, served in self._releases.items():
            if other == routing.release:
                continue
            taken = wanted & {host.lower() for host in claimed_hosts(served.fragment.routing)}
            if taken:
                raise Conflict(f"{', '.join(sorted(taken))} belongs to release {other}")

    async def _serve(self, fragment: Fragment, old: _Served | None) -> None:
        release = fragment.routing.release
        served = _Served(fragment, self._renderer.release(fragment), confirmed=True)
        self._grant(served)
        kept = self._lingering.saved()
        self._releases[release] = served
        if old is not None:
            self._lingering.retire(old.rendered, keep=served.rendered)
        self._lingering.forget(served.rendered.clusters)
        try:
            await self._sink.push(self._config())
        except (RoutingRefused, TransientError, StateError):
            self._lingering.restore(kept)
            if old is None:
                del self._releases[release]
            else:
                self._releases[release] = old
            raise
        routing = fragment.routing
        log.info(
            "agent.routing_served",
            release=release,
            generation=routing.generation,
            weights_bp={arm.revision: arm.weight_bp for arm in routing.live},
        )

    async def refresh(
        self, release: str, endpoints: Mapping[RevisionId, tuple[Endpoint, ...]]
    ) -> None:
        """Serve the same routing with other endpoints; unlike a push it renews no lease.

        Raises:
            RoutingRefused: Envoy refused it.
            TransientError: Envoy does not answer, or not in time.
            StateError: a file cannot be written.
        """
        async with self._lock:
            served = self._releases.get(release)
            if served is None or dict(served.fragment.endpoints) == dict(endpoints):
                return
            before = served.fragment, served.rendered
            fragment = replace(served.fragment, endpoints=endpoints)
            served.fragment = fragment
            served.rendered = self._renderer.release(fragment, lease_expired=served.expired)
            try:
                await self._sink.push(self._config())
            except (RoutingRefused, TransientError, StateError):
                served.fragment, served.rendered = before
                raise
            self._store.save(fragment)
            log.info(
                "agent.endpoints_followed",
                release=release,
                endpoints={revision: len(found) for revision, found in endpoints.items()},
            )

    async def delete(self, release: str) -> None:
        """Stop serving a release; unknown names are fine.

        Raises:
            TransientError: Envoy does not answer, or not in time.
        """
        async with self._lock:
            old = self._releases.pop(release, None)
            if old is not None:
                kept = self._lingering.saved()
                self._lingering.retire(old.rendered, keep=None)
                try:
                    await self._sink.push(self._config())
                except (RoutingRefused, TransientError, StateError):
                    self._lingering.restore(kept)
                    self._releases[release] = old
                    raise
            self._refusals.pop(release, None)
            self._store.remove(release)
            log.info("agent.release_removed", release=release)

    async def renew(self, releases: Sequence[str]) -> None:
        """Renew leases; weight that had gone back to stable is given to candidates again.

        Raises:
            TransientError: Envoy does not answer, or not in time.
        """
        async with self._lock:
            returned = []
            for release in releases:
                served = self._releases.get(release)
                if served is not None:
                    self._grant(served)
                    if served.expired:
                        returned.append(release)
            if returned:
                await self._set_expired(returned, expired=False)
        self._wake.set()

    def acks(self) -> tuple[Ack, ...]:
        """What is served, by release, and what was refused."""
        names = self._releases.keys() | self._refusals.keys()
        return tuple(self._ack(release) for release in sorted(names))

    @property
    def fragments(self) -> dict[str, Fragment]:
        """What is served, by release."""
        return {release: served.fragment for release, served in self._releases.items()}

    def fragment(self, release: str) -> Fragment | None:
        """What is served of one release."""
        served = self._releases.get(release)
        return served.fragment if served else None

    def _ack(self, release: str) -> Ack:
        served = self._releases.get(release)
        generation = served.fragment.routing.generation if served and served.confirmed else 0
        return Ack(
            router=self.name,
            release=release,
            generation=generation,
            lease_expired=served.expired if served else False,
            error=self._refusals.get(release, ""),
        )

    # --- leases --------------------------------------------------------------------------------

    def _grant(self, served: _Served) -> None:
        lease_ms = served.fragment.routing.lease_ms
        served.deadline_s = None if lease_ms is None else self._now_s() + lease_ms / 1000

    async def watch_leases(self) -> None:
        """Take candidates' weight away when their lease ends; runs until cancelled."""
        while True:
            self._wake.clear()
            pause = await self.expire_leases()
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    async def expire_leases(self) -> float | None:
        """Act on leases that have ended; seconds until the next one ends, None: there is none."""
        async with self._lock:
            now = self._now_s()
            ended = [
                release
                for release, served in self._releases.items()
                if served.deadline_s is not None and served.deadline_s <= now and not served.expired
            ]
            if ended:
                try:
                    await self._set_expired(ended, expired=True)
                except (TransientError, RoutingRefused, StateError) as error:
                    log.error("agent.lease_not_enforced", releases=ended, reason=str(error))
                    return RETRY_S
            running = [
                served.deadline_s
                for served in self._releases.values()
                if served.deadline_s is not None and not served.expired
            ]
        return max(0.0, min(running) - self._now_s()) if running else None

    async def _set_expired(self, releases: Sequence[str], *, expired: bool) -> None:
        before = {release: self._releases[release].rendered for release in releases}
        for release in releases:
            served = self._releases[release]
            served.expired = expired
            served.rendered = self._renderer.release(served.fragment, lease_expired=expired)
        try:
            await self._sink.push(self._config())
        except (RoutingRefused, TransientError, StateError):
            for release, rendered in before.items():
                self._releases[release].expired = not expired
                self._releases[release].rendered = rendered
            raise
        event = "agent.lease_expired" if expired else "agent.lease_renewed"
        log.warning(event, releases=list(releases))

    # --- clusters that nobody routes to any more -----------------------------------------------

    @property
    def has_ripe(self) -> bool:
        """Whether a sweep could find something; read the counters first, for the last time."""
        return bool(self._lingering.ripe())

    async def sweep(self, busy: Callable[[ClusterName], bool]) -> None:
        """Remove the clusters that have lingered long enough and have nothing under way.

        Raises:
            TransientError: Envoy does not answer, or not in time.
        """
        async with self._lock:
            ripe = [name for name in self._lingering.ripe() if not busy(name)]
            if not ripe:
                return
            kept = self._lingering.saved()
            self._lingering.forget(ripe)
            try:
                await self._sink.push(self._config())
            except (RoutingRefused, TransientError, StateError):
                self._lingering.restore(kept)
                raise

    def _config(self) -> XdsConfig:
        return self._renderer.router(
            [self._releases[release].rendered for release in sorted(self._releases)],
            self._lingering.rendered(),
        )
