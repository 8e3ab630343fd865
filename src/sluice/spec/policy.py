"""ReleasePolicy: which objectives a candidate is judged by, and how sure a verdict must be."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from sluice.spec.base import Model, Related, Relation
from sluice.spec.freeze import FreezeSpec
from sluice.spec.notify import NotifySpec
from sluice.spec.objectives import ObjectiveRef, name_of
from sluice.spec.scalars import (
    Duration,
    Flag,
    Name,
    Number,
    PollDuration,
    PositiveDuration,
    PositiveWeight,
    Text,
    Url,
    Whole,
    format_duration,
    parse_duration,
    shown,
)
from sluice.spec.template import items


class PolicyMetadata(Model):
    """Name and labels, as in Kubernetes."""

    name: Name
    """What ``spec.policyRef.name`` of a release says."""
    namespace: Name | None = None
    """Namespace in the cluster; without meaning on a laptop."""
    labels: dict[Text, Text] = Field(default_factory=dict)
    """For selecting and grouping policies."""
    annotations: dict[Text, Text] = Field(default_factory=dict)
    """Anything."""


class RampSpec(Model):
    """The canary without steps: as fast as the evidence allows."""

    max_bp: PositiveWeight = Field(default=5_000, alias="max")
    """Largest share before promotion: percent."""
    growth: Number = Field(default=3.0, gt=1, le=100)
    """Largest factor from one poll to the next."""


class PrometheusSpec(Model):
    """The server that answers objectives by query."""

    url: Url
    """Its address, such as ``http://prometheus.monitoring:9090``."""


class PolicySpec(Related):
    """Objectives, error probabilities and times."""

    objectives: tuple[ObjectiveRef, ...] = Field(default=(), min_length=1, max_length=20)
    """What to judge by; left out: one objective, 99% of answers below 500."""
    alpha: Number = Field(default=0.001, ge=1e-12, lt=1)
    """Chance of turning back a good candidate, over the whole release."""
    beta: Number = Field(default=0.05, ge=1e-12, lt=1)
    """Chance of passing a bad candidate, per objective."""
    harm_budget: Number = Field(default=10.0, ge=0.001, le=1_000_000)
    """Bad answers beyond stable's that the ramp may cost between two polls."""
    min_bake_ms: Duration = Field(default=600_000, alias="minBake")
    """Least time of evidence before promotion."""
    deadline_ms: PositiveDuration = Field(default=3_600_000, alias="deadline")
    """Time for a stage to be decided, not counting time held by a person."""
    poll_ms: PollDuration = Field(default=1_000, alias="poll")
    """Time between two looks at the counters: 100ms to 1m."""
    lease_ms: PositiveDuration = Field(default=30_000, alias="lease")
    """Routers give the candidate's share back to stable when no controller is heard so long."""
    warm_up_ms: Duration = Field(default=30_000, alias="warmUp")
    """After a replica became ready: time in which comparisons and passing stay silent."""
    on_inconclusive: Literal["hold", "abort", "promote"] = "hold"
    """What happens at the deadline when the checks have not decided."""
    ramp: RampSpec = Field(default_factory=RampSpec)
    """Settings of a canary without steps."""
    max_harmed: Whole | None = Field(default=None, ge=1, le=1_000_000_000)
    """Turn the candidate back once users saw so many bad answers of it in a pass; left out: only
    the checks decide."""
    client_errors: Flag = True
    """Compare the share of 4xx answers with stable's: a broken model often answers so."""
    latency_order: Flag = True
    """Compare whole latency distributions with stable's, beside every latency objective."""
    prometheus: PrometheusSpec | None = None
    """Where objectives by query are asked."""
    freeze: tuple[FreezeSpec, ...] = Field(default=(), max_length=50)
    """Times in which no weight grows and nothing is promoted; failing checks still abort."""
    notify: tuple[NotifySpec, ...] = Field(default=(), max_length=20)
    """Who is told of every decision."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """An objective is judged once; queries have a server; the lease outlives a poll."""
        seen: set[str] = set()
        for i, objective in enumerate(items(raw, "objectives")):
            loc, name = name_of(objective)
            if name is not None and name in seen:
                yield ("objectives", i, *loc), f"{shown(name)} is judged already: name it once"
            if name is not None:
                seen.add(name)
            asks = isinstance(objective, Mapping) and objective.get("prometheus") is not None
            if asks and raw.get("prometheus") is None:
                reason = "no server to ask: add prometheus: {url: ...} to the policy"
                yield ("objectives", i, "prometheus"), reason
        try:
            poll_ms = parse_duration(raw.get("poll", "1s"))
            lease_ms = parse_duration(raw.get("lease", "30s"))
        except PydanticCustomError:
            return
        if lease_ms <= poll_ms:
            yield (
                ("lease",),
                f"{format_duration(lease_ms)} runs out between two polls: it must be longer than "
                f"poll, {format_duration(poll_ms)}, better ten times as long",
            )


class ReleasePolicy(Model):
    """How releases are judged; several releases can share one."""

    api_version: Literal["sluice.dev/v1alpha1"]
    kind: Literal["ReleasePolicy"]
    metadata: PolicyMetadata
    spec: PolicySpec

    @property
    def name(self) -> str:
        return self.metadata.name
