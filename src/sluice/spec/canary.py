"""Strategies of a release; this version has the canary."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from sluice.spec.base import Loc, Model, Related, Relation, exactly_one
from sluice.spec.scalars import Name, PositiveDuration, Weight, format_percent, parse_weight, shown
from sluice.spec.template import items

AVAILABLE = ("canary",)
PLANNED = ("blueGreen", "rolling", "shadow", "abTest")
"""Strategies of the design that the engine does not have yet: refused by name."""


class Pause(Model):
    """Stay at this weight."""

    duration_ms: PositiveDuration | None = Field(default=None, alias="duration")
    """Least time at this weight; without it the release waits for ``promote``."""


class GateRef(Model):
    """A yes or no that a person or a webhook answers."""

    name: Name
    """The name that ``promote`` and ``status`` show; used once in a release."""


class Step(Related):
    """One step of a canary: exactly one of the fields."""

    model_config = exactly_one("setWeight", "pause", "gate")

    set_weight_bp: Weight | None = Field(default=None, alias="setWeight")
    """Give the candidate this share of the requests: percent, up to two decimals, below 100."""
    pause: Pause | None = None
    """Stay here for a time, or with ``{}`` until somebody promotes."""
    gate: GateRef | None = None
    """Stay here until the gate is answered."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A step does one thing."""
        known = [key for key in ("setWeight", "pause", "gate") if key in raw]
        for key in known:
            if raw[key] is None:
                hint = ": write {} to wait for promote" if key == "pause" else ""
                yield (key,), f"is empty{hint}"
        if len(known) > 1:
            yield (), f"a step does one thing, not {' and '.join(known)}: make it a list of steps"
        elif not raw:
            yield (), "a step needs one of setWeight, pause, gate"


class ShieldSpec(Model):
    """A failed answer of the candidate is replaced by stable's and still counted against it.

    Only for predictions, which have no side effects, and while the answer has not begun.
    """

    per_try_timeout_ms: PositiveDuration = Field(alias="perTryTimeout")
    """How long the candidate may take before stable is asked; below ``traffic.timeout``."""


class Canary(Model):
    """The candidate takes a growing share of live requests while checks compare it with stable."""

    steps: tuple[Step, ...] = Field(default=(), min_length=1, max_length=100)
    """What to do in order; left out: the ramp, as fast as the evidence allows within the policy's
    harm budget."""
    shield: ShieldSpec | None = None
    """Replace failed answers of the candidate by stable's."""
    capacity: Literal["full", "proportional"] = "full"
    """Size of the candidate: ``full`` from the start, or ``proportional`` to its weight."""


class StageSpec(Related):
    """One strategy: exactly one of the fields."""

    model_config = exactly_one(*AVAILABLE)

    canary: Canary | None = None
    """Release by canary; ``{}`` for the ramp."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One strategy, and one that exists."""
        return _one_strategy(raw, AVAILABLE)


class Strategy(StageSpec):
    """How a candidate becomes stable: one strategy, or several in ``stages``."""

    model_config = exactly_one(*AVAILABLE, "stages")

    stages: tuple[StageSpec, ...] | None = Field(default=None, min_length=1, max_length=20)
    """Strategies that the candidate passes one after the other."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One strategy or stages; over all of them weights only grow and gates have one name."""
        yield from _one_strategy(raw, (*AVAILABLE, "stages"))
        yield from _along_steps(steps_of(raw))

    @property
    def canaries(self) -> tuple[tuple[Loc, Canary], ...]:
        """Every canary in order, with its place below the strategy."""
        if self.stages is None:
            return ((("canary",), self.canary),) if self.canary is not None else ()
        return tuple(
            (("stages", i, "canary"), stage.canary)
            for i, stage in enumerate(self.stages)
            if stage.canary is not None
        )


def steps_of(raw: object) -> list[tuple[Loc, Any]]:
    """Every step of an unchecked strategy in order, with its place below it."""
    stages: list[tuple[Loc, object]] = [((), raw)]
    stages += [(("stages", i), stage) for i, stage in enumerate(items(raw, "stages"))]
    return [
        ((*loc, "canary", "steps", i), step)
        for loc, stage in stages
        for i, step in enumerate(items(stage, "canary", "steps"))
    ]


def _one_strategy(raw: Mapping[str, Any], choices: Sequence[str]) -> Iterator[Relation]:
    planned = [key for key in PLANNED if key in raw]
    for key in planned:
        available = ", ".join(AVAILABLE)
        yield (key,), f"strategy {key} is not available in this version; available: {available}"
    given = [key for key in choices if key in raw]
    for key in given:
        if raw[key] is None:
            yield (key,), "is empty: write {} for the ramp" if key == "canary" else "is empty"
    if len(given) > 1:
        yield (), f"one strategy only, not {' and '.join(given)}: put several into stages"
    elif not raw:
        yield (), f"choose a strategy: {' or '.join(choices)}"


def _along_steps(steps: Sequence[tuple[Loc, Any]]) -> Iterator[Relation]:
    highest, highest_at = -1, ""
    gates: dict[str, str] = {}
    for loc, step in steps:
        if not isinstance(step, Mapping):
            continue
        if "setWeight" in step:
            try:
                bp = parse_weight(step["setWeight"])
            except PydanticCustomError:
                continue
            if bp < highest:
                yield (
                    (*loc, "setWeight"),
                    f"{format_percent(bp)} falls below the {format_percent(highest)} of "
                    f"{highest_at}: weights only grow; `sluice abort` is the way back",
                )
            else:
                highest, highest_at = bp, f"steps[{loc[-1]}]"
        gate = step.get("gate")
        name = gate.get("name") if isinstance(gate, Mapping) else None
        if isinstance(name, str):
            if name in gates:
                reason = f"gate {shown(name)} is already {gates[name]}: give each gate its own name"
                yield (*loc, "gate", "name"), reason
            gates.setdefault(name, f"steps[{loc[-1]}]")
