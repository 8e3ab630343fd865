"""What other release tools would have harmed at the same traffic, by the arithmetic of their rules.

The rules are those of the tools' own documentation and source, at weights that do not depend on
the traffic; the candidate is bad from its first request on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.reports.model import PeerHarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A tool's documented example."""

    name: str
    steps: Sequence[tuple[float, float]]
    """(share of the traffic, seconds), in order, until its end."""
    least_success: float
    """Share of good answers below which a measurement fails."""
    decided_s: float
    """From the first candidate request to the last, when every measurement fails."""
    rule: str


FLAGGER = Schedule(
    name="Flagger, example of its documentation",
    steps=((0.10, 300.0),),
    least_success=0.99,
    decided_s=300.0,
    rule="10% while 5 checks, a minute apart, fail; the weight stays while they do",
)
ARGO = Schedule(
    name="Argo Rollouts, example of its documentation",
    steps=((0.20, 600.0), (0.40, 600.0), (0.60, 600.0), (0.80, 600.0)),
    least_success=0.95,
    decided_s=1_200.0,
    rule="20%, 40%, ... of 10 minutes each; measured every 5 minutes, the 4th failure aborts",
)
PEERS = (FLAGGER, ARGO)


def harmed(schedule: Schedule, *, rps: float, error_rate: float) -> tuple[float, bool]:
    """(bad answers of the candidate that users would have seen, whether it was turned back)."""
    found = 1.0 - error_rate < schedule.least_success
    left = schedule.decided_s if found else sum(seconds for _, seconds in schedule.steps)
    requests = 0.0
    for share, seconds in schedule.steps:
        spent = min(seconds, left)
        requests += rps * share * spent
        left -= spent
    return requests * error_rate, found


def peers_harm(*, rps: float, error_rate: float) -> tuple[PeerHarm, ...]:
    """The same for every peer, for the report."""
    rows = []
    for schedule in PEERS:
        count, found = harmed(schedule, rps=rps, error_rate=error_rate)
        end = "" if found else "; it would have promoted it"
        rows.append(PeerHarm(name=schedule.name, harmed=count, note=f"{schedule.rule}{end}"))
    return tuple(rows)
