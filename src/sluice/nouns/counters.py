"""What routers count."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.nouns.words import Purpose, RevisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Cumulative request counts of one arm or endpoint since the router's epoch began.

    An *ended* request was begun and is no longer active. One that ended without an answer (reset,
    timeout, the client gave up) is bad for every SLI.
    """

    total: int = 0
    """Ended requests: begun - active + those refused locally for want of a host or a slot."""
    errors: int = 0
    """Of ``total``: all but the answers below 500."""
    client_errors: int = 0
    """Of ``total``: answers 400 to 499."""
    timed: int = 0
    """Requests for which it is known whether they were in time: answered, or given up."""
    slow: tuple[int, ...] = ()
    """Of ``timed``: slower than ``LATENCY_GRID_MS[i]``; empty when latency is not measured."""

    def __add__(self, other: "Counts") -> "Counts":
        if self.slow and other.slow:
            slow = tuple(a + b for a, b in zip(self.slow, other.slow, strict=True))
        else:
            slow = self.slow or other.slow
        return Counts(
            total=self.total + other.total,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            timed=self.timed + other.timed,
            slow=slow,
        )

    def __sub__(self, other: "Counts") -> "Counts":
        """What came in between; a component that went backwards gives a negative number."""
        base = other.slow or (0,) * len(self.slow)
        slow = tuple(a - b for a, b in zip(self.slow, base, strict=True)) if self.slow else ()
        return Counts(
            total=self.total - other.total,
            errors=self.errors - other.errors,
            client_errors=self.client_errors - other.client_errors,
            timed=self.timed - other.timed,
            slow=slow,
        )

    @property
    def plausible(self) -> bool:
        """Whether these could be counts at all: none negative, none larger than its whole."""
        return (
            0 <= self.errors <= self.total
            and 0 <= self.client_errors <= self.total
            and self.timed >= 0
            and all(0 <= slow <= self.timed for slow in self.slow)
            and all(a >= b for a, b in zip(self.slow, self.slow[1:], strict=False))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """Counts of one revision for one purpose, whole and by endpoint."""

    revision: RevisionId
    purpose: Purpose
    counts: Counts
    endpoints: Mapping[str, Counts] = field(default_factory=dict)
    """By ``Endpoint.name``; total and errors only."""
    active: int = 0
    """Requests in flight at this moment."""
    shielded: int = 0
    """Of ``counts.errors``: failures that the user did not see, because stable answered instead."""
    users_bad: int | None = None
    """Sticky users whose first bad answer in their pass came from here, cumulative; of live
    requests. None: users are not sticky, or the router does not know them."""
    extra: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(events, bad events) of objectives of kind ``query``, cumulative, by objective name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One reading of one router's counters for one release."""

    router: str
    epoch: str
    """Changes when the router's counters start again at zero."""
    taken_ms: int
    arms: tuple[ArmCounts, ...]

    def arm(self, revision: RevisionId, purpose: Purpose = Purpose.LIVE) -> ArmCounts | None:
        """The arm of a revision and purpose, or None when the router has not seen it."""
        for arm in self.arms:
            if arm.revision == revision and arm.purpose is purpose:
                return arm
        return None
