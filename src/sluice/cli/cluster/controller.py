"""Whether somebody works in the cluster: the controller's lease and version, for error lines."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sluice.errors import RefusedError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, LEASE
from sluice.reports.words import duration

SYSTEM = "sluice-system"
NAME = "sluice-controller"
LABELS = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=controller"
VERSION = "app.kubernetes.io/version"
STALE_MS = 60_000
_LOOK = f"look at `kubectl get pods -n {SYSTEM}`"


async def whereabouts(kube: KubeClient) -> str:
    """What is known of a controller that does not answer, and what to do, in one line."""
    try:
        lease = await kube.get(LEASE, NAME, SYSTEM)
    except (RefusedError, TransientError):
        return _LOOK
    if lease is None:
        return f"no controller has ever led in {SYSTEM}: `make install`"
    renewed = _renewed(lease)
    if renewed is None:
        return _LOOK
    age_ms = (datetime.now(UTC) - renewed).total_seconds() * 1_000
    if age_ms < STALE_MS:
        return f"it leads and is busy; {_LOOK}"
    return f"its lease was last renewed {duration(age_ms)} ago; {_LOOK}"


async def version(kube: KubeClient) -> str:
    """Version of the controller; empty when there is none, or this user may not look."""
    try:
        found = await kube.list(DEPLOYMENT, SYSTEM, labels=LABELS)
    except RefusedError:
        return ""
    for deployment in found:
        label = (deployment["metadata"].get("labels") or {}).get(VERSION)
        if label:
            return str(label)
    return ""


def _renewed(lease: Mapping[str, Any]) -> datetime | None:
    text = str((lease.get("spec") or {}).get("renewTime") or "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
