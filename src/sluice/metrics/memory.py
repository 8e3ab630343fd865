"""Counters of a data plane in memory."""

from collections.abc import Callable, Mapping

from sluice.nouns import Snapshot


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
