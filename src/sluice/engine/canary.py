"""The canary: steps that a person wrote, or the harm-bounded ramp."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sluice.engine.plan import (
    Capacity,
    Exit,
    Fixed,
    Gate,
    OnInconclusive,
    Ramp,
    Rung,
    Stage,
)
from sluice.nouns import Shield

CHECKS = ("slo", "regression", "non-inferiority")
"""Checks that act while a canary has live traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeight:
    """Give the candidate this share of the requests."""

    weight_bp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stay here for a time; None: until somebody promotes."""

    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStep:
    """Stay here until the gate is answered."""

    name: str


Step = SetWeight | Pause | GateStep


def canary_stage(
    *,
    steps: Sequence[Step],
    ramp: Ramp,
    deadline_ms: int | None,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
    shield: Shield | None = None,
    proportional: bool = False,
) -> Stage:
    """Compile a canary.

    Args:
        steps: What a person wrote, in order; empty: the ramp.
        ramp: The ramp's settings, used when there are no steps.
        deadline_ms: Time for the stage.
        on_inconclusive: What happens when it is over without a decision.
        shield: Replace the candidate's failed answers by stable's.
        proportional: The candidate's size follows its weight instead of being full from the start.

    Returns:
        A stage that ends in a rung which waits for the verdict ``passed`` and for minBake.
    """
    capacity = Capacity(candidate_bp=None if proportional else 10_000)
    common = {"capacity": capacity, "checks": CHECKS, "shield": shield}
    decided = Exit(passed=True)
    rungs: list[Rung] = []
    weight = Fixed(weight_bp=0)
    for step in steps:
        match step:
            case SetWeight(weight_bp=weight_bp):
                weight = Fixed(weight_bp=weight_bp)
                rungs.append(_rung(f"setWeight {weight_bp / 100:g}", weight, Exit(), common))
            case Pause(duration_ms=None):
                rungs.append(_rung("pause", weight, Exit(person=True), common))
            case Pause(duration_ms=int(hold_ms)):
                name = f"pause {_duration(hold_ms)}"
                rungs.append(_rung(name, weight, Exit(hold_ms=hold_ms), common))
            case GateStep(name=name):
                rungs.append(_rung(f"gate {name}", weight, Exit(), common, (Gate(name=name),)))
    if steps:
        rungs.append(_rung("bake", weight, decided, common))
    else:
        rungs.append(_rung("ramp", ramp, decided, common))
    return Stage(
        strategy="canary",
        rungs=tuple(rungs),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
    )


def _rung(
    name: str,
    weight: Fixed | Ramp,
    exit_: Exit,
    common: dict[str, Any],
    gates: tuple[Gate, ...] = (),
) -> Rung:
    return Rung(name=name, weight=weight, exit=exit_, gates=gates, **common)


def _duration(ms: int) -> str:
    seconds = ms / 1000
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
