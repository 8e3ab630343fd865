"""What a command asks and tells, whoever keeps the releases: a supervisor or a cluster."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from sluice.cli.client import TIMEOUT_S, Client
from sluice.cli.where import Where
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.traffic import Poll


class Backend(Protocol):
    """Keeps releases and does what it is told.

    Raises (every method):
        UnknownRelease: nothing is running there, or no release of this name.
        SpecError: the files cannot be used; nothing was applied.
        RefusedError: the verb makes no sense now, or this user may not; nothing changed.
        StateError: the way there cannot be used: socket, kubeconfig.
        TransientError: no answer, or it could not be done now.
    """

    poll_s: float
    """How often it may be asked while something is followed, seconds."""
    keeper: str
    """Who answers, for people: ``the supervisor``."""
    unkept: str
    """Why no poll of a pass is kept here; empty: a journal keeps them."""

    def __enter__(self) -> "Backend": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def health(self) -> Mapping[str, Any]:
        """Who keeps the releases, and its ``version``."""
        ...

    def releases(self) -> tuple[ReleaseStatus, ...]:
        """Every release."""
        ...

    def release(self, name: str) -> ReleaseStatus:
        """One release."""
        ...

    def some(self, names: Sequence[str]) -> tuple[ReleaseStatus, ...]:
        """These releases, in this order, at the cost of one question where that is possible."""
        ...

    def history(self, name: str) -> tuple[Decision, ...]:
        """Every decision that is kept, oldest first."""
        ...

    def polls(self, name: str) -> tuple[Poll, ...]:
        """Every poll that was used and kept, oldest first."""
        ...

    def kept(self, name: str, pass_number: int) -> list[dict[str, Any]]:
        """What was kept of how a pass was judged, oldest first, as it was written."""
        ...

    def logs(
        self, name: str, *, revision: str | None = None, tail: int = 100, since: str | None = None
    ) -> tuple[list[tuple[str, str]], str | None]:
        """(replica, line) of the newest lines, and the cursor to ask on with ``since``."""
        ...

    def standing(self, files: Sequence[tuple[str, str]]) -> dict[str, ReleaseStatus]:
        """Releases that the files may be about, by name, as they are before."""
        ...

    def apply(
        self, files: Sequence[tuple[str, str]], *, by: str, patience_s: float
    ) -> Mapping[str, Any]:
        """Apply (name, text) of files: all of them or, when one has a fault, none.

        Args:
            files: Names and texts.
            by: Who asks.
            patience_s: How long to wait for the word which revision each release got.

        Returns:
            ``applied``: a list of ``kind``, ``name``, ``changed`` and, for a release whose
            revision is known, ``revision``; ``notices``: lines.
        """
        ...

    def verb(self, name: str, verb: str, body: Mapping[str, Any]) -> tuple[str, ReleaseStatus]:
        """Do something to a release; returns what happened in one line, and the new status."""
        ...

    def delete(self, name: str, *, by: str) -> tuple[str, ReleaseStatus]:
        """Stop and forget a release; returns what happened and its last status."""
        ...


def connect(where: Where, *, timeout_s: float = TIMEOUT_S) -> Backend:
    """The keeper of the releases of a place; ends when its ``with`` block ends.

    Args:
        where: The place.
        timeout_s: The longest wait for an answer.
    """
    if not where.cluster:
        return Client(where.folder, timeout_s=timeout_s)
    from sluice.cli.cluster.client import ClusterClient  # the laptop's verbs stay as fast as before

    return ClusterClient.connect(where, timeout_s=timeout_s)
