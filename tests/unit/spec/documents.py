"""Small valid documents, and changes to them."""

from copy import deepcopy
from typing import Any

from sluice.errors import SpecError
from sluice.spec import Documents, Release, ReleasePolicy, from_objects

RELEASE: dict[str, Any] = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "Release",
    "metadata": {"name": "taxi"},
    "spec": {
        "replicas": 2,
        "policyRef": {"name": "taxi"},
        "strategy": {"canary": {}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "model",
                        "image": "sluice/model-api:0.1.0",
                        "command": ["model-api", "serve"],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                    }
                ]
            }
        },
    },
}
POLICY: dict[str, Any] = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "ReleasePolicy",
    "metadata": {"name": "taxi"},
    "spec": {"objectives": [{"sloRef": "answered"}, {"sloRef": "fast"}]},
}
ANSWERED: dict[str, Any] = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "answered", "annotations": {"sluice.dev/sli": "availability"}},
    "spec": {
        "service": "taxi",
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.99}],
    },
}
FAST: dict[str, Any] = {
    **ANSWERED,
    "metadata": {
        "name": "fast",
        "annotations": {"sluice.dev/sli": "latency", "sluice.dev/le": "0.3"},
    },
}


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with the values at dotted paths replaced; ``...`` removes."""
    copy = deepcopy(base)
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        at: Any = copy
        for part in parents:
            at = at[part] if isinstance(at, list) else at.setdefault(part, {})
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return copy


def documents(
    release: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    answered: dict[str, Any] | None = None,
    fast: dict[str, Any] | None = None,
) -> Documents:
    """Release, policy and both SLOs, each with changes by path."""
    return from_objects(
        [
            changed(RELEASE, release or {}),
            changed(POLICY, policy or {}),
            changed(ANSWERED, answered or {}),
            changed(FAST, fast or {}),
        ]
    )


def release(**changes: Any) -> Release:
    """The release alone; keys are paths with ``__`` for ``/``."""
    return documents({key.replace("__", "/"): v for key, v in changes.items()}).releases[0]


def policy(**changes: Any) -> ReleasePolicy:
    """The policy alone; keys are paths with ``__`` for ``/``."""
    return documents(policy={key.replace("__", "/"): v for key, v in changes.items()}).policies[0]


def faults(*args: Any, **kwargs: Any) -> dict[str, str]:
    """Reason by path of the faults of changed documents; empty: they are fine."""
    try:
        documents(*args, **kwargs)
    except SpecError as error:
        return {fault.path: fault.reason for fault in error.faults}
    return {}
