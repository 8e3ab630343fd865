"""Conditions of a Release, as ``kubectl wait --for=condition=…`` reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.cluster.keys import stamp
from sluice.engine.state import Mode, State
from sluice.nouns import Phase
from sluice.reports.model import ReleaseStatus

LONGEST = 4_000
"""Of a condition's message, characters; a fault of a spec is about 100 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What became of the newest spec."""

    seen: int = 0
    """``metadata.generation`` that was looked at last."""
    running: int = 0
    """``metadata.generation`` that the loop runs; smaller than ``seen`` while that has a fault."""
    reason: str = "Accepted"
    message: str = "the spec is what runs"

    @property
    def accepted(self) -> bool:
        """Whether the newest spec is what runs."""
        return self.reason == "Accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    type: str
    holds: bool
    reason: str
    message: str
    generation: int


def conditions_of(
    acceptance: Acceptance,
    status: ReleaseStatus | None,
    state: State | None,
    problems: Sequence[str],
    before: Sequence[Mapping[str, Any]],
    now_ms: int,
) -> list[dict[str, Any]]:
    """All conditions, with the time at which each last changed between true and false.

    ``Promoted`` and the others keep the generation that runs, so that nobody who waits for a spec
    with a fault is told that the spec before it is promoted.

    Args:
        acceptance: What became of the newest spec.
        status: What is shown of the release; None: it has never run.
        state: The engine's view of it.
        problems: What does not work at the moment.
        before: The conditions that were written last.
        now_ms: UTC milliseconds.
    """
    said = [
        _Said(
            type="Accepted",
            holds=acceptance.accepted,
            reason=acceptance.reason,
            message=acceptance.message,
            generation=acceptance.seen,
        )
    ]
    if status is not None and state is not None:
        said += _running(status, state, problems, acceptance.running)
    old = {item.get("type"): item for item in before}
    return [_condition(item, old.get(item.type, {}), now_ms) for item in said]


def _running(
    status: ReleaseStatus, state: State, problems: Sequence[str], generation: int
) -> list[_Said]:
    reason, message = status.reason or "Unknown", status.message
    progressing = state.mode in (Mode.STARTING, Mode.PREPARING, Mode.RUNNING, Mode.DELETING)
    available, why = _available(state)
    promoted = state.mode is Mode.STEADY and not state.queued
    aborted = state.mode is Mode.ABORTED
    troubled = state.phase is Phase.DEGRADED or bool(problems)
    calm = "nothing is wrong"
    trouble = message if state.phase is Phase.DEGRADED else "; ".join(problems)
    rows = (
        ("Progressing", progressing, reason, message),
        ("Available", available, "StableReady" if available else "StableNotReady", why),
        ("Promoted", promoted, reason, message),
        ("Aborted", aborted, reason, message),
        ("Paused", state.phase is Phase.PAUSED, reason, message),
        (
            "Degraded",
            troubled,
            (reason if state.phase is Phase.DEGRADED else "Problem") if troubled else "Works",
            trouble if troubled else calm,
        ),
    )
    return [
        _Said(type=kind, holds=holds, reason=why, message=text, generation=generation)
        for kind, holds, why, text in rows
    ]


def _available(state: State) -> tuple[bool, str]:
    if state.stable is None:
        return False, "there is no stable revision yet"
    ready = state.ready_of(state.stable)
    served = state.acknowledged > 0 and state.routing is not None
    if not served:
        return False, f"no router serves {state.stable} yet"
    return ready > 0, f"{state.stable} has {ready} of {state.size_of(state.stable)} replicas ready"


def _condition(said: _Said, before: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    status = "True" if said.holds else "False"
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": said.type,
        "status": status,
        "reason": said.reason,
        "message": said.message[:LONGEST],
        "lastTransitionTime": since or stamp(now_ms),
        "observedGeneration": said.generation,
    }
