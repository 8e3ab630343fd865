"""The table of all releases, and the one line that a log gets when something changes."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sluice.reports import words
from sluice.reports.canvas import PHASE_STYLE, Canvas
from sluice.reports.model import Decision, ReleaseStatus


def releases_table(statuses: Sequence[ReleaseStatus], canvas: Canvas) -> Table:
    """One line a release: what ``sluice status`` shows when there are several."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("RELEASE", no_wrap=True, overflow="ellipsis")
    for name in ("PHASE", "STABLE", "CANDIDATE"):
        table.add_column(name, no_wrap=True)
    table.add_column("WEIGHT", justify="right", no_wrap=True)
    table.add_column("RPS", justify="right", no_wrap=True)
    table.add_column("WHAT IS GOING ON", overflow="fold")
    for status in statuses:
        table.add_row(
            Text(status.name, style="bold"),
            Text(status.phase, style=PHASE_STYLE[status.phase]),
            words.revision_name(status.stable, status),
            words.revision_name(status.candidate, status) if status.candidate else "-",
            words.weight(status.weight_bp) if status.candidate else "-",
            words.rate(sum(entry.rps for entry in status.revisions)),
            f"{status.reason}: {status.message}" if status.message else status.reason,
        )
    return table


def decision_line(release: str, decision: Decision) -> str:
    """One decision as a line of a log: time, release, what, the weight and why."""
    parts = [words.clock(decision.at_ms), release, decision.kind]
    if decision.to_bp is not None and decision.from_bp is not None:
        change = f"{words.weight(decision.from_bp)}->{words.weight(decision.to_bp)}"
        parts.append(change if decision.to_bp != decision.from_bp else words.weight(decision.to_bp))
    parts.append(f"{decision.reason}: {decision.message}" if decision.message else decision.reason)
    verdict = decision.verdict
    if verdict is not None:
        parts.append(
            f"[e {words.e_value(verdict.log_e)} of {words.e_value(verdict.log_threshold)}, "
            f"{words.count(verdict.requests)} requests, {words.count(verdict.harmed)} harmed]"
        )
    return "  ".join(parts)


def status_line(status: ReleaseStatus) -> str:
    """How a release is, as a line of a log."""
    parts = [words.clock(status.updated_ms), status.name, f"{status.phase}"]
    if status.candidate is not None:
        parts.append(words.weight(status.weight_bp))
    parts.append(f"{status.reason}: {status.message}" if status.message else status.reason)
    return "  ".join(parts)
