"""What the platform has to know of a release beyond the workloads that the engine runs."""

from collections.abc import Sequence
from typing import Any

from sluice.cluster.keys import split
from sluice.cluster.wanted import Wanted
from sluice.nouns import RevisionId
from sluice.platforms.kubernetes.extras import Owner, RevisionExtras, TrackedConfig
from sluice.spec.scaling import Autoscaling

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

    def forget(self, release: str) -> None:
        """It is gone."""
        self._extras.pop(release, None)
        self._read.pop(release, None)


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
