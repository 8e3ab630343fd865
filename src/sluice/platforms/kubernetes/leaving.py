"""Pods that must go: no request goes there from the moment that this is decided."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sluice.errors import SluiceError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import POD
from sluice.nouns import RevisionId
from sluice.platforms.kubernetes.caches import Caches
from sluice.platforms.kubernetes.names import DELETION_COST, revision_of, split
from sluice.platforms.kubernetes.pods import endpoint_of, is_leaving, ready_since_ms
from sluice.ports import Clock

FIRST = "-1000"
"""Deletion cost of a pod that is to go before its siblings."""
DOUBT_MS = 10_000
"""A pod that Kubernetes has not told to go by then stays: it chose another one."""


class Leaving:
    """Remembers who was told to go until a watch shows it.

    Args:
        client: The API server.
        caches: What was last seen there.
        clock: Time.
    """

    def __init__(self, client: KubeClient, caches: Caches, clock: Clock) -> None:
        self._client = client
        self._caches = caches
        self._clock = clock
        self._since_ms: dict[str, dict[str, int]] = {}

    def names(self, release: str) -> Collection[str]:
        """Pods of a release that were told to go."""
        return self._since_ms.get(release, {})

    def add(self, release: str, pods: Iterable[str]) -> None:
        """These go."""
        now_ms = self._clock.now_ms()
        self._since_ms.setdefault(release, {}).update(dict.fromkeys(pods, now_ms))

    def add_all(self, release: str, revision: RevisionId) -> None:
        """All pods of a revision go."""
        pods = self._caches.of(POD, release).values()
        self.add(release, [_name(pod) for pod in pods if revision_of(pod) == revision])

    async def choose(self, release: str, revision: RevisionId, port: str | int, size: int) -> None:
        """Choose who goes when a revision shrinks, and tell Kubernetes to choose the same.

        Pods that are not ready go by themselves first; of the ready ones the youngest.
        """
        pods = [
            pod
            for pod in self._caches.of(POD, release).values()
            if revision_of(pod) == revision
            and not is_leaving(pod)
            and _name(pod) not in self.names(release)
        ]
        ready = [pod for pod in pods if endpoint_of(pod, port) is not None]
        unready = len(pods) - len(ready)
        count = max(0, len(pods) - size - unready)
        ready.sort(key=lambda pod: (-ready_since_ms(pod), _name(pod)))
        body = {"metadata": {"annotations": {DELETION_COST: FIRST}}}
        for pod in ready[:count]:
            try:
                await self._client.patch(POD, _name(pod), split(release)[0], body)
            except SluiceError:
                continue  # Kubernetes may choose another one: then this one stays
            self.add(release, [_name(pod)])

    def tidy(self, release: str) -> None:
        """Forget those that are gone, show it themselves, or were not told to go after all."""
        known = self._since_ms.get(release)
        if not known:
            return
        namespace, _ = split(release)
        before_ms = self._clock.now_ms() - DOUBT_MS
        for name, since_ms in tuple(known.items()):
            pod = self._caches.get(POD, namespace, name)
            if pod is None or is_leaving(pod) or since_ms < before_ms:
                del known[name]


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])
