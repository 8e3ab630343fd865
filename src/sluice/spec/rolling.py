"""Rolling: replicas of the candidate replace stable's in batches."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sluice.spec.base import Model, Related, Relation
from sluice.spec.canary import GateRef
from sluice.spec.scalars import PositiveDuration, shown, wrong
from sluice.spec.shield import ShieldSpec

_PERCENT = re.compile(r"([0-9]{1,3})%", re.ASCII)


def parse_amount(value: object) -> int | str:
    """A number of replicas, or a share of them such as ``25%``.

    Raises:
        PydanticCustomError: it is neither; the text says what to write.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10_000:
        return value
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found and int(found[1]) <= 100:
        return f"{int(found[1])}%"
    raise wrong(
        f"must be a number of replicas such as 1, or a share such as 25%, not {shown(value)}"
    )


def replicas_of(amount: int | str, replicas: int, *, up: bool) -> int:
    """How many replicas an amount is; a share is rounded up or down."""
    if isinstance(amount, int):
        return amount
    part = int(amount.removesuffix("%")) * replicas
    return -(-part // 100) if up else part // 100


Amount = Annotated[
    int | str,
    PlainValidator(parse_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 10_000},
                {"type": "string", "pattern": "^(100|0?[0-9]{1,2})%$"},
            ]
        }
    ),
]


class BatchPause(Model):
    """Stay after each batch."""

    duration_ms: PositiveDuration = Field(alias="duration")
    """Least time after a batch."""


class Rolling(Related):
    """Batches of new replicas take the place of old ones; the weight follows those that are ready.
    An abort goes back the same way, as fast as ready replicas of stable allow.
    """

    max_surge: Amount = "25%"
    """Replicas above ``replicas`` while it lasts: a number, or a share rounded up."""
    max_unavailable: Amount = "25%"
    """Replicas below ``replicas`` that may be ready: a number, or a share rounded down."""
    pause: BatchPause | None = None
    """Look at each batch for so long before the next; left out: two polls."""
    gate: GateRef | None = None
    """Asked after each batch but the last; the name gets the batch's number."""
    shield: ShieldSpec | None = None
    """Replace failed answers of the candidate by stable's."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Something must be allowed to move."""
        if raw.get("maxSurge", "25%") in (0, "0%") and raw.get("maxUnavailable", "25%") in (
            0,
            "0%",
        ):
            yield ("maxSurge",), "is 0, and so is maxUnavailable: no replica could ever be replaced"


def room_faults(raw: object, replicas: object) -> Iterator[Relation]:
    """What the amounts of an unchecked rolling come to with so many replicas."""
    if not isinstance(raw, Mapping) or not isinstance(replicas, int) or replicas < 1:
        return
    try:
        surge = parse_amount(raw.get("maxSurge", "25%"))
        fewer = parse_amount(raw.get("maxUnavailable", "25%"))
    except PydanticCustomError:
        return
    if surge in (0, "0%") and fewer in (0, "0%"):
        return
    up = replicas_of(surge, replicas, up=True)
    down = replicas_of(fewer, replicas, up=False)
    if down >= replicas:
        yield (
            ("maxUnavailable",),
            f"{shown(fewer)} of {replicas} leaves nobody to answer: keep at least one replica",
        )
    elif up + down == 0:
        yield (
            ("maxUnavailable",),
            f"{shown(fewer)} of {replicas} is less than one, and maxSurge is 0: no replica could "
            "ever be replaced",
        )
