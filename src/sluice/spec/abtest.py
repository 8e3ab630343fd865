"""A/B test: users stay on their variant, outcomes decide."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from sluice.nouns import BP_TOTAL, Goal, GoalRules
from sluice.spec.base import Related, Relation
from sluice.spec.scalars import (
    Header,
    Name,
    Number,
    PositiveDuration,
    PositiveWeight,
    ShortWords,
    Text,
    Whole,
    format_percent,
    parse_weight,
    shown,
)
from sluice.spec.shield import ShieldSpec
from sluice.spec.template import PodTemplate, items

CONTROL, FIRST = "stable", "candidate"
MOST_VARIANTS, MOST_GOALS = 3, 5
"""What a test remembers stays below 8 KB: it is written into the status of a release."""


class Variant(Related):
    """One variant beside stable, which takes the rest of the users."""

    name: Name
    """``candidate`` runs ``spec.template``; any other name needs its own template."""
    weight_bp: PositiveWeight = Field(alias="weight")
    """Share of the users: percent."""
    template: PodTemplate | None = None
    """What this variant runs; not for ``candidate``."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Only further variants bring a template."""
        name = raw.get("name")
        if name == CONTROL:
            yield ("name",), "is the control's name, which takes the rest of the users"
        elif name == FIRST and "template" in raw:
            yield ("template",), "candidate runs spec.template: remove it here"
        elif isinstance(name, str) and name != FIRST and raw.get("template") is None:
            yield ("template",), f"is missing: what {shown(name)} runs"


class GoalSpec(Related):
    """What users do, counted by an outcome."""

    name: ShortWords
    """Name of the outcome."""
    kind: Literal["binary", "continuous"]
    """``binary``: it happened or not; ``continuous``: a number."""
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is better."""
    cap: Number | None = None
    """Continuous: values above are taken as this, so that one user cannot decide the test."""
    covariate: Text = ""
    """Name of a number known of a user before the test, which makes it shorter (CUPED)."""
    mde: Number = Field(default=0.0, ge=0)
    """Smallest relative change worth finding, for the duration that ``plan`` prints."""
    baseline: Number = 0.0
    """Expected mean of stable, likewise."""
    deviation: Number = Field(default=0.0, ge=0)
    """Continuous: expected standard deviation, likewise."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A yes or no has no cap and no deviation of its own."""
        if raw.get("kind") == "binary":
            for key in ("cap", "deviation"):
                if key in raw:
                    yield (key,), "belongs to kind: continuous"
            rate = raw.get("baseline")
            if isinstance(rate, int | float) and not isinstance(rate, bool) and not 0 <= rate < 1:
                yield ("baseline",), f"must be a share from 0 to below 1, not {shown(rate)}"

    @property
    def goal(self) -> Goal:
        """The goal as the judge takes it."""
        return Goal(
            name=self.name,
            kind=self.kind,
            direction=self.direction,
            cap=self.cap,
            covariate=self.covariate,
            mde=self.mde,
            baseline=self.baseline,
            deviation=self.deviation,
        )


class Horizon(Related):
    """When a test ends without a decision: at the first of the two."""

    users: Whole = Field(default=0, ge=0, le=1_000_000_000)
    """Users that were exposed."""
    duration_ms: PositiveDuration | None = Field(default=None, alias="duration")
    """Time since the test began."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Something must end it."""
        if not raw.get("users") and raw.get("duration") is None:
            yield (), "give users or duration: a test without an end is never over"


def _first() -> tuple[Variant, ...]:
    return (Variant.model_validate({"name": FIRST, "weight": 50}),)


class AbTest(Related):
    """Users are split by fixed shares and stay where they are; the outcome that the first goal
    names decides. Counters only guard: a variant that fails is turned back.
    """

    variants: tuple[Variant, ...] = Field(
        default_factory=_first, min_length=1, max_length=MOST_VARIANTS
    )
    """Variants beside stable, ``candidate`` first; left out: candidate with half of the users."""
    forced_header: Header | None = None
    """Requests with this header choose ``stable`` or a variant by its name; they are not users."""
    goals: tuple[GoalSpec, ...] = Field(min_length=1, max_length=MOST_GOALS)
    """The first decides, the others are shown."""
    horizon: Horizon
    """When it ends without a decision."""
    on_horizon: Literal["hold", "abort", "promote"] = "hold"
    """What happens then."""
    alpha: Number = Field(default=0.05, ge=1e-12, lt=1)
    """Chance of a decision although nothing differs, over the whole test."""
    outcomes: Text = ""
    """Where outcomes come from: URL of a prediction store, or a CSV or JSONL file."""
    shield: ShieldSpec | None = None
    """Replace failed answers of the variants by stable's."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Names once, candidate first, and a rest for stable."""
        names = [v.get("name") for v in items(raw, "variants") if isinstance(v, Mapping)]
        if names and names[0] != FIRST and all(isinstance(name, str) for name in names):
            reason = f"must be {shown(FIRST)}: its users keep their place when shares are added"
            yield ("variants", 0, "name"), reason
        yield from _twice("variants", names)
        goals = [g.get("name") for g in items(raw, "goals") if isinstance(g, Mapping)]
        yield from _twice("goals", goals)
        total = share_bp(raw)
        if total >= BP_TOTAL:
            percent = format_percent(total)
            yield ("variants",), f"take {percent}% of the users: leave some to stable, the control"

    @property
    def rules(self) -> GoalRules:
        """The rules as the judge takes them."""
        return GoalRules(
            goals=tuple(goal.goal for goal in self.goals),
            alpha=self.alpha,
            horizon_users=self.horizon.users,
            horizon_ms=self.horizon.duration_ms or 0,
            on_horizon=self.on_horizon,
            outcomes=self.outcomes,
        )


def share_bp(raw: object) -> int:
    """Share of all variants of an unchecked test that can be read, basis points."""
    if isinstance(raw, Mapping) and "variants" not in raw:
        return BP_TOTAL // 2
    total = 0
    for variant in items(raw, "variants"):
        try:
            total += parse_weight(variant.get("weight") if isinstance(variant, Mapping) else None)
        except PydanticCustomError:
            continue
    return total


def _twice(key: str, names: list[object]) -> Iterator[Relation]:
    for i, name in enumerate(names):
        if isinstance(name, str) and name in names[:i]:
            yield (key, i, "name"), f"{shown(name)} is there already: give each its own name"
