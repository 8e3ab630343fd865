"""Clusters that nobody routes to any more: they stay until what is under way has been counted."""

from collections.abc import Callable, Iterable

from sluice.agent.rendering import Rendered
from sluice.dataplanes.names import ClusterName


class Lingering:
    """What was retired, and when.

    Args:
        now_s: A clock that only moves forward, seconds.
        linger_s: How long unused clusters stay at least.
    """

    def __init__(self, now_s: Callable[[], float], linger_s: float) -> None:
        self._now_s = now_s
        self._linger_s = linger_s
        self._items: dict[ClusterName, tuple[Rendered, float]] = {}

    def retire(self, old: Rendered, *, keep: Rendered | None) -> None:
        """Keep the clusters of ``old`` for a while, but for those that ``keep`` has as well."""
        kept = keep.clusters if keep else {}
        for name in old.clusters.keys() - kept.keys():
            endpoints = {name: old.endpoints[name]} if name in old.endpoints else {}
            alone = Rendered(clusters={name: old.clusters[name]}, endpoints=endpoints, hosts=())
            self._items[name] = alone, self._now_s()

    def forget(self, names: Iterable[ClusterName]) -> None:
        """These are in use again, or gone."""
        for name in names:
            self._items.pop(name, None)

    def ripe(self) -> list[ClusterName]:
        """Clusters that have stayed long enough."""
        now = self._now_s()
        return [
            name for name, (_, since_s) in self._items.items() if now - since_s >= self._linger_s
        ]

    def rendered(self) -> list[Rendered]:
        """What must still be in the configuration."""
        return [alone for alone, _ in self._items.values()]

    def saved(self) -> dict[ClusterName, tuple[Rendered, float]]:
        """What :meth:`restore` takes when Envoy refuses a change."""
        return dict(self._items)

    def restore(self, saved: dict[ClusterName, tuple[Rendered, float]]) -> None:
        """Undo everything since it was saved."""
        self._items = saved
