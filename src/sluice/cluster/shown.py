"""The status of a Release: what people and ``kubectl`` read of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.cluster.conditions import Acceptance, conditions_of
from sluice.cluster.keys import split, stamp
from sluice.engine.state import Mode, State
from sluice.nouns import RevisionId
from sluice.reports.document import dump
from sluice.reports.model import Decision, ReleaseStatus
from sluice.spec.scalars import format_percent

HISTORY = 20
"""Decisions that ``status.history`` lists."""
FIELDS = (
    "observedGeneration",
    "phase",
    "stage",
    "weight",
    "stable",
    "candidate",
    "verdict",
    "message",
    "replicas",
    "selector",
    "conditions",
    "revisions",
    "history",
    "command",
    "consumed",
    "problems",
    "notices",
)
"""Every field that is written here; one that has no value now goes from the status."""
LINES = 10
"""Problems, and notices, that are listed."""
LONGEST_LINE = 500
"""Characters of a message in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One release as it is now."""

    key: str
    acceptance: Acceptance
    status: ReleaseStatus | None = None
    """None: it has never run."""
    state: State | None = None
    troubles: Sequence[str] = ()
    """What does not work at the moment; ``status.problems`` has replicas that get ready as well."""
    consumed: Mapping[str, str] = field(default_factory=dict)
    command: Mapping[str, str] = field(default_factory=dict)
    conditions: Sequence[Mapping[str, Any]] = ()
    """As they were written last."""


def status_for(look: Look, now_ms: int) -> dict[str, Any]:
    """The fields of ``status`` that people read; None: not known now."""
    found: dict[str, Any] = {
        **dict.fromkeys(FIELDS),
        "observedGeneration": look.acceptance.seen,
        "conditions": conditions_of(
            look.acceptance, look.status, look.state, look.troubles, look.conditions, now_ms
        ),
        "consumed": dict(look.consumed),
        "command": dict(look.command) or None,
    }
    if look.status is None or look.state is None:
        found |= {"phase": "Degraded", "message": look.acceptance.message[:LONGEST_LINE]}
        return found
    return found | _of_release(look.key, look.status, look.state)


def view_of(status: ReleaseStatus) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the command line shows: the status document, and the decisions apart from it."""
    return dump(replace(status, decisions=())), [dump(item) for item in status.decisions]


def _of_release(key: str, status: ReleaseStatus, state: State) -> dict[str, Any]:
    _, name = split(key)
    stable = next((item for item in status.revisions if item.role == "stable"), None)
    moving = state.in_pass or state.mode is Mode.ABORTED
    verdict = status.verdict.kind.value if status.verdict is not None and moving else ""
    known: dict[str, Any] = {
        "phase": status.phase.value,
        "stage": _stage(state),
        "weight": f"{format_percent(status.weight_bp)}%" if status.candidate else "",
        "stable": status.stable or "",
        "candidate": status.candidate or "",
        "verdict": verdict,
        "message": status.message[:LONGEST_LINE],
        "revisions": [
            _without_empty(
                {
                    "revision": item.revision,
                    "role": _role(state, item.revision, item.role),
                    "desired": item.desired,
                    "ready": item.ready,
                    "message": item.message[:LONGEST_LINE],
                }
            )
            for item in status.revisions
        ],
        "history": [_decision(item) for item in status.decisions[-HISTORY:]],
        "problems": [line[:LONGEST_LINE] for line in status.problems[:LINES]],
        "notices": [line[:LONGEST_LINE] for line in status.notices[:LINES]],
    }
    if stable is not None:
        known["replicas"] = stable.running
        known["selector"] = f"sluice.dev/release={name},sluice.dev/revision={stable.revision}"
    return _without_empty(known, ("revisions", "history", "problems", "notices"))


def _stage(state: State) -> str:
    """``canary 2/5``: the strategy of the present stage and the step in it; empty outside."""
    if not state.in_pass or state.plan is None:
        return ""
    stage = state.at_stage
    step = state.rung + 1 if state.mode is Mode.RUNNING else 0
    return f"{stage.strategy} {step}/{len(stage.rungs)}"


def _role(state: State, revision: RevisionId, role: str) -> str:
    if role == "candidate" and revision != state.candidate:
        return "variant"
    return "old" if role == "warm" else role


def _decision(decision: Decision) -> dict[str, Any]:
    return _without_empty(
        {
            "at": stamp(decision.at_ms),
            "kind": decision.kind,
            "reason": decision.reason,
            "message": decision.message[:LONGEST_LINE],
            "revision": decision.revision or "",
            "weight": "" if decision.to_bp is None else f"{format_percent(decision.to_bp)}%",
            "pass": decision.pass_number,
            "by": decision.by,
        }
    )


def _without_empty(values: dict[str, Any], keep: Sequence[str] = ()) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in keep or value not in ("", None)}
