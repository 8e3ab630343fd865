"""Revisions as Deployments of a cluster."""

import asyncio
import contextlib
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from sluice.errors import RefusedError, SluiceError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, PDB, POD, SERVICE
from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.extras import Describe
from sluice.platforms.kubernetes.leaving import Leaving
from sluice.platforms.kubernetes.names import (
    RELEASE_LABEL,
    RETIRED,
    object_name,
    revision_of,
    split,
)
from sluice.platforms.kubernetes.pods import is_leaving
from sluice.platforms.kubernetes.revision import Held, Revisions
from sluice.platforms.kubernetes.seeing import look, port_of
from sluice.ports import Clock

log = structlog.get_logger()

Object = dict[str, Any]
AGAIN_MS = 5_000
"""Between two tries of a repair that is refused: the server is there for others as well."""
REMOVED = (HPA, PDB, DEPLOYMENT, SERVICE, CONFIG_MAP)
"""In this order: nothing brings back what was taken away."""


class KubePlatform:
    """``ports.Platform`` for a cluster. A release's key is ``namespace/name``.

    What was asked for is kept so: an edit of ours is undone at the next look (``observe``).

    Args:
        client: The API server.
        caches: What is there; started and stopped by whoever made it.
        describe: What the controller knows of a release. The same object again is cheap.
        clock: Time.
    """

    def __init__(
        self, client: KubeClient, caches: Caches, *, describe: Describe, clock: Clock
    ) -> None:
        self._client = client
        self._caches = caches
        self._describe = describe
        self._clock = clock
        self._revisions = Revisions(client, caches)
        self._leaving = Leaving(client, caches, clock)
        self._held: dict[str, dict[RevisionId, Held]] = {}
        self._removed: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._repairs: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._again_ms: dict[str, int] = {}

    @property
    def version(self) -> int:
        """Grows with every change of what is to be seen."""
        return self._caches.version

    async def wait_change(self, seen: int) -> int:
        """Return ``version`` once it is above ``seen``."""
        return await self._caches.wait_change(seen)

    def problems(self, release: str) -> Sequence[str]:
        """What keeps a release's objects from being as they should be, one line each."""
        found = self._problems.get(release)
        return [found] if found else []

    def workload(self, release: str, revision: RevisionId) -> Workload | None:
        """What a revision at a size above 0 runs; None for others."""
        held = self._held.get(release, {}).get(revision)
        return held.workload if held else None

    async def scale(self, workload: Workload, replicas: int) -> None:
        """See ``ports.Platform``.

        Raises:
            SpecError: the API server refuses the template; every cause, by field.
            TransientError: it cannot be reached, or does not let us (a right or a quota is
                missing); asked again at the next turn.
        """
        self._caches.require()
        try:
            async with self._lock(workload.release):
                if replicas == 0:
                    await self._empty(workload)
                else:
                    await self._grow(workload, replicas)
                await self._prune(workload.release)
        except RefusedError as error:
            raise TransientError(str(error), retry_after_s=5.0) from error

    async def observe(self, release: str) -> Sequence[Replicas]:
        """See ``ports.Platform``; never waits."""
        self._caches.require()
        held = self._held.get(release, {})
        pods: dict[RevisionId, list[Object]] = {}
        for pod in self._caches.of(POD, release).values():
            pods.setdefault(revision_of(pod), []).append(pod)
        deployments = {
            revision_of(item): item for item in self._caches.of(DEPLOYMENT, release).values()
        }
        self._leaving.tidy(release)
        found = []
        for revision in sorted({*held, *deployments, *pods}):
            deployment, item = deployments.get(revision), held.get(revision)
            # Of one that was not asked for since the start, what its Deployment says.
            desired = item.size if item else _replicas(deployment)
            if release in self._removed:
                desired = 0
            running = [pod for pod in pods.get(revision, ()) if _lives(pod)]
            if desired == 0 and not running:
                continue
            found.append(
                look(
                    revision=revision,
                    name=object_name(release, revision),
                    desired=desired,
                    port=item.workload.port if item else port_of(deployment),
                    pods=running,
                    leaving=self._leaving.names(release),
                    deployment=deployment,
                )
            )
        self._repair(release)
        return found

    async def replace(self, release: str, revision: RevisionId, endpoint: str) -> None:
        """See ``ports.Platform``."""
        self._caches.require()
        namespace, _ = split(release)
        pod = self._caches.get(POD, namespace, endpoint)
        if pod is None or revision_of(pod) != revision or is_leaving(pod):
            return
        seen = {item.revision: item for item in await self.observe(release)}
        if revision not in seen or endpoint not in seen[revision].ready_since_ms:
            return
        try:
            await self._client.delete(POD, endpoint, namespace)
        except RefusedError as error:
            raise TransientError(str(error), retry_after_s=5.0) from error
        self._leaving.add(release, [endpoint])

    async def remove(self, release: str) -> None:
        """See ``ports.Platform``; returns at once, ``observe`` shows what still drains.

        Raises:
            TransientError: something could not be deleted; asked again at the next turn.
        """
        self._held.pop(release, None)
        self._removed.add(release)
        await self._stop_repair(release)
        namespace, name = split(release)
        try:
            for kind in REMOVED:
                for obj in await self._client.list(
                    kind, namespace, labels=f"{RELEASE_LABEL}={name}"
                ):
                    await self._client.delete(kind, obj["metadata"]["name"], namespace)
        except RefusedError as error:
            raise TransientError(str(error), retry_after_s=5.0) from error
        self._problems.pop(release, None)
        self._again_ms.pop(release, None)
        self._locks.pop(release, None)

    async def close(self) -> None:
        """End what goes on beside the calls; everything runs on."""
        for release in tuple(self._repairs):
            await self._stop_repair(release)

    async def _grow(self, workload: Workload, replicas: int) -> None:
        release, revision = workload.release, workload.revision
        extras = self._describe(release)
        if extras is None:
            raise TransientError(f"nothing is known of release {release} yet")
        self._removed.discard(release)
        held = self._revisions.hold(workload, replicas, extras)
        before = self._held.get(release, {}).get(revision)
        there = self._caches.get(DEPLOYMENT, *held.place)
        size = before.size if before else _replicas(there)
        if replicas < size and extras.autoscaling is None:
            await self._leaving.choose(release, revision, workload.port, replicas)
        await self._revisions.ensure(held)
        self._held.setdefault(release, {})[revision] = held

    async def _empty(self, workload: Workload) -> None:
        release, revision = workload.release, workload.revision
        namespace, name = split(release)[0], object_name(release, revision)
        known = self._held.get(release, {})
        if revision not in known and self._caches.get(DEPLOYMENT, namespace, name) is None:
            return
        now = datetime.datetime.fromtimestamp(self._clock.now_ms() / 1000, datetime.UTC)
        with contextlib.suppress(NotThere):
            await self._revisions.empty(namespace, name, now.isoformat(timespec="milliseconds"))
        known.pop(revision, None)
        self._leaving.add_all(release, revision)

    async def _prune(self, release: str) -> None:
        """Forget revisions at size 0 beyond the limit, those first that came there first."""
        extras = self._describe(release)
        if extras is None:
            return
        held = self._held.get(release, {})
        pods = {revision_of(pod) for pod in self._caches.of(POD, release).values()}
        idle = [
            item
            for item in self._caches.of(DEPLOYMENT, release).values()
            if _replicas(item) == 0
            and revision_of(item) not in held
            and revision_of(item) not in pods
        ]
        idle.sort(key=_retired)
        for deployment in idle[: max(0, len(idle) - extras.revision_history_limit)]:
            log.info("revision.forgotten", release=release, revision=revision_of(deployment))
            await self._revisions.erase(release, deployment)

    # --- repair ---

    def _repair(self, release: str) -> None:
        """Begin to undo what others changed, unless it goes on already."""
        if release in self._repairs or release in self._removed or self._lock(release).locked():
            return
        if self._clock.now_ms() < self._again_ms.get(release, 0):
            return
        known = self._held.get(release, {})
        self._refresh(release, known)
        if all(self._revisions.holds(held) for held in known.values()):
            return
        task = asyncio.create_task(self._mend(release, known))
        self._repairs[release] = task
        task.add_done_callback(lambda _: self._repairs.pop(release, None))

    def _refresh(self, release: str, known: dict[RevisionId, Held]) -> None:
        """What revisions should be by what the controller says of the release now."""
        extras = self._describe(release)
        for revision, held in known.items():
            if extras is None or extras is held.extras or extras == held.extras:
                continue
            try:
                known[revision] = self._revisions.hold(held.workload, held.size, extras)
            except SluiceError as error:
                self._problems[release] = str(error)

    async def _mend(self, release: str, known: Mapping[RevisionId, Held]) -> None:
        try:
            async with self._lock(release):
                for revision, held in tuple(known.items()):
                    if not self._revisions.holds(held):
                        await self._revisions.ensure(held)
                        log.info("revision.mended", release=release, revision=revision)
            self._problems.pop(release, None)
        except SluiceError as error:
            self._again_ms[release] = self._clock.now_ms() + AGAIN_MS
            self._problems[release] = f"objects cannot be kept as they should be: {error}"

    def _lock(self, release: str) -> asyncio.Lock:
        return self._locks.setdefault(release, asyncio.Lock())

    async def _stop_repair(self, release: str) -> None:
        task = self._repairs.pop(release, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _replicas(deployment: Mapping[str, Any] | None) -> int:
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def _retired(deployment: Mapping[str, Any]) -> str:
    metadata = deployment["metadata"]
    annotations = metadata.get("annotations") or {}
    return str(annotations.get(RETIRED) or metadata.get("creationTimestamp", ""))


def _lives(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
