"""What runs, and what a platform sees of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.nouns.routing import Endpoint
from sluice.nouns.words import RevisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a revision runs: its id and the pod template as parsed JSON, opaque to the engine."""

    release: str
    revision: RevisionId
    template: Mapping[str, Any]
    """Kubernetes PodTemplateSpec."""
    port: str | int = "http"
    """Name or number of the container port that takes requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """What a platform sees of one revision."""

    revision: RevisionId
    desired: int
    """Size last asked for."""
    ready: tuple[Endpoint, ...]
    """Replicas that pass their readiness probe."""
    ready_since_ms: Mapping[str, int] = field(default_factory=dict)
    """When each ready endpoint became ready, UTC ms, by name: warm-up is counted from it."""
    running: int = 0
    """Started replicas, ready or not, including those that are draining."""
    restarts: int = 0
    message: str = ""
    """Why replicas are not ready, in one line: the last exit, the failing probe."""
