"""Live requests by revision since a pass began, and their rate: for status, never for verdicts."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluice.nouns import Purpose, RevisionId, Snapshot

WINDOW_MS = 10_000
"""Span of the shown rate."""


@dataclass(slots=True)
class Tally:
    """Sums what came in between readings; a router that restarted begins again at zero."""

    requests: dict[RevisionId, int] = field(default_factory=dict)
    errors: dict[RevisionId, int] = field(default_factory=dict)
    _seen: dict[tuple[str, str, RevisionId], tuple[int, int]] = field(default_factory=dict)
    _recent: deque[tuple[int, Mapping[RevisionId, int]]] = field(default_factory=deque)

    def update(self, taken_ms: int, snapshots: Sequence[Snapshot]) -> None:
        """Take in one reading. What a router counted before its first reading does not count."""
        routers = {router for router, _, _ in self._seen}
        for snapshot in snapshots:
            for arm in snapshot.arms:
                if arm.purpose is not Purpose.LIVE:
                    continue
                key = (snapshot.router, snapshot.epoch, arm.revision)
                now = (arm.counts.total, arm.counts.errors)
                first = (0, 0) if snapshot.router in routers else now
                before = self._seen.get(key, first)
                self._seen[key] = now
                for sums, new, old in zip((self.requests, self.errors), now, before, strict=True):
                    sums[arm.revision] = sums.get(arm.revision, 0) + max(0, new - old)
        self._recent.append((taken_ms, dict(self.requests)))
        while len(self._recent) > 2 and self._recent[1][0] <= taken_ms - WINDOW_MS:
            self._recent.popleft()

    def restart(self) -> None:
        """Begin again at zero, as a pass does."""
        self.requests.clear()
        self.errors.clear()
        self._recent.clear()

    def rps(self, revision: RevisionId) -> float:
        """Requests per second over the last ten seconds or so."""
        if len(self._recent) < 2:
            return 0.0
        (began, first), (ended, last) = self._recent[0], self._recent[-1]
        if ended <= began:
            return 0.0
        return (last.get(revision, 0) - first.get(revision, 0)) * 1000 / (ended - began)
