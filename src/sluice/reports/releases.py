"""The table of all releases, and the one line that a log gets when something changes."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sluice.reports import words
from sluice.reports.canvas import PHASE_STYLE, Canvas, columns
from sluice.reports.model import Decision, ReleaseStatus


def releases_table(statuses: Sequence[ReleaseStatus], canvas: Canvas) -> RenderableType:
    """One line a release: what ``sluice status`` shows when there are several."""
    rows = [
        (
            Text(status.name, style="bold"),
            Text(status.phase, style=PHASE_STYLE[status.phase]),
            words.revision_name(status.stable, status),
            words.revision_name(status.candidate, status) if status.candidate else "-",
            words.weight(status.weight_bp) if status.candidate else "-",
            words.rate(sum(entry.rps for entry in status.revisions)),
            status.message or status.reason,
        )
        for status in statuses
    ]
    headers = ("RELEASE", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "RPS", "WHAT IS GOING ON")
    return Group(*columns(headers, rows, canvas=canvas, right=(4, 5), shrink=6))


def decision_line(release: str, decision: Decision) -> str:
    """One decision as a line of a log: time, release, what, the weight and why."""
    parts = [words.clock(decision.at_ms), release, decision.kind]
    if decision.to_bp is not None and decision.from_bp is not None:
        change = f"{words.weight(decision.from_bp)}->{words.weight(decision.to_bp)}"
        parts.append(change if decision.to_bp != decision.from_bp else words.weight(decision.to_bp))
    reason = "" if decision.reason == decision.kind else decision.reason
    parts.append(": ".join(filter(None, (reason, decision.message))))
    verdict = decision.verdict
    if verdict is not None:
        parts.append(
            f"[e {words.e_value(verdict.log_e)} of {words.e_value(verdict.log_threshold)}, "
            f"{words.count(verdict.requests)} requests, {words.count(verdict.harmed)} harmed]"
        )
    return "  ".join(filter(None, parts))


def status_line(status: ReleaseStatus) -> str:
    """How a release is, as a line of a log."""
    parts = [words.clock(status.updated_ms), status.name, f"{status.phase}"]
    if status.candidate is not None:
        parts.append(words.weight(status.weight_bp))
    parts.append(f"{status.reason}: {status.message}" if status.message else status.reason)
    return "  ".join(parts)
