"""Labels, annotations and names of what belongs to a release."""

from collections.abc import Mapping
from typing import Any

from sluice.nouns import RevisionId

RELEASE_LABEL = "sluice.dev/release"
REVISION_LABEL = "sluice.dev/revision"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "sluice"
MANAGER = "sluice-controller"
"""Field manager of everything that the controller applies."""
SIZE_MANAGER = "sluice-size"
"""Holds ``spec.replicas`` of a Deployment whose autoscaler may change it: a field that its last
manager lets go of falls back to 1."""
REVISION_ENV = "SLUICE_REVISION"

SIZE = "sluice.dev/size"
"""Size that the engine asked for; ``spec.replicas`` may be an autoscaler's."""
SCALED_BY = "sluice.dev/scaled-by"
"""``engine`` or ``autoscaler``: whose ``spec.replicas`` is."""
PORT = "sluice.dev/port"
TRACKED = "sluice.dev/tracked"
"""Names of the ConfigMaps and Secrets whose content the revision was made from."""
RETIRED = "sluice.dev/retired"
"""When the revision came to size 0."""
SECRETS_HASH = "sluice.dev/secrets-hash"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def split(release: str) -> tuple[str, str]:
    """Namespace and name of a release's key ``namespace/name``."""
    namespace, _, name = release.rpartition("/")
    return namespace, name


def key_of(obj: Mapping[str, Any]) -> str:
    """Key of the release that an object belongs to; without a name when it belongs to none."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    return f"{metadata.get('namespace', '')}/{labels.get(RELEASE_LABEL, '')}"


def revision_of(obj: Mapping[str, Any]) -> RevisionId:
    """Revision that an object belongs to; empty when it belongs to none."""
    labels = obj["metadata"].get("labels") or {}
    return RevisionId(labels.get(REVISION_LABEL, ""))


def object_name(release: str, revision: RevisionId) -> str:
    """Name of a revision's Deployment, Service, budget and autoscaler."""
    return f"{split(release)[1]}-{revision}"


def copy_name(config_map: str, revision: RevisionId) -> str:
    """Name of a revision's copy of a tracked ConfigMap."""
    return f"{config_map}-{revision}"


def labels_of(release: str, revision: RevisionId | None = None) -> dict[str, str]:
    """Labels of everything that belongs to a release, or to one revision of it."""
    labels = {RELEASE_LABEL: split(release)[1], MANAGED_BY_LABEL: MANAGED_BY}
    if revision is not None:
        labels[REVISION_LABEL] = revision
    return labels
