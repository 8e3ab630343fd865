"""What is counted where no router of ours is on the way of requests: nothing."""

from collections.abc import Callable, Mapping, Sequence

from sluice.errors import TransientError
from sluice.nouns import PairBatch, Snapshot


class NothingCounted:
    """``ports.MetricSource`` of a data plane without counters.

    Its plans are judged by Prometheus alone, whose counts are added to these.

    Args:
        releases: Keys of the releases there are.
    """

    def __init__(self, releases: Callable[[], Sequence[str]]) -> None:
        self._releases = releases

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """No snapshot of any release."""
        return dict.fromkeys(self._releases(), ())


class NothingCaptured:
    """``ports.Pairs`` of a data plane that captures no answers."""

    async def read(self, release: str, after: Mapping[str, str]) -> PairBatch:
        """Never: plans that compare answers are refused for it.

        Raises:
            TransientError: always.
        """
        raise TransientError(f"no answers of {release} are captured by this data plane")
