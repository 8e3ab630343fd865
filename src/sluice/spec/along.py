"""Rules over the stages of a strategy: what may follow what.

They read unchecked values, so that a fault inside a stage hides none between stages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticCustomError

from sluice.spec.abtest import FIRST, share_bp
from sluice.spec.base import Loc, Relation
from sluice.spec.scalars import format_percent, parse_weight, shown
from sluice.spec.template import items

LAST = ("blueGreen", "rolling")
"""Strategies that end in the whole: nothing can follow."""
FROM_NOTHING = ("shadow", "blueGreen", "rolling")
"""Strategies whose candidate begins without users."""


def stages_of(raw: object) -> list[tuple[Loc, Mapping[str, Any]]]:
    """Every stage of an unchecked strategy in order, with its place below it."""
    listed = [(("stages", i), stage) for i, stage in enumerate(items(raw, "stages"))]
    found: list[tuple[Loc, object]] = [((), raw), *listed]
    return [(loc, stage) for loc, stage in found if isinstance(stage, Mapping)]


def along(raw: Mapping[str, Any]) -> Iterator[Relation]:
    """Every broken rule between the stages of an unchecked strategy."""
    walk = _Walk()
    stages = stages_of(raw)
    last = len(stages) - 1
    for number, (loc, stage) in enumerate(stages):
        for key in LAST:
            if key in stage and loc and number < last:
                yield (
                    (*loc, key),
                    f"{key} ends with every user on the candidate: make it the last stage",
                )
        for key in FROM_NOTHING:
            if key in stage and walk.highest > 0:
                yield (
                    (*loc, key),
                    f"begins without users, after the {format_percent(walk.highest)}% of "
                    f"{walk.at}: nobody is moved back, so put it first",
                )
        if _size(raw) and "rolling" in stage and loc and _no_surge(stage["rolling"]):
            reason = "after a stage that needs replicas of the candidate: maxSurge cannot be 0"
            yield (*loc, "rolling", "maxSurge"), reason
        yield from walk.canary((*loc, "canary"), stage.get("canary"))
        yield from walk.test((*loc, "abTest"), stage.get("abTest"))
        for key in LAST:
            inner = stage.get(key)
            gate = inner.get("gate") if isinstance(inner, Mapping) else None
            yield from walk.gate((*loc, key, "gate"), f"{key}.gate", gate)


def _size(raw: Mapping[str, Any]) -> int:
    return len(items(raw, "stages")) - 1


def _no_surge(rolling: object) -> bool:
    return isinstance(rolling, Mapping) and rolling.get("maxSurge") in (0, "0%")


@dataclass(slots=True)
class _Walk:
    """What was met so far: the highest weight that a person wrote, and the names of gates."""

    highest: int = 0
    at: str = ""
    gates: dict[str, str] = field(default_factory=dict)

    def canary(self, loc: Loc, canary: object) -> Iterator[Relation]:
        for i, step in enumerate(items(canary, "steps")):
            if not isinstance(step, Mapping):
                continue
            here: Loc = (*loc, "steps", i)
            if "setWeight" in step:
                yield from self._weight(here, f"steps[{i}]", step["setWeight"])
            if "headerOnly" in step and self.highest > 0:
                yield (
                    (*here, "headerOnly"),
                    f"comes after the {format_percent(self.highest)}% of {self.at}: staff goes "
                    "first",
                )
            yield from self.gate((*here, "gate"), f"steps[{i}]", step.get("gate"))

    def _weight(self, loc: Loc, name: str, value: object) -> Iterator[Relation]:
        try:
            bp = parse_weight(value)
        except PydanticCustomError:
            return
        if bp < self.highest:
            yield (
                (*loc, "setWeight"),
                f"{format_percent(bp)} falls below the {format_percent(self.highest)} of "
                f"{self.at}: weights only grow; `sluice abort` is the way back",
            )
        else:
            self.highest, self.at = bp, name

    def test(self, loc: Loc, test: object) -> Iterator[Relation]:
        if not isinstance(test, Mapping):
            return
        for i, variant in enumerate(items(test, "variants")):
            if not isinstance(variant, Mapping) or variant.get("name") != FIRST:
                continue
            try:
                bp = parse_weight(variant.get("weight"))
            except PydanticCustomError:
                continue
            if bp < self.highest:
                yield (
                    (*loc, "variants", i, "weight"),
                    f"{format_percent(bp)} falls below the {format_percent(self.highest)} of "
                    f"{self.at}: the candidate's users would be moved back",
                )
        total = share_bp(test)
        if total > self.highest:
            self.highest, self.at = total, "abTest"

    def gate(self, loc: Loc, where: str, gate: object) -> Iterator[Relation]:
        name = gate.get("name") if isinstance(gate, Mapping) else None
        if not isinstance(name, str):
            return
        if name in self.gates:
            reason = (
                f"gate {shown(name)} is already {self.gates[name]}: give each gate its own name"
            )
            yield (*loc, "name"), reason
        self.gates.setdefault(name, where)
