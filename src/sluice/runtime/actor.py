"""Makes the world like the state of a release; asking again changes nothing."""

from collections.abc import Callable, Iterable, Sequence

import structlog

from sluice.engine.state import Mode, State
from sluice.errors import RoutingRefused, SpecError, StateError, TransientError
from sluice.nouns import Endpoint, Fragment, Replicas, RevisionId, Workload
from sluice.ports import Clock, DataPlane, Platform
from sluice.runtime.keeper import Keeper
from sluice.runtime.tracked import Tracked

log = structlog.get_logger()


class Actor:
    """Scales and routes.

    Args:
        platform: Runs revisions.
        dataplane: Splits traffic.
        keeper: Writes down before and after.
        clock: Time.
        on_removed: Told the names of endpoints that no router uses any more.
        routers: Which routers there are, as a value that differs when one comes or goes: a new
            one is told everything again.
    """

    def __init__(
        self,
        *,
        platform: Platform,
        dataplane: DataPlane,
        keeper: Keeper,
        clock: Clock,
        on_removed: Callable[[Iterable[str]], None] | None,
        routers: Callable[[], object] = lambda: None,
    ) -> None:
        self._platform = platform
        self._dataplane = dataplane
        self._keeper = keeper
        self._clock = clock
        self._on_removed = on_removed
        self._routers = routers

    async def act(self, name: str, tracked: Tracked) -> bool:
        """Checkpoint, scale, route, and note what came of it; True: the release is gone.

        The checkpoint comes first: what the world may have seen is never newer than the file. One
        thing is done without it: traffic goes back to stable, because a full disk must not keep
        users on a candidate that failed.

        Raises:
            StateError: the checkpoint cannot be written; nothing but that was done.
        """
        try:
            await self._keeper.save(tracked)
        except StateError:
            if _only_returns(tracked):
                await self._route(name, tracked)
            raise
        await self._scale(name, tracked)
        if await self._route(name, tracked):
            await self._keeper.save(tracked)
            await self._scale(name, tracked)
        await self._keeper.flush(tracked)
        state = tracked.core.state
        if state.mode is Mode.DELETING and state.acknowledged >= state.generation:
            return await self._finish_delete(name, tracked)
        return False

    async def _scale(self, name: str, tracked: Tracked) -> None:
        core = tracked.core
        asked = {item.revision: item.desired for item in tracked.replicas}
        wanted = dict(core.state.sizes)
        for revision in asked:
            wanted.setdefault(revision, 0)
        for revision, size in wanted.items():
            told = size == 0 or revision in tracked.told
            if asked.get(revision, 0) == size and told:
                continue
            workload = core.workloads.get(revision)
            if workload is None:
                workload = Workload(release=name, revision=revision, template={})
            try:
                await self._platform.scale(workload, size)
                tracked.told.add(revision)
                tracked.solved(f"scale {revision}")
            except (SpecError, TransientError) as error:
                tracked.problem(f"scale {revision}", f"{revision} cannot be run: {error}")

    async def _route(self, name: str, tracked: Tracked) -> bool:
        """Serve the routing with the endpoints of now; True when a generation was acknowledged."""
        core = tracked.core
        state = core.state
        if state.routing is None:
            if state.acknowledged >= state.generation:
                return False
            await self._dataplane.remove(name)
            tracked.applied = None
        else:
            fragment = Fragment(
                routing=state.routing, endpoints=_endpoints(state, tracked.replicas)
            )
            # Asked before the push: one that comes during it is told at the next turn.
            routers = self._routers()
            known = fragment == tracked.applied and routers == tracked.applied_to
            if known and state.acknowledged >= state.generation:
                return False
            try:
                await self._dataplane.apply(fragment)
            except (RoutingRefused, TransientError) as error:
                tracked.problem("routing", str(error))
                return False
            gone = _names(tracked.applied) - _names(fragment)
            tracked.applied, tracked.applied_to = fragment, routers
            if gone and self._on_removed is not None:
                self._on_removed(gone)
        tracked.solved("routing")
        if state.acknowledged >= state.generation:
            return False
        now = self._clock.now_ms()
        core.acknowledged(now, state.generation)
        core.effective(state.generation, now)
        log.info("release.routed", release=name, generation=state.generation)
        return True

    async def _finish_delete(self, name: str, tracked: Tracked) -> bool:
        await self._platform.remove(name)
        if await self._platform.observe(name):
            return False
        await self._keeper.forget(tracked)
        log.info("release.deleted", release=name)
        return True


def _only_returns(tracked: Tracked) -> bool:
    """Whether the new routing does nothing but take live weight from candidates."""
    routing, applied = tracked.core.state.routing, tracked.applied
    if routing is None or applied is None or routing.fallback != applied.routing.fallback:
        return False
    before = applied.routing
    others = [arm for arm in routing.live if arm.revision != routing.fallback]
    return routing.weight_bp(routing.fallback) > before.weight_bp(before.fallback) and all(
        arm.weight_bp <= before.weight_bp(arm.revision) for arm in others
    )


def _endpoints(
    state: State, replicas: Sequence[Replicas]
) -> dict[RevisionId, tuple[Endpoint, ...]]:
    """Ready endpoints of every revision that the routing names."""
    ready = {item.revision: item.ready for item in replicas}
    routing = state.routing
    named = dict.fromkeys(arm.revision for arm in routing.arms) if routing else {}
    return {revision: ready.get(revision, ()) for revision in named}


def _names(fragment: Fragment | None) -> frozenset[str]:
    if fragment is None:
        return frozenset()
    return frozenset(item.name for items in fragment.endpoints.values() for item in items)
