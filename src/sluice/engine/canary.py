"""The canary: steps that a person wrote, or the harm-bounded ramp."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sluice.engine.plan import (
    ArmSpec,
    Capacity,
    Exit,
    Fixed,
    Gate,
    OnInconclusive,
    Ramp,
    Rung,
    Stage,
)
from sluice.nouns import Ask, Match, Purpose, Shield

CHECKS = ("slo", "regression", "latency-order", "client-errors", "srm", "non-inferiority")
"""Checks that act while a candidate has live traffic."""


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
    ask: Ask | None = None
    """Who is asked; None: a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderOnly:
    """From here on requests with this header go to the candidate."""

    match: Match


Step = SetWeight | Pause | GateStep | HeaderOnly


def canary_stage(
    *,
    steps: Sequence[Step],
    ramp: Ramp,
    deadline_ms: int | None,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
    shield: Shield | None = None,
    proportional: bool = False,
    begin_bp: int = 0,
    preview: ArmSpec | None = None,
) -> Stage:
    """Compile a canary.

    Args:
        steps: What a person wrote, in order; empty: the ramp.
        ramp: The ramp's settings, used when there are no steps.
        deadline_ms: Time for the stage.
        on_inconclusive: What happens when it is over without a decision.
        shield: Replace the candidate's failed answers by stable's.
        proportional: The candidate's size follows its weight instead of being full from the start.
        begin_bp: Weight that the stage before left, for steps before the first ``SetWeight``.
        preview: Way to the candidate for gates that ask it something.

    Returns:
        A stage that ends in a rung which waits for the verdict ``passed`` and for minBake.
    """
    arms: tuple[ArmSpec, ...] = (ArmSpec(),)
    common: dict[str, Any] = {
        "capacity": Capacity(candidate_bp=None if proportional else 10_000),
        "checks": CHECKS,
        "shield": shield,
    }
    rungs: list[Rung] = []
    weight = Fixed(weight_bp=begin_bp)
    for step in steps:
        gates: tuple[Gate, ...] = ()
        here, exit_ = arms, Exit()
        match step:
            case SetWeight(weight_bp=weight_bp):
                weight = Fixed(weight_bp=weight_bp)
                name = f"setWeight {weight_bp / 100:g}"
            case Pause(duration_ms=None):
                name, exit_ = "pause", Exit(person=True)
            case Pause(duration_ms=int(hold_ms)):
                name, exit_ = f"pause {duration(hold_ms)}", Exit(hold_ms=hold_ms)
            case GateStep(name=gate, ask=ask):
                name, gates = f"gate {gate}", (Gate(name=gate, ask=ask),)
                if preview is not None and gates[0].visits:
                    here = (*arms, preview)
            case HeaderOnly(match=match):
                name = f"headerOnly {match.header}"
                arms = (*arms, ArmSpec(purpose=Purpose.FORCED, match=match))
                here = arms
        rungs.append(Rung(name=name, weight=weight, arms=here, exit=exit_, gates=gates, **common))
    last, rule = ("bake", weight) if steps else ("ramp", ramp)
    decided = Exit(passed=True)
    rungs.append(Rung(name=last, weight=rule, arms=arms, exit=decided, **common))
    return Stage(
        strategy="canary",
        rungs=tuple(rungs),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
    )


def duration(ms: int) -> str:
    """A time as a file would say it."""
    seconds = ms / 1000
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
