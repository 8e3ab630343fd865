"""Decisions put together into passes: what history, explain, JUnit and HTML speak about."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from sluice.nouns import RevisionId, Verdict
from sluice.reports.model import Decision

Outcome = Literal["promoted", "aborted", "held", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One journey of one candidate, as its decisions tell it."""

    number: int
    revision: RevisionId | None
    started_ms: int
    ended_ms: int | None
    """When it was promoted or aborted; None: it is still on its way."""
    outcome: Outcome
    reason: str
    message: str
    requests: int
    """Candidate requests judged."""
    harmed: int
    decisions: tuple[Decision, ...]

    @property
    def verdict(self) -> Verdict | None:
        """The newest verdict that a decision carries."""
        return next((d.verdict for d in reversed(self.decisions) if d.verdict), None)


def passes(decisions: Sequence[Decision]) -> tuple[Pass, ...]:
    """Group decisions by pass, oldest first.

    Args:
        decisions: Of one release, oldest first.
    """
    ordered = sorted(decisions, key=lambda decision: (decision.pass_number, decision.at_ms))
    return tuple(
        _pass(number, tuple(group))
        for number, group in groupby(ordered, key=lambda decision: decision.pass_number)
    )


def _pass(number: int, decisions: tuple[Decision, ...]) -> Pass:
    outcome: Outcome = "running"
    ended = None
    said = decisions[-1]
    for decision in decisions:
        match decision.kind:
            case "Promoted":
                outcome, ended, said = "promoted", decision.at_ms, decision
            case "Aborted":
                outcome, ended, said = "aborted", decision.at_ms, decision
            case "Held" if ended is None:
                outcome, said = "held", decision
            case _ if ended is None:
                outcome, said = "running", decision
            case _:
                pass
    verdicts = [decision.verdict for decision in decisions if decision.verdict is not None]
    return Pass(
        number=number,
        revision=next((d.revision for d in decisions if d.revision), None),
        started_ms=decisions[0].at_ms,
        ended_ms=ended,
        outcome=outcome,
        reason=said.reason,
        message=said.message,
        requests=max((verdict.requests for verdict in verdicts), default=0),
        harmed=max((verdict.harmed for verdict in verdicts), default=0),
        decisions=decisions,
    )
