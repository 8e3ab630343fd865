"""The pod template as it is applied: the user's, with what makes it a revision of a release.

What this makes of a revision must not change from one version of Sluice to the next: pods of every
running revision would be started anew.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from sluice.nouns import RevisionId, Workload
from sluice.platforms.kubernetes.names import (
    REVISION_ENV,
    SECRETS_HASH,
    copy_name,
    labels_of,
)

Object = dict[str, Any]


def pod_template(workload: Workload, *, config_maps: tuple[str, ...], secrets_hash: str) -> Object:
    """PodTemplateSpec of a revision.

    Args:
        workload: What runs.
        config_maps: Tracked ConfigMaps: references to them become references to their copies.
        secrets_hash: Of the tracked Secrets; empty when there are none.
    """
    template = copy.deepcopy(dict(workload.template))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        **labels_of(workload.release, workload.revision),
    }
    if secrets_hash:
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}),
            SECRETS_HASH: secrets_hash,
        }
    spec = template.setdefault("spec", {})
    for container in spec.get("containers") or ():
        others = [item for item in container.get("env") or () if item["name"] != REVISION_ENV]
        named = {item["name"] for item in others}
        # First, because ``$(PORT)`` stands only for what comes before it.
        ports = [item for item in _ports(container, workload.port) if item["name"] not in named]
        revision = {"name": REVISION_ENV, "value": str(workload.revision)}
        container["env"] = [*ports, *others, revision]
    for reference in _references(spec):
        if reference.get("name") in config_maps:
            reference["name"] = copy_name(reference["name"], workload.revision)
    return template


def _ports(container: Mapping[str, Any], traffic: str | int) -> Iterator[Object]:
    """The variables that a laptop sets as well: ``PORT``, and ``PORT_METRICS`` of a named port."""
    for item in container.get("ports") or ():
        name, number = item.get("name"), str(item["containerPort"])
        if traffic in (name, item["containerPort"]):
            yield {"name": "PORT", "value": number}
        if name:
            yield {"name": f"PORT_{name.upper().replace('-', '_')}", "value": number}


def port_number(template: Mapping[str, Any], port: str | int) -> int | None:
    """Number of a container port by name or number; None when no container has one so named."""
    if isinstance(port, int):
        return port
    for container in template.get("spec", {}).get("containers") or ():
        for item in container.get("ports") or ():
            if item.get("name") == port:
                return int(item["containerPort"])
    return None


def missing_references(
    template: Mapping[str, Any], config_maps: tuple[str, ...]
) -> tuple[str, ...]:
    """Tracked ConfigMaps that no container reads: a change of them releases the same again."""
    named = {item.get("name") for item in _references(template.get("spec") or {})}
    return tuple(name for name in config_maps if name not in named)


def _references(spec: Mapping[str, Any]) -> Iterator[Object]:
    """Every reference to a ConfigMap in a pod spec, to be written to."""
    for volume in spec.get("volumes") or ():
        if "configMap" in volume:
            yield volume["configMap"]
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "configMap" in source:
                yield source["configMap"]
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            for item in container.get("envFrom") or ():
                if "configMapRef" in item:
                    yield item["configMapRef"]
            for item in container.get("env") or ():
                source = (item.get("valueFrom") or {}).get("configMapKeyRef")
                if source is not None:
                    yield source


def revision_labels(release: str, revision: RevisionId) -> dict[str, str]:
    """What selects a revision's pods, and nothing else."""
    labels = labels_of(release, revision)
    return {key: value for key, value in labels.items() if key.startswith("sluice.dev/")}
