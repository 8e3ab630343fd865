"""What Kubernetes does to the size of a revision: its autoscaler and its disruption budget."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeGuard

from pydantic import Field, JsonValue

from sluice.spec.along import stages_of
from sluice.spec.base import Loc, Related, Relation, exactly_one
from sluice.spec.rolling import Amount, replicas_of
from sluice.spec.scalars import Text, Whole, shown

_METRICS = ("targetCPUUtilizationPercentage", "metrics")
_BUDGETS = ("minAvailable", "maxUnavailable")
Metric = dict[Text, JsonValue]
Replicas = Annotated[Whole, Field(ge=1, le=10_000)]


class Autoscaling(Related):
    """A HorizontalPodAutoscaler for each revision, from its size at full size upwards.

    A pass waits for ``replicas`` of a revision; the autoscaler only adds to them.
    """

    min_replicas: Replicas | None = None
    """Least size of a revision that takes requests, not below ``replicas``; left out:
    ``replicas``."""
    max_replicas: Replicas
    """Largest size of a revision."""
    target_cpu: Whole | None = Field(
        default=None, ge=1, le=1_000, alias="targetCPUUtilizationPercentage"
    )
    """Use of the requested CPU to keep to, percent; left out with ``metrics``: 80."""
    metrics: tuple[Metric, ...] | None = Field(default=None, min_length=1, max_length=20)
    """Metrics of ``autoscaling/v2`` instead, handed on as they are."""
    behavior: Metric | None = None
    """``behavior`` of ``autoscaling/v2``, handed on as it is."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One source of metrics; room between least and most."""
        if all(raw.get(key) is not None for key in _METRICS):
            yield (), f"scales by {' or '.join(_METRICS)}, one of the two"
        least, most = raw.get("minReplicas"), raw.get("maxReplicas")
        if _number(least) and _number(most) and least > most:
            yield ("minReplicas",), f"{least} is above maxReplicas, {most}"

    @property
    def cpu(self) -> int | None:
        """Use of the requested CPU to keep to, percent; None: ``metrics`` say it."""
        return self.target_cpu or (None if self.metrics else 80)


class DisruptionBudget(Related):
    """How many replicas of a revision a drain of nodes may take at once."""

    model_config = exactly_one(*_BUDGETS)

    min_available: Amount | None = None
    """Replicas that stay: a number, or a share of them."""
    max_unavailable: Amount | None = None
    """Replicas that may be away: a number, or a share of them."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One bound."""
        if len([key for key in _BUDGETS if raw.get(key) is not None]) != 1:
            yield (), "give minAvailable or maxUnavailable, one of the two"

    @property
    def bound(self) -> dict[str, int | str]:
        """As ``policy/v1`` has it."""
        if self.max_unavailable is not None:
            return {"maxUnavailable": self.max_unavailable}
        return {"minAvailable": self.min_available or 0}

    def spared(self, replicas: int) -> int:
        """How many of so many replicas may be away at once; shares are rounded up."""
        if self.max_unavailable is not None:
            return replicas_of(self.max_unavailable, replicas, up=True)
        return replicas - replicas_of(self.min_available or 0, replicas, up=True)


def scaling_faults(raw: Mapping[str, Any]) -> Iterator[Relation]:
    """What an autoscaler does not go with in an unchecked ``spec`` of a release."""
    scaling = raw.get("autoscaling")
    if not isinstance(scaling, Mapping):
        return
    replicas = raw.get("replicas")
    least, most = scaling.get("minReplicas"), scaling.get("maxReplicas")
    if _number(replicas) and _number(least) and least < replicas:
        yield (
            ("autoscaling", "minReplicas"),
            f"{least} is below replicas, {replicas}, for which a pass waits: lower replicas",
        )
    if _number(replicas) and _number(most) and most < replicas:
        yield ("autoscaling", "maxReplicas"), f"{most} is below replicas, {replicas}"
    for loc, stage in stages_of(raw.get("strategy")):
        at: Loc = ("strategy", *loc)
        if "rolling" in stage:
            yield (
                (*at, "rolling"),
                "counts replicas, and an autoscaler changes them: remove autoscaling, or choose "
                "another strategy",
            )
        canary = stage.get("canary")
        if isinstance(canary, Mapping) and canary.get("capacity") == "proportional":
            yield (
                (*at, "canary", "capacity"),
                f"{shown('proportional')} sizes the candidate, and so does an autoscaler: write "
                "full, or remove autoscaling",
            )


def _number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
