"""What the platform has to know of a release beyond the workloads that the engine runs."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sluice.cluster.keys import Object, key_of, split
from sluice.cluster.wanted import Wanted
from sluice.nouns import RevisionId
from sluice.platforms.kubernetes.extras import Owner, RevisionExtras, TrackedConfig
from sluice.spec.links import get
from sluice.spec.scaling import Autoscaling, DisruptionBudget

T = TypeVar("T", bound=BaseModel)
KEPT = 4
"""Contents of tracked config that are kept for a revision without a Deployment yet."""


class Described:
    """Extras of every release, by key."""

    def __init__(self) -> None:
        self._extras: dict[str, RevisionExtras] = {}
        self._read: dict[str, TrackedConfig] = {}

    def __call__(self, release: str) -> RevisionExtras | None:
        """See ``platforms.kubernetes.extras.Describe``."""
        return self._extras.get(release)

    @property
    def releases(self) -> Sequence[str]:
        """Every release that is known."""
        return tuple(self._extras)

    def read(self, release: str, config: TrackedConfig) -> None:
        """What the release's tracked config holds now."""
        self._read[release] = config

    def describe(self, item: Wanted, uid: str) -> None:
        """A release as it is asked for now, and the uid of its object."""
        namespace, name = split(item.key)
        spec = item.release.spec
        before = self._extras.get(item.key)
        tracked: dict[RevisionId, TrackedConfig] = dict(before.tracked) if before else {}
        if spec.tracked is not None and item.key in self._read:
            config = self._read[item.key]
            for workload in (item.workload, *(variant for _, variant in item.variants)):
                tracked.pop(workload.revision, None)
                tracked[workload.revision] = config
        asked = spec.disruption_budget
        extras = RevisionExtras(
            owner=Owner(name=name, namespace=namespace, uid=uid),
            autoscaling=_autoscaling(spec.autoscaling) if spec.autoscaling else None,
            disruption_budget=asked is not None or spec.replicas > 1,
            budget=asked.bound if asked is not None else {"maxUnavailable": 1},
            config_maps=spec.tracked.config_maps if spec.tracked else (),
            secrets=spec.tracked.secrets if spec.tracked else (),
            tracked=dict(list(tracked.items())[-KEPT:]),
            revision_history_limit=spec.revision_history_limit,
        )
        if extras != before:
            self._extras[item.key] = extras

    def assume(self, obj: Object) -> None:
        """What can be read of a release whose spec has a fault, when nothing is known of it.

        A controller that begins must go on with what runs: nobody but the newest spec says who
        owns it and who sizes it.
        """
        key = key_of(obj)
        if key in self._extras:
            return
        namespace, name = split(key)
        raw = obj.get("spec")
        scaling = _part(Autoscaling, get(raw, "autoscaling"))
        budget = _part(DisruptionBudget, get(raw, "disruptionBudget"))
        self._extras[key] = RevisionExtras(
            owner=Owner(name=name, namespace=namespace, uid=obj["metadata"]["uid"]),
            autoscaling=_autoscaling(scaling) if scaling else None,
            disruption_budget=budget is not None or get(raw, "replicas") != 1,
            budget=budget.bound if budget is not None else {"maxUnavailable": 1},
        )

    def forget(self, release: str) -> None:
        """It is gone."""
        self._extras.pop(release, None)
        self._read.pop(release, None)


def _part(kind: type[T], raw: object) -> T | None:
    """One part of a spec; None: there is none, or it has a fault."""
    try:
        return kind.model_validate(raw) if raw is not None else None
    except ValidationError:
        return None


def _autoscaling(scaling: Autoscaling) -> dict[str, Any]:
    """As ``autoscaling/v2`` has it."""
    metrics: list[Any] = [dict(metric) for metric in scaling.metrics or ()]
    if scaling.cpu is not None:
        target = {"type": "Utilization", "averageUtilization": scaling.cpu}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    found: dict[str, Any] = {"maxReplicas": scaling.max_replicas, "metrics": metrics}
    if scaling.min_replicas is not None:
        found["minReplicas"] = scaling.min_replicas
    if scaling.behavior is not None:
        found["behavior"] = dict(scaling.behavior)
    return found
