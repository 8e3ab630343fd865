"""How a candidate becomes stable: one strategy, or several one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from sluice.spec.abtest import AbTest
from sluice.spec.along import along
from sluice.spec.base import Loc, Related, Relation, exactly_one
from sluice.spec.bluegreen import BlueGreen
from sluice.spec.canary import Canary
from sluice.spec.rolling import Rolling
from sluice.spec.shadow import Shadow

STRATEGIES = ("canary", "blueGreen", "rolling", "shadow", "abTest")
_DEFAULTS = {
    "canary": "the ramp",
    "blueGreen": "the defaults",
    "rolling": "the defaults",
}

StageModel = Canary | BlueGreen | Rolling | Shadow | AbTest


class StageSpec(Related):
    """One strategy: exactly one of the fields."""

    model_config = exactly_one(*STRATEGIES)

    canary: Canary | None = None
    """A growing share of live requests; ``{}`` for the ramp."""
    blue_green: BlueGreen | None = None
    """Full size on a preview route, checks, one switch; the last stage."""
    rolling: Rolling | None = None
    """Replicas are replaced in batches; the last stage."""
    shadow: Shadow | None = None
    """Copies of requests, whose answers nobody sees."""
    ab_test: AbTest | None = None
    """Users stay on their variant; outcomes decide."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One strategy."""
        return _one_strategy(raw, STRATEGIES)

    @property
    def part(self) -> tuple[str, StageModel]:
        """The strategy's name in files and its settings."""
        given = {
            "canary": self.canary,
            "blueGreen": self.blue_green,
            "rolling": self.rolling,
            "shadow": self.shadow,
            "abTest": self.ab_test,
        }
        return next((key, value) for key, value in given.items() if value is not None)


class Strategy(StageSpec):
    """How a candidate becomes stable: one strategy, or several in ``stages``."""

    model_config = exactly_one(*STRATEGIES, "stages")

    stages: tuple[StageSpec, ...] | None = Field(default=None, min_length=1, max_length=20)
    """Strategies that the candidate passes one after the other."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One strategy or stages, in an order in which no user is moved back."""
        yield from _one_strategy(raw, (*STRATEGIES, "stages"))
        yield from along(raw)

    @property
    def parts(self) -> tuple[tuple[Loc, StageModel], ...]:
        """Every stage in order, with its place below the strategy."""
        if self.stages is None:
            key, value = self.part
            return (((key,), value),)
        parts = ((i, *stage.part) for i, stage in enumerate(self.stages))
        return tuple((("stages", i, key), value) for i, key, value in parts)

    @property
    def canaries(self) -> tuple[tuple[Loc, Canary], ...]:
        """Every canary in order, with its place below the strategy."""
        return tuple((loc, part) for loc, part in self.parts if isinstance(part, Canary))

    @property
    def tests(self) -> tuple[tuple[Loc, AbTest], ...]:
        """Every A/B test in order, with its place below the strategy."""
        return tuple((loc, part) for loc, part in self.parts if isinstance(part, AbTest))


def _one_strategy(raw: Mapping[str, Any], choices: Sequence[str]) -> Iterator[Relation]:
    given = [key for key in choices if key in raw]
    for key in given:
        if raw[key] is None:
            words = _DEFAULTS.get(key)
            yield (key,), f"is empty: write {{}} for {words}" if words else "is empty"
    if len(given) > 1:
        yield (), f"one strategy only, not {' and '.join(given)}: put several into stages"
    elif not raw:
        yield (), f"choose a strategy: {' or '.join(choices)}"
