"""Everything that Sluice raises on purpose, named by what the caller can do about it.

SluiceError
├── SpecError          fix the file: lists every fault, with file, line and path
├── RoutingRefused     the data plane cannot do this, or refused it; the old routing goes on
├── RefusedError       the verb makes no sense now; nothing changed
├── UnknownRelease     no such release, or nothing is running
├── TransientError     try again after ``retry_after_s``
├── StateError         the state folder cannot be read or written
└── InvariantError     our bug: only ``main`` catches it
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SluiceError(Exception):
    """Base of all errors that Sluice raises on purpose; its text is one clear line or list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a file.

    ``path`` is dotted with indices (``spec.strategy.canary.steps[2].setWeight``), ``line`` is
    1-based (0: unknown), ``reason`` says what is wrong and what to do.
    """

    path: str
    reason: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.reason}" if where else f"{self.path}: {self.reason}"


class SpecError(SluiceError):
    """A document cannot be used; carries every fault that was found, never just the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RoutingRefused(SluiceError):  # noqa: N818  # what happened, said in the field's word
    """The data plane refused a routing; what it served before goes on."""


class RefusedError(SluiceError):
    """A verb that makes no sense in the present state; nothing changed."""


class UnknownRelease(SluiceError):  # noqa: N818  # what happened, said in the field's word
    """No release of that name, or no supervisor to ask."""


class TransientError(SluiceError):
    """Could not be done now; may work in ``retry_after_s`` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class StateError(SluiceError):
    """The state folder cannot be read or written."""


class InvariantError(SluiceError):
    """A rule that must always hold does not: a bug of ours, worth a report."""
