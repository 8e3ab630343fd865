"""Answers to mirrored requests, joined to pairs by request id, in bounded memory.

Stable's answer (the user's) and its copies' answers arrive in any order. A pair is complete when
stable's and the candidate's are there, and, where stable is asked again, when that answer is there
too or has had its time.
"""

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from sluice.dataplanes.names import ClusterName, Use
from sluice.errors import Fault, SpecError
from sluice.nouns import Answer, Pair, PairBatch, RevisionId, Routing

PAGE_ITEMS = 500
"""Most pairs in one reading ..."""
PAGE_BYTES = 4 << 20
"""... and most bytes of them, unless one pair alone has more."""
_OVERHEAD_BYTES = 1_000
"""What an answer takes beside its body, roughly."""


@dataclass(slots=True)
class _Waiting:
    """The answers to one request so far."""

    since_s: float
    primary: tuple[RevisionId, Answer] | None = None
    copies: dict[RevisionId, Answer] = field(default_factory=dict)
    paired: set[RevisionId] = field(default_factory=set)
    size: int = 0


@dataclass(slots=True)
class _Ring:
    """What is known of one release, numbered since the agent's start."""

    items: deque[tuple[Pair | None, int]] = field(default_factory=deque)
    """A pair, or None for an answer of stable to which no copy's came, and its bytes."""
    first: int = 0
    """Number of the oldest item that is still there."""


class Captures:
    """Everything that a router has captured and had no need to forget.

    Args:
        router: Name of this router.
        routing_of: The present routing of a release that captures; None: it does not, or is gone.
        now_s: A clock that only moves forward, seconds.
        window_s: How long an answer waits for its counterpart; above a copy's time-out.
        settle_s: How long a pair waits for stable's second answer.
        memory_bytes: Most memory for answers; the oldest go first.
    """

    def __init__(
        self,
        *,
        router: str,
        routing_of: Callable[[str], Routing | None],
        now_s: Callable[[], float],
        window_s: float,
        settle_s: float = 2.0,
        memory_bytes: int = 32 << 20,
    ) -> None:
        self._router = router
        self._routing_of = routing_of
        self._now_s = now_s
        self._window_s = window_s
        self._settle_s = settle_s
        self._memory_bytes = memory_bytes
        self._epoch = secrets.token_hex(4)
        self._waiting: OrderedDict[tuple[str, str], _Waiting] = OrderedDict()
        self._rings: dict[str, _Ring] = {}
        self._size = 0

    @property
    def size_bytes(self) -> int:
        """Memory that captured answers take, by their own count."""
        return self._size

    def take(self, cluster: ClusterName, request_id: str, answer: Answer) -> None:
        """One captured answer; one of a release that captures nothing is left."""
        if self._routing_of(cluster.release) is None:
            return
        key = (cluster.release, request_id)
        waiting = self._waiting.setdefault(key, _Waiting(self._now_s()))
        size = len(answer.body) + _OVERHEAD_BYTES
        waiting.size += size
        self._size += size
        if cluster.use is Use.CAPTURED:
            waiting.primary = (cluster.revision, answer)
        elif cluster.use is Use.MIRROR:
            waiting.copies[cluster.revision] = answer
        self._look(cluster.release, request_id)
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._look(*oldest)
        self._shrink()

    def read(self, release: str, after: str | None) -> PairBatch:
        """The pairs of a release after a cursor.

        Args:
            release: Its name; one without pairs has an empty answer.
            after: Where an earlier reading ended; None: begin with what comes from now on. The
                cursor of an earlier agent begins with the first pair of this one.

        Raises:
            SpecError: no agent has made this cursor.
        """
        self._advance()
        ring = self._rings.get(release) or _Ring()
        end = ring.first + len(ring.items)
        start = end if after is None else self._start(after, end)
        first = max(start, ring.first)
        found: list[Pair | None] = []
        size = 0
        for item, weight in islice(ring.items, first - ring.first, None):
            if len(found) == PAGE_ITEMS or (found and size + weight > PAGE_BYTES):
                break
            size += weight
            found.append(item)
        pairs = tuple(item for item in found if item is not None)
        return PairBatch(
            pairs=pairs,
            cursors={self._router: f"{self._epoch}:{first + len(found)}"},
            missed=first - start,
            alone=len(found) - len(pairs),
            more=first + len(found) < end,
        )

    def _start(self, after: str, end: int) -> int:
        epoch, _, number = after.partition(":")
        if not epoch or not number.isdecimal():
            reason = f"{after[:50]!r} is no cursor: give one that an earlier answer had, or none"
            raise SpecError([Fault(path="after", reason=reason)])
        return min(int(number), end) if epoch == self._epoch else 0

    def _advance(self) -> None:
        """Look at everything that waits; forget releases that capture no more."""
        for release, request_id in list(self._waiting):
            self._look(release, request_id)
        for release in [name for name in self._rings if self._routing_of(name) is None]:
            self._size -= sum(weight for _, weight in self._rings.pop(release).items)

    def _look(self, release: str, request_id: str) -> None:
        """Pair the answers to one request as far as they are there, or give them up."""
        waiting = self._waiting[release, request_id]
        routing = self._routing_of(release)
        if routing is None or routing.capture is None:
            self._forget(release, request_id)
            return
        age_s = self._now_s() - waiting.since_s
        expected = {arm.revision for arm in routing.mirrored}
        if waiting.primary is not None:
            stable, primary = waiting.primary
            again = waiting.copies.get(stable)
            settled = again is not None or age_s >= self._settle_s or not routing.capture.noise_bp
            for revision in expected & waiting.copies.keys() if settled else ():
                pair = Pair(
                    request_id=request_id,
                    stable=stable,
                    candidate=revision,
                    primary=primary,
                    shadow=waiting.copies[revision],
                    again=again,
                )
                if revision not in waiting.paired:
                    waiting.paired.add(revision)
                    self._append(release, pair)
        if waiting.paired >= expected:
            self._forget(release, request_id)
        elif age_s >= self._window_s:
            if waiting.primary is not None:
                self._append(release, None)
            self._forget(release, request_id)

    def _append(self, release: str, pair: Pair | None) -> None:
        weight = _OVERHEAD_BYTES
        if pair is not None:
            answers = (pair.primary, pair.shadow, pair.again)
            weight += sum(len(answer.body) for answer in answers if answer is not None)
        self._rings.setdefault(release, _Ring()).items.append((pair, weight))
        self._size += weight

    def _forget(self, release: str, request_id: str) -> None:
        self._size -= self._waiting.pop((release, request_id)).size

    def _shrink(self) -> None:
        """Keep within the memory: the oldest of the release that has most, then what waits."""
        while self._size > self._memory_bytes and self._rings:
            ring = max(self._rings.values(), key=lambda ring: len(ring.items))
            if not ring.items:
                break
            self._size -= ring.items.popleft()[1]
            ring.first += 1
        while self._size > self._memory_bytes and self._waiting:
            self._forget(*next(iter(self._waiting)))
