"""A release in the loop, with what was last seen and done."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from sluice.nouns import Fragment, Replicas, RevisionId
from sluice.runtime.core import Core

log = structlog.get_logger()


@dataclass(kw_only=True)
class Tracked:
    """One release in the loop, with what was last seen and done."""

    core: Core
    replicas: Sequence[Replicas] = ()
    applied: Fragment | None = None
    applied_to: object = None
    """The routers that have it: others, or more of them, must be told again."""
    told: set[RevisionId] = field(default_factory=set)
    """Revisions that the platform was asked for since this process began: one that only found them
    running knows their sizes, and not what they should look like."""
    problems: dict[str, str] = field(default_factory=dict)
    """What does not work at the moment, by what it concerns; gone when it works again."""
    saved_ms: int = 0
    saved: object = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    notices: tuple[str, ...] = ()

    def problem(self, what: str, message: str) -> None:
        """Something does not work at the moment; said once in the log, and in the status."""
        if self.problems.get(what) != message:
            log.warning("release.problem", release=self.core.state.release, problem=message)
        self.problems[what] = message

    def solved(self, what: str) -> None:
        """It works (again)."""
        self.problems.pop(what, None)
