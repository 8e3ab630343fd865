"""The objects of one revision."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.errors import Fault, SpecError
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, PDB, SERVICE, Kind
from sluice.nouns import RevisionId, Workload
from sluice.platforms.kubernetes.extras import Owner
from sluice.platforms.kubernetes.names import (
    PORT,
    SCALED_BY,
    SIZE,
    TRACKED,
    copy_name,
    labels_of,
    object_name,
    split,
)
from sluice.platforms.kubernetes.template import pod_template, port_number, revision_labels

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """Which tracked config a revision was made from; kept in an annotation of its Deployment."""

    config_maps: tuple[str, ...] = ()
    secrets_hash: str = ""

    def text(self) -> str:
        """As the annotation has it."""
        return json.dumps({"configMaps": list(self.config_maps), "secretsHash": self.secrets_hash})

    @classmethod
    def read(cls, deployment: Mapping[str, Any]) -> "MadeFrom | None":
        """Of a Deployment that is there; None when it does not say."""
        text = (deployment["metadata"].get("annotations") or {}).get(TRACKED)
        try:
            value = json.loads(text or "null")
            return cls(
                config_maps=tuple(map(str, value["configMaps"])),
                secrets_hash=str(value["secretsHash"]),
            )
        except (ValueError, TypeError, LookupError):
            return None


def deployment(
    workload: Workload, size: int, owner: Owner, made_from: MadeFrom, *, sized: bool
) -> Object:
    """The Deployment.

    Args:
        workload: What runs.
        size: As the engine asked.
        owner: The Release.
        made_from: Tracked config of this revision.
        sized: False leaves ``spec.replicas`` to an autoscaler.

    Raises:
        SpecError: the port is none of the template's.
    """
    _port(workload)
    obj = _object(DEPLOYMENT, workload.release, workload.revision, owner)
    obj["metadata"]["annotations"] = {
        SIZE: str(size),
        SCALED_BY: "engine" if sized else "autoscaler",
        PORT: json.dumps(workload.port),
        TRACKED: made_from.text(),
    }
    spec: Object = {
        # One template for ever: only a repair rolls it, and that must not cost capacity.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        },
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": revision_labels(workload.release, workload.revision)},
        "template": pod_template(
            workload, config_maps=made_from.config_maps, secrets_hash=made_from.secrets_hash
        ),
    }
    if sized:
        spec["replicas"] = size
    obj["spec"] = spec
    return obj


def service(workload: Workload, owner: Owner) -> Object:
    """The headless Service of the revision: its EndpointSlices list its ready pods."""
    obj = _object(SERVICE, workload.release, workload.revision, owner)
    obj["spec"] = {
        "clusterIP": "None",
        "selector": revision_labels(workload.release, workload.revision),
        "ports": [
            {
                "name": "http",
                "port": _port(workload),
                "targetPort": workload.port,
                "protocol": "TCP",
            }
        ],
    }
    return obj


def budget(workload: Workload, owner: Owner, bound: Mapping[str, int | str]) -> Object:
    """The disruption budget: how many pods of the revision a drain of nodes takes at a time."""
    obj = _object(PDB, workload.release, workload.revision, owner)
    obj["spec"] = {
        **bound,
        "selector": {"matchLabels": revision_labels(workload.release, workload.revision)},
        # A pod that never gets ready would hold a drain for ever.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return obj


def autoscaler(
    workload: Workload, size: int, owner: Owner, autoscaling: Mapping[str, Any]
) -> Object:
    """The revision's own autoscaler: never below what the engine asked for."""
    obj = _object(HPA, workload.release, workload.revision, owner)
    obj["spec"] = {
        **autoscaling,
        "scaleTargetRef": {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "name": object_name(workload.release, workload.revision),
        },
        "minReplicas": max(size, int(autoscaling.get("minReplicas", size))),
        "maxReplicas": max(size, int(autoscaling.get("maxReplicas", size))),
    }
    return obj


def config_copy(
    release: str, revision: RevisionId, name: str, content: Mapping[str, Any], owner: Owner
) -> Object:
    """A revision's copy of a tracked ConfigMap; nobody can change it."""
    obj = _object(CONFIG_MAP, release, revision, owner, name=copy_name(name, revision))
    obj |= {key: dict(content[key]) for key in ("data", "binaryData") if content.get(key)}
    obj["immutable"] = True
    return obj


def _object(kind: Kind, release: str, revision: RevisionId, owner: Owner, name: str = "") -> Object:
    obj = kind.new(name or object_name(release, revision), split(release)[0])
    obj["metadata"] |= {
        "labels": labels_of(release, revision),
        "ownerReferences": [owner.reference()],
    }
    return obj


def _port(workload: Workload) -> int:
    number = port_number(workload.template, workload.port)
    if number is None:
        reason = f"no container of the template has a port named {workload.port!r}"
        raise SpecError([Fault(path="spec.traffic.port", reason=reason)])
    return number
