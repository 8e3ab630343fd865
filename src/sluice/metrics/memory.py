"""Counters and captured answers of a data plane in memory."""

from collections.abc import Callable, Mapping

from sluice.nouns import Pair, PairBatch, Snapshot


class MemoryMetricSource:
    """Reads what ``snapshots`` returns, usually the method of that name of the memory data plane.

    Raises (``read``):
        TransientError: whatever ``snapshots`` cannot give.
    """

    def __init__(self, snapshots: Callable[[], Mapping[str, tuple[Snapshot, ...]]]) -> None:
        self._snapshots = snapshots

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """One snapshot, by release."""
        return self._snapshots()


class MemoryPairs:
    """Pairs that a test or a memory world gives, read as from one router."""

    def __init__(self, *, router: str = "memory") -> None:
        self._router = router
        self._pairs: dict[str, list[Pair]] = {}

    def add(self, release: str, pair: Pair) -> None:
        """A request was mirrored, and both answers captured."""
        self._pairs.setdefault(release, []).append(pair)

    async def read(self, release: str, after: Mapping[str, str]) -> PairBatch:
        """What was added since the cursor."""
        known = self._pairs.get(release, [])
        start = int(after.get(self._router, len(known)))
        return PairBatch(
            pairs=tuple(known[start:]), cursors={**after, self._router: str(len(known))}
        )
