"""What a command's end means to the shell and to CI."""

from enum import IntEnum

from sluice.errors import (
    RefusedError,
    RoutingRefused,
    SluiceError,
    SpecError,
    StateError,
    UnknownRelease,
)
from sluice.nouns import Phase, RevisionId, VerdictKind
from sluice.reports.model import ReleaseStatus

UNDECIDED_FOR = ("DeadlineExceeded", "HorizonReached")
"""Why a release is held although it could be measured: its time is over."""


class ExitCode(IntEnum):
    """Exit codes of every command (decision 0060)."""

    DONE = 0
    """Promoted, passed, or simply done."""
    FAILED = 1
    """The candidate was turned back, or the verb was refused."""
    UNDECIDED = 2
    """Held at the deadline or horizon: the checks could not decide."""
    NOT_MEASURED = 3
    """The measurement cannot be trusted, or could not be made."""
    USAGE = 64
    """Wrong words on the command line, or a file that cannot be used."""
    NOTHING_THERE = 69
    """Nothing is running, or no such release."""
    TIME_OUT = 124
    """``--timeout`` was over first; the release goes on."""
    INTERRUPTED = 130
    """Ctrl-C; the release goes on."""


SEVERITY = (
    ExitCode.DONE,
    ExitCode.TIME_OUT,
    ExitCode.UNDECIDED,
    ExitCode.NOT_MEASURED,
    ExitCode.FAILED,
)
"""Of several releases that were waited for, the worst end is the command's."""


class WrongUsage(SluiceError):  # noqa: N818  # what happened, said in the field's word
    """The command line asks for something that makes no sense, in a way only we can see."""


class NotAccepted(WrongUsage):
    """Files were applied, and the controller cannot use what they say."""


class TimeOut(SluiceError):  # noqa: N818  # what happened, said in the field's word
    """``--timeout`` was over first."""


def code_of(error: SluiceError) -> ExitCode:
    """The exit code that an error of ours ends a command with."""
    match error:
        case SpecError() | WrongUsage():
            return ExitCode.USAGE
        case UnknownRelease() | StateError():
            return ExitCode.NOTHING_THERE
        case RefusedError() | RoutingRefused():
            return ExitCode.FAILED
        case TimeOut():
            return ExitCode.TIME_OUT
        case _:
            return ExitCode.NOT_MEASURED


def end_of(
    status: ReleaseStatus, target: RevisionId, *, before: ReleaseStatus | None = None
) -> ExitCode | None:
    """How the pass of ``target`` ended; None while it is on its way.

    Args:
        status: Of the release, now.
        target: The revision that was deployed.
        before: Of the release before it was deployed; None: there was none. A pass of the same
            revision that had ended before is not taken for the new one.
    """
    if status.stable == target:
        # who waits for a promotion wants to send requests to it: every router must serve it
        return ExitCode.DONE if status.acknowledged >= status.generation else None
    seen = before is not None and target in (before.candidate, before.stable)
    since = -1 if before is None or seen else before.pass_number
    aborted = status.phase is Phase.ABORTED and status.candidate == target
    if aborted and status.pass_number > since:
        return ExitCode.FAILED
    superseded = [
        decision
        for decision in status.decisions
        if decision.kind == "Aborted"
        and decision.revision == target
        and since < decision.pass_number < status.pass_number
        and status.candidate != target
    ]
    if superseded:
        return ExitCode.FAILED
    if status.candidate not in (None, target):
        return None
    if status.reason == "ProgressDeadlineExceeded" and status.phase is Phase.DEGRADED:
        return ExitCode.FAILED
    if status.phase is Phase.PAUSED and status.reason in UNDECIDED_FOR:
        kind = status.verdict.kind if status.verdict is not None else VerdictKind.ERROR
        untrusted = kind in (VerdictKind.INVALID, VerdictKind.ERROR)
        return ExitCode.NOT_MEASURED if untrusted else ExitCode.UNDECIDED
    return None
