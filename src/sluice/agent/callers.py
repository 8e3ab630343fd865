"""Who speaks to an agent: the highest leadership it has heard of, and when it heard anybody."""

from collections.abc import Callable
from pathlib import Path

import structlog

from sluice.agent.sink import Conflict
from sluice.dataplanes.envoyfiles import replace_file
from sluice.errors import Fault, SpecError, StateError

log = structlog.get_logger(__name__)


class Callers:
    """Fences off a controller that no longer leads and has not noticed.

    Args:
        path: Where the highest epoch is kept: an agent that restarts must not forget it.
        now_s: A clock that only moves forward, seconds.
    """

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        self._path = path
        self._now_s = now_s
        self._heard_s: float | None = None
        self.epoch = _stored(path)
        """Highest that was shown; -1: none yet."""

    def heard(self) -> None:
        """Somebody with the token has asked something."""
        self._heard_s = self._now_s()

    @property
    def silent_s(self) -> float:
        """Time since anybody with the token asked, seconds; infinite: nobody ever has."""
        return float("inf") if self._heard_s is None else self._now_s() - self._heard_s

    def admit(self, shown: str | None) -> None:
        """Let a change through, or not.

        Args:
            shown: The header ``x-sluice-epoch``; None: there is only one controller, no fencing.

        Raises:
            Conflict: a controller with a higher epoch has spoken before.
            SpecError: the header is no number.
        """
        if shown is None:
            return
        if not (shown.isascii() and shown.isdecimal() and len(shown) <= 18):
            raise SpecError([Fault(path="x-sluice-epoch", reason="must be a whole number")])
        epoch = int(shown)
        if epoch < self.epoch:
            raise Conflict(f"epoch {epoch} is over: a controller of epoch {self.epoch} leads now")
        if epoch > self.epoch:
            log.info("agent.leader_changed", epoch=epoch, before=self.epoch)
            self.epoch = epoch
            try:
                replace_file(self._path, shown.encode(), mode=0o600)
            except StateError as error:
                # Fenced as long as this agent lives; a full disk must not stop an abort.
                log.warning("agent.epoch_not_saved", reason=str(error))


def _stored(path: Path) -> int:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return -1
