"""What a candidate is judged by: SLOs that routers count, and queries that Prometheus answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from sluice.spec.base import Loc, Related, Relation, exactly_one
from sluice.spec.scalars import Flag, Name, Number, Words

PLACEHOLDERS = ("$revision", "$release")


class PrometheusObjective(Related):
    """An SLI that only Prometheus knows: two counters, of bad and of all events."""

    name: Name
    """What ``status`` and ``explain`` call it; no SLO of the policy has the same name."""
    bad: Words
    """PromQL of a counter (it only grows) of bad events; ``$revision`` and ``$release`` stand for
    the revision that is asked about and its release."""
    total: Words
    """The same of all events."""
    target: Number = Field(gt=0, lt=1)
    """Share of good events, such as 0.99."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A query that names no revision counts candidate and stable alike."""
        for key in ("bad", "total"):
            query = raw.get(key)
            if isinstance(query, str) and query and PLACEHOLDERS[0] not in query:
                reason = 'counts every revision alike: select one, such as {revision="$revision"}'
                yield (key,), reason


class ObjectiveRef(Related):
    """One objective, ``sloRef`` or ``prometheus``, with the margins of its checks."""

    model_config = exactly_one("sloRef", "prometheus")

    slo_ref: Name | None = None
    """Name of an SLO document; counted by the routers."""
    prometheus: PrometheusObjective | None = None
    """An objective that a Prometheus server counts."""
    max_ratio: Number = Field(default=1.1, ge=1, le=1_000)
    """``regression`` fails when the candidate's bad rate is proven above this multiple of
    stable's."""
    pass_ratio: Number = Field(default=2.0, gt=1, le=1_000)
    """``non-inferiority`` passes when it is proven below this multiple of stable's ..."""
    pass_budget: Number = Field(default=0.5, ge=0.001, le=1)
    """... or below this share of the error budget, whichever is proven first."""
    weight: Number = Field(default=1.0, ge=0.001, le=1_000)
    """Share of this objective in the evidence against the candidate, relative to the others."""
    dry_run: Flag = False
    """Judge and show it, and let it decide nothing."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One thing to judge by."""
        given = [key for key in ("sloRef", "prometheus") if key in raw]
        if not given:
            yield ("sloRef",), "is missing (Name of an SLO document): name one, or give prometheus"
        elif len(given) > 1:
            yield (), "an objective is a sloRef or a prometheus query: make it two items"


def name_of(objective: object) -> tuple[Loc, str | None]:
    """Where an unchecked objective says its name, and the name when it is text."""
    if not isinstance(objective, Mapping):
        return (), None
    loc: Loc = ("sloRef",)
    name = objective.get("sloRef")
    asked = objective.get("prometheus")
    if name is None and isinstance(asked, Mapping):
        loc, name = ("prometheus", "name"), asked.get("name")
    return loc, name if isinstance(name, str) else None
