"""Counts of one arm, made from single requests."""

from dataclasses import dataclass, field

from sluice.nouns import LATENCY_GRID_MS, ArmCounts, Counts, Purpose, RevisionId


@dataclass(slots=True)
class Tally:
    """What has happened to the requests of one arm."""

    counts: Counts = field(default_factory=lambda: Counts(slow=(0,) * len(LATENCY_GRID_MS)))
    endpoints: dict[str, Counts] = field(default_factory=dict)
    shielded: int = 0
    users_bad: int = 0

    def noun(self, revision: RevisionId, purpose: Purpose, *, sticky: bool) -> ArmCounts:
        """The arm as a router gives it; ``sticky``: of a release that knows its users."""
        return ArmCounts(
            revision=revision,
            purpose=purpose,
            counts=self.counts,
            endpoints=dict(self.endpoints),
            shielded=self.shielded,
            users_bad=self.users_bad if sticky and purpose is Purpose.LIVE else None,
        )


def one_request(status: int | None, duration_ms: float) -> Counts:
    """Counts of a single request; ``status`` None: it was not answered."""
    answered = status is not None
    return Counts(
        total=1,
        errors=int(status is None or status >= 500),
        client_errors=int(status is not None and 400 <= status < 500),
        timed=1,
        slow=tuple(int(not answered or duration_ms >= threshold) for threshold in LATENCY_GRID_MS),
    )
