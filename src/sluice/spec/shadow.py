"""Shadow: copies of requests go to the candidate, whose answers nobody sees."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from sluice.nouns import FieldRule, ShadowRules
from sluice.spec.base import Model, Related, Relation
from sluice.spec.scalars import Number, PositiveShare, Share, ShortWords, Whole, shown
from sluice.spec.template import items


class Until(Model):
    """When a shadow has seen enough."""

    pairs: Whole = Field(default=1_000, ge=1, le=100_000_000)
    """Judged pairs of answers, candidate's and stable's to the same request."""


class CompareField(Related):
    """When one field of two answers counts as the same."""

    field: ShortWords
    """Name of an output (``duration``), a dotted path in the answer, or ``*`` for every other."""
    kind: Literal["number", "label", "ignore"] = "number"
    """``number`` within the tolerances, ``label`` exactly, ``ignore`` not at all."""
    atol: Number = Field(default=0.0, ge=0)
    """Numbers are the same when they differ by at most ``atol + rtol * |stable|``."""
    rtol: Number = Field(default=0.0, ge=0)
    """See ``atol``."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Only numbers have tolerances."""
        if raw.get("kind") in ("label", "ignore"):
            for key in ("atol", "rtol"):
                if key in raw:
                    yield (key,), f"belongs to kind: number, not to {shown(raw['kind'])}"


class Shadow(Related):
    """A share of the requests is copied to the candidate; users neither wait for it nor see it.
    Errors, latency and the differences of the answers are judged.
    """

    percent_bp: PositiveShare = Field(alias="percent")
    """Share of the requests that is copied: percent, over 0 to 100."""
    until: Until = Field(default_factory=Until)
    """When the stage ends."""
    compare: tuple[CompareField, ...] = Field(default=(), max_length=100)
    """How fields are compared; left out: every field, exactly."""
    max_disagreement_bp: PositiveShare = Field(default=100, alias="maxDisagreement")
    """Share of pairs that may differ, beyond what stable differs from itself: percent."""
    noise_bp: Share = Field(default=0, alias="noise")
    """Share of the copies that stable answers a second time, to see how far it differs from
    itself: percent; left out: the model is deterministic."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A field has one rule."""
        seen: set[str] = set()
        for i, rule in enumerate(items(raw, "compare")):
            name = rule.get("field") if isinstance(rule, Mapping) else None
            if isinstance(name, str) and name in seen:
                yield ("compare", i, "field"), f"{shown(name)} has a rule already: keep one"
            elif isinstance(name, str):
                seen.add(name)

    @property
    def rules(self) -> ShadowRules:
        """The rules as the judge takes them."""
        return ShadowRules(
            pairs=self.until.pairs,
            compare=tuple(
                FieldRule(field=rule.field, kind=rule.kind, atol=rule.atol, rtol=rule.rtol)
                for rule in self.compare
            ),
            max_disagreement=self.max_disagreement_bp / 10_000,
            noise_bp=self.noise_bp,
        )
