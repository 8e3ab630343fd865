"""What Sluice asks of the world. One contract suite per port runs against every adapter.

All methods are async and idempotent: asking again for what is already so changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sluice.nouns import (
    Ack,
    Capabilities,
    Fragment,
    GateAnswer,
    Job,
    JobEnd,
    Notice,
    Notify,
    OutcomePage,
    PairBatch,
    Question,
    Replicas,
    Snapshot,
    Workload,
)


class Clock(Protocol):
    """Time as an argument: the wall, or a test's."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so long on this clock."""
        ...


class Platform(Protocol):
    """Runs revisions: processes on a laptop, Deployments on Kubernetes."""

    async def scale(self, workload: Workload, replicas: int) -> None:
        """Ask for a revision at a size; returns at once. Size 0 drains and stops it.

        Raises:
            SpecError: the template asks for what this platform cannot run (said by path).
        """
        ...

    async def observe(self, release: str) -> Sequence[Replicas]:
        """Every revision of a release that has, or was asked for, replicas."""
        ...

    async def remove(self, release: str) -> None:
        """Drain and stop everything of a release and forget it."""
        ...


class DataPlane(Protocol):
    """Splits traffic: Envoy through its agents, or memory."""

    @property
    def capabilities(self) -> Capabilities:
        """What routings may ask for."""
        ...

    async def apply(self, fragment: Fragment) -> None:
        """Serve this routing on every router; returns when all have acknowledged it.

        The same generation again with other endpoints updates the endpoints.

        Raises:
            RoutingRefused: a router refused it; all go on with what they had.
            TransientError: a router could not be reached or did not acknowledge in time.
        """
        ...

    async def remove(self, release: str) -> None:
        """Stop serving a release; unknown names are fine."""
        ...

    async def renew(self, releases: Sequence[str]) -> None:
        """Renew the leases of these releases on every router.

        Raises:
            TransientError: no router could be reached.
        """
        ...

    async def acks(self) -> Sequence[Ack]:
        """What every router serves, one entry per router and release."""
        ...


class MetricSource(Protocol):
    """Reads cumulative counters."""

    async def read(self) -> Mapping[str, tuple[Snapshot, ...]]:
        """One snapshot per router, by release; one call serves all releases.

        Raises:
            TransientError: nothing could be read. A router whose answer makes no sense raises too:
                a measurement that cannot be trusted is none.
        """
        ...


class Outcomes(Protocol):
    """Reads who was exposed to a test and what became of it."""

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        """What came since ``cursor``, oldest first; everything when it is empty.

        A row may come again (a file that was written anew, the edge of a page): readers keep one
        outcome a user and goal, and the newest wins.

        Args:
            cursor: Of the page before, or empty.
            until: A cursor that was given out earlier: nothing that lies behind it. For a reader
                that has to remember what it knew then.

        Raises:
            SpecError: rows that cannot be used: all of them, each with file and line.
            TransientError: the source cannot be read now.
        """
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


class Pairs(Protocol):
    """Reads pairs of answers to mirrored requests."""

    async def read(self, release: str, after: Mapping[str, str]) -> PairBatch:
        """What every router captured of a release since its cursor.

        Args:
            release: Its name.
            after: ``PairBatch.cursors`` of the reading before; a router without one begins with
                what comes from now on.

        Raises:
            TransientError: no router answers, or one answers what makes no sense.
        """
        ...


class Hook(Protocol):
    """Has gates answered without a person."""

    async def ask(self, question: Question) -> GateAnswer:
        """Try once. What goes wrong is an answer too (``silent``), with its reason.

        Cancelled when nobody wants to know any more: nothing of it may go on then.
        """
        ...


class CheckJob(Protocol):
    """Runs programs that check a candidate: processes on a laptop, Jobs on Kubernetes."""

    async def run(self, job: Job) -> JobEnd:
        """Run a program to its end; one that is cancelled or over time is ended with all it began.

        The same id again is the same check: a platform whose jobs outlive the controller returns
        the end of the one that it has.
        """
        ...


class Notifier(Protocol):
    """Tells others what was decided. Never waits, never fails."""

    def tell(self, notice: Notice, receivers: Sequence[Notify]) -> None:
        """Queue a decision for these receivers."""
        ...

    def problems(self, receivers: Sequence[Notify]) -> Sequence[str]:
        """What cannot be delivered at the moment, or was given up, one line each."""
        ...


class Journal(Protocol):
    """Keeps what must survive: one checkpoint per release, and a log of what happened.

    Raises (every method):
        StateError: the store cannot be read or written.
    """

    async def load(self) -> Mapping[str, Mapping[str, Any]]:
        """The last checkpoint of every release, by name."""
        ...

    async def checkpoint(self, release: str, record: Mapping[str, Any]) -> None:
        """Replace a release's checkpoint, atomically and durably."""
        ...

    async def append(self, release: str, entry: Mapping[str, Any]) -> None:
        """Add a line to the release's log."""
        ...

    async def entries(self, release: str) -> Sequence[Mapping[str, Any]]:
        """The release's log, oldest first."""
        ...

    async def forget(self, release: str) -> None:
        """Drop the checkpoint; the log stays."""
        ...
