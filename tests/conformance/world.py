"""What a story needs of the world that it is told in: memory, a laptop, a cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.conformance.papers import Papers

from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus

Fits = Callable[[ReleaseStatus], bool]


@dataclass(kw_only=True)
class Sums:
    """What users got, from the beginning of the story."""

    requests: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    """Bad answers by the revision that gave them; ``""``: nobody did, or the router itself."""
    unknown: int = 0
    """Answers of a router that knows no such release."""
    late: dict[str, int] = field(default_factory=dict)
    """Answers by revision that took a second or longer."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Requests without an answer, by reason, where the world knows one."""


LATE_MS = 1_000


def brief(status: ReleaseStatus | None) -> str:
    """Where a release stands, in a line."""
    if status is None:
        return "no status"
    return (
        f"{status.phase} {status.reason} at {status.weight_bp} bp: {status.message}; "
        f"next: {status.next}; problems: {status.problems}"
    )


class World(Protocol):
    """One release, its users, and everything that can break. Times are seconds of that world."""

    name: str
    revisions: dict[str, RevisionId]
    """Revision of each version that was deployed, in order."""

    def deploy(self, papers: Papers, version: str) -> None:
        """A user applies these documents for this version."""
        ...

    def traffic(self, rps: float) -> None:
        """So many requests per second from now on."""
        ...

    def faults(self, version: str, faults: Mapping[str, float]) -> None:
        """From now on this version misbehaves so; nothing given: it is well.

        ``error_rate``: share of 500s. ``pod_error_rate``: the same, of its first replica only.
        ``latency_ms``: time to answer, of a ``slow_rate`` of all answers, in the first ``cold_s``
        of a replica only when that is given. ``wrong_rate``: share of answers that are wrong.
        ``buys``: share of users who do what a goal counts.
        ``start_s``: time until a replica that starts now is ready.
        """
        ...

    def verb(self, verb: str, *words: str) -> str:
        """A person says this; why it was refused, or nothing."""
        ...

    def kill(self, what: str) -> None:
        """End with kill -9: ``controller``, ``agent``, ``router``, or a version's first replica.

        A controller stays away until :meth:`restart`; the others are started again by whoever
        looks after them.
        """
        ...

    def restart(self) -> None:
        """A new controller starts from what the old one kept."""
        ...

    def status(self) -> ReleaseStatus | None:
        """Of the release; None: there is none, or nobody to ask."""
        ...

    def until(self, fits: Fits, *, within_s: float, what: str) -> ReleaseStatus:
        """Time goes by until the status fits.

        Raises:
            AssertionError: it never did.
        """
        ...

    def after(self, seconds: float) -> None:
        """Time goes by."""
        ...

    def now_s(self) -> float:
        """Time of this world, UTC."""
        ...

    def sums(self) -> Sums:
        """What users got until now; ends the traffic."""
        ...
