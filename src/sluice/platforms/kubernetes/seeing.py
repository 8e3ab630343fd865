"""What is to be seen of one revision."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sluice.nouns import Endpoint, Replicas, RevisionId
from sluice.platforms.kubernetes.names import PORT
from sluice.platforms.kubernetes.pods import (
    endpoint_of,
    is_leaving,
    is_running,
    ready_since_ms,
    restarts_of,
    why_no_pod,
    why_not_ready,
)

Object = Mapping[str, Any]


def look(
    *,
    revision: RevisionId,
    name: str,
    desired: int,
    port: str | int,
    pods: Sequence[Object],
    leaving: Collection[str],
    deployment: Object | None,
) -> Replicas:
    """One revision from its pods.

    Args:
        revision: Which.
        name: Of its Deployment.
        desired: Size that was asked for; of 0 nothing is ready.
        port: Where its pods take requests.
        pods: All that live.
        leaving: Names of pods that were told to go and may not show it yet.
        deployment: As last seen.
    """
    ready: dict[Endpoint, int] = {}
    waiting: list[str] = []
    for pod in sorted(pods, key=lambda item: str(item["metadata"]["name"])):
        pod_name = pod["metadata"]["name"]
        if desired == 0 or is_leaving(pod) or pod_name in leaving:
            continue
        endpoint = endpoint_of(pod, port)
        if endpoint is not None:
            ready[endpoint] = ready_since_ms(pod)
        else:
            waiting.append(f"{pod_name}: {why_not_ready(pod)}")
    message = waiting[0] if waiting else ""
    if not message and len(ready) < desired:
        message = f"{name}: {why_no_pod(deployment)}"
    return Replicas(
        revision=revision,
        desired=desired,
        ready=tuple(ready),
        ready_since_ms={endpoint.name: since for endpoint, since in ready.items()},
        running=sum(is_running(pod) for pod in pods),
        restarts=sum(restarts_of(pod) for pod in pods),
        message=message,
    )


def port_of(deployment: Object | None) -> str | int:
    """Port of a revision that was not asked for since the start, as its Deployment says."""
    annotations = (deployment or {}).get("metadata", {}).get("annotations") or {}
    try:
        port = json.loads(annotations.get(PORT, '"http"'))
    except ValueError:
        return "http"
    return port if isinstance(port, str | int) else "http"
