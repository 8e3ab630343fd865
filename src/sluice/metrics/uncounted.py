"""The counters of a data plane that counts nothing: Prometheus is then the only source."""

from collections.abc import Callable, Iterable, Mapping

from sluice.nouns import Snapshot


class Uncounted:
    """Names the releases and counts nothing, for :class:`sluice.metrics.prometheus`.

    Args:
        releases: Those that there are now; asked at every reading.
    """

    def __init__(self, releases: Callable[[], Iterable[str]]) -> None:
        self._releases = releases

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """No snapshot for any release: there is no router whose counters could be read."""
        return dict.fromkeys(self._releases(), ())
