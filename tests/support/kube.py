"""A platform on an API server in memory, with everything that a test moves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.kube.client import KubeClient
from sluice.kube.kinds import RELEASE
from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.extras import Owner, RevisionExtras
from sluice.platforms.kubernetes.names import object_name
from sluice.platforms.kubernetes.platform import KubePlatform
from sluice.testing.clock import VirtualClock
from sluice.testing.kube import MemoryApi, MemoryNodes

NAMESPACE = "ml"
UNREADY = {
    "conditions": [{"type": "Ready", "status": "False"}],
    "phase": "Running",
    "containerStatuses": [
        {"name": "model", "ready": False, "started": True, "state": {"running": {}}}
    ],
}


def template(**spec: Any) -> dict[str, Any]:
    """A pod with one container that takes requests."""
    container = {
        "name": "model",
        "image": "model:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }
    return {"metadata": {"labels": {"team": "fares"}}, "spec": {"containers": [container], **spec}}


def key(release: str) -> str:
    """As the platform knows a release: ``namespace/name``."""
    return release if "/" in release else f"{NAMESPACE}/{release}"


def workload(revision: str, *, release: str = "taxi", **spec: Any) -> Workload:
    """What a revision runs."""
    return Workload(release=key(release), revision=RevisionId(revision), template=template(**spec))


@dataclass(kw_only=True)
class World:
    """One API server, its nodes, and one controller's platform."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    extras: dict[str, RevisionExtras] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = MemoryApi()
        self.nodes = MemoryNodes(self.api, self.clock, ready_after_s=1.0, drain_s=0.5)
        self.client: KubeClient = self.api.client(namespace=NAMESPACE)

    async def start(self, timeout_s: float = 5.0) -> None:
        """A controller begins; what ran before goes on."""
        self.caches = Caches(self.client)
        self.platform = KubePlatform(
            self.client, self.caches, describe=self.describe, clock=self.clock
        )
        await self.caches.start(timeout_s)

    async def stop(self) -> None:
        """It ends without a word."""
        await self.platform.close()
        await self.caches.stop()

    def describe(self, release: str) -> RevisionExtras | None:
        """Extras of any release; owned by a Release that is made when it is asked for."""
        if release not in self.extras:
            namespace, name = release.split("/")
            owner = Owner(name=name, namespace=namespace, uid=self._owner(namespace, name))
            self.extras[release] = RevisionExtras(owner=owner)
        return self.extras[release]

    def change(self, release: str = "taxi", **changes: Any) -> None:
        """The controller knows something else of a release from now on."""
        known = self.describe(key(release))
        assert known is not None
        self.extras[key(release)] = replace(known, **changes)

    async def settle(self) -> None:
        """Let watches catch up and repairs end."""
        self.nodes.tick()
        for _ in range(60):
            await asyncio.sleep(0)

    async def seconds(self, count: float) -> None:
        """Time goes by; the controller looks twice a second."""
        for _ in range(round(count * 2)):
            await self.clock.advance(0.5)
            await self.settle()
            for release in self.extras:
                await self.platform.observe(release)
            await self.settle()

    async def see(self, revision: str, release: str = "taxi") -> Replicas | None:
        """One revision as the platform shows it."""
        await self.settle()
        found: Sequence[Replicas] = await self.platform.observe(key(release))
        return next((item for item in found if item.revision == revision), None)

    def name(self, revision: str, release: str = "taxi") -> str:
        """Of its Deployment."""
        return object_name(key(release), RevisionId(revision))

    def never_ready(self, revision: str, release: str = "taxi") -> None:
        """Its pods run and never get ready."""
        self.nodes.break_pods(self.name(revision, release), UNREADY)

    def _owner(self, namespace: str, name: str) -> str:
        obj = RELEASE.new(name, namespace, spec={})
        return str(self.api.store.put(RELEASE, obj, {})["metadata"]["uid"])
