"""Objects of one kind in several namespaces, followed together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sluice.kube.client import KubeClient
from sluice.kube.kinds import Kind
from sluice.kube.watching import Watched

Object = dict[str, Any]


class Followed:
    """One watch for each namespace, or one for all.

    Args:
        client: The API server.
        kind: Which objects.
        namespaces: Where; empty: everywhere, by one watch.
        labels: A label selector.
        index: What objects are grouped by.
    """

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        *,
        namespaces: Sequence[str],
        labels: str,
        index: Callable[[Object], str] | None = None,
    ) -> None:
        places: Sequence[str | None] = tuple(namespaces) or (None,)
        self.kind = kind
        self._watches = {
            place: client.watch(kind, place, labels=labels, index=index) for place in places
        }

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._watches.values())

    async def start(self, timeout_s: float) -> None:
        """Return once all are listed.

        Raises:
            RefusedError: one could not be listed in time; says why.
        """
        for watched in self:
            watched.start()
        for watched in self:
            await watched.wait_synced(timeout_s)

    async def stop(self) -> None:
        """Follow no more; what was seen stays."""
        for watched in self:
            await watched.stop()

    def get(self, namespace: str, name: str) -> Object | None:
        """An object as it was last seen; not to be written to."""
        watched = self._of(namespace)
        return watched.objects().get((namespace, name)) if watched else None

    def group(self, namespace: str, value: str) -> Mapping[tuple[str, str], Object]:
        """Objects of a namespace that the index gives this value."""
        watched = self._of(namespace)
        return watched.group(value) if watched else {}

    def _of(self, namespace: str) -> Watched | None:
        return self._watches.get(None) or self._watches.get(namespace)
