"""Blue/green: the candidate at full size beside stable, then one switch."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from sluice.spec.asks import ASKS, Asked, asks_in
from sluice.spec.base import Model, Relation, exactly_one
from sluice.spec.canary import GateRef
from sluice.spec.scalars import Header, Host, Text

PREVIEW_HEADER, PREVIEW_VALUE = "x-sluice-preview", "candidate"
"""What chooses the candidate before it has users, when the file says nothing else."""


class Preview(Model):
    """How testers reach the candidate before the switch."""

    header: Header = PREVIEW_HEADER
    """Requests with this header ..."""
    value: Text = PREVIEW_VALUE
    """... and this value go to the candidate, on every host of the release."""
    hosts: tuple[Host, ...] | None = Field(default=None, max_length=20)
    """Hosts that are the candidate's; left out: ``preview.NAME``; ``[]``: none."""


class CheckSpec(Asked):
    """A check before the switch: exactly one way of asking."""

    model_config = exactly_one(*ASKS)

    name: Text | None = Field(default=None, min_length=1, max_length=100)
    """What ``status`` calls it; left out: its kind and what it asks, such as ``http /health``."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One way of asking."""
        given = asks_in(raw)
        if len(given) != 1:
            many = f", not {' and '.join(given)}: make it several checks" if given else ""
            yield (), f"a check needs one of {', '.join(ASKS)}{many}"
        for key in given:
            if raw[key] is None:
                yield (key,), "is empty: say what to ask"


class BlueGreen(Model):
    """The candidate gets its full size and a preview route; after the checks one routing change
    gives it every request, and a failing one gives them back while the old stable is warm.
    """

    preview: Preview = Field(default_factory=Preview)
    """How testers reach the candidate before the switch."""
    checks: tuple[CheckSpec, ...] = Field(default=(), max_length=50)
    """Asked in order; every one must say yes before the switch."""
    gate: GateRef | None = None
    """The last word before the switch."""
