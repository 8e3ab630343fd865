"""What a revision needs in a cluster beyond the workload that every platform runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.nouns import RevisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The Release object that owns everything; when it goes, Kubernetes takes the rest away."""

    name: str
    namespace: str
    uid: str
    api_version: str = "sluice.dev/v1alpha1"
    kind: str = "Release"

    def reference(self) -> dict[str, Any]:
        """As an entry of ``metadata.ownerReferences``."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedConfig:
    """What the tracked ConfigMaps and Secrets of a release held at one time."""

    config_maps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``data`` and ``binaryData`` by name: what is copied for the revision."""
    secrets_hash: str = ""
    """Of all tracked Secrets together; empty when there is none. Their content is kept nowhere."""
    digest: str = ""
    """Of all of it: what enters the revision's hash. Empty when nothing is tracked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionExtras:
    """What the controller knows of a release and the platform needs."""

    owner: Owner
    autoscaling: Mapping[str, Any] | None = None
    """``minReplicas``, ``maxReplicas``, ``metrics``, ``behavior`` as in ``autoscaling/v2``; None:
    no autoscaler. The lowest size is never below what the engine asks for."""
    disruption_budget: bool = True
    """Whether a drain of nodes waits for replicas of each revision."""
    budget: Mapping[str, int | str] = field(default_factory=lambda: {"maxUnavailable": 1})
    """How many it may take at once, as in ``policy/v1``."""
    config_maps: tuple[str, ...] = ()
    """Names in ``spec.tracked.configMaps``."""
    secrets: tuple[str, ...] = ()
    """Names in ``spec.tracked.secrets``."""
    tracked: Mapping[RevisionId, TrackedConfig] = field(default_factory=dict)
    """Content by revision, of those that were made from it since the controller began. Needed
    for a revision that has no Deployment yet; one that has keeps what it was made from."""
    revision_history_limit: int = 10
    """Revisions at size 0 that are kept; older ones go with all their objects."""


Describe = Callable[[str], RevisionExtras | None]
"""Extras of a release by its key (``namespace/name``); None when it is not known (any more)."""
