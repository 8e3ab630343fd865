"""The canary: a growing share of live requests."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from sluice.spec.asks import Asked, asks_in
from sluice.spec.base import Model, Related, Relation, exactly_one
from sluice.spec.scalars import Header, Name, PositiveDuration, Text, Weight
from sluice.spec.shield import ShieldSpec

STEPS = ("setWeight", "pause", "gate", "headerOnly")


class Pause(Model):
    """Stay at this weight."""

    duration_ms: PositiveDuration | None = Field(default=None, alias="duration")
    """Least time at this weight; without it the release waits for ``promote``."""


class GateRef(Asked):
    """A yes or no: of a person, or of one of ``http``, ``command``, ``webhook``, ``load``."""

    name: Name
    """The name that ``approve`` and ``status`` show; used once in a release."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One way of asking."""
        given = asks_in(raw)
        if len(given) > 1:
            yield (), f"a gate asks once, not by {' and '.join(given)}: make it several gates"
        for key in given:
            if raw[key] is None:
                yield (key,), "is empty: say what to ask, or remove it and a person is asked"


class HeaderOnly(Model):
    """Requests that carry this header, and no other, go to the candidate: staff first."""

    header: Header
    """Name of the header."""
    value: Text
    """Its whole value."""


class Step(Related):
    """One step of a canary: exactly one of the fields."""

    model_config = exactly_one(*STEPS)

    set_weight_bp: Weight | None = Field(default=None, alias="setWeight")
    """Give the candidate this share of the requests: percent, up to two decimals, below 100."""
    pause: Pause | None = None
    """Stay here for a time, or with ``{}`` until somebody promotes."""
    gate: GateRef | None = None
    """Stay here until the gate is answered."""
    header_only: HeaderOnly | None = None
    """From here on, requests with this header go to the candidate; before the first share."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A step does one thing."""
        known = [key for key in STEPS if key in raw]
        for key in known:
            if raw[key] is None:
                hint = ": write {} to wait for promote" if key == "pause" else ""
                yield (key,), f"is empty{hint}"
        if len(known) > 1:
            yield (), f"a step does one thing, not {' and '.join(known)}: make it a list of steps"
        elif not raw:
            yield (), f"a step needs one of {', '.join(STEPS)}"


class Canary(Model):
    """The candidate takes a growing share of live requests while checks compare it with stable."""

    steps: tuple[Step, ...] = Field(default=(), min_length=1, max_length=100)
    """What to do in order; left out: the ramp, as fast as the evidence allows within the policy's
    harm budget."""
    shield: ShieldSpec | None = None
    """Replace failed answers of the candidate by stable's."""
    capacity: Literal["full", "proportional"] = "full"
    """Size of the candidate: ``full`` from the start, or ``proportional`` to its weight."""
