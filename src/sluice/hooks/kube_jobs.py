"""Runs programs as Jobs of a cluster, where they outlive the controller."""

import asyncio
import contextlib
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from sluice.errors import RefusedError, SluiceError, SpecError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict
from sluice.kube.kinds import JOB, POD
from sluice.nouns import Job, JobEnd

log = structlog.get_logger()

Object = dict[str, Any]
CONTAINER = "check"
LAST_LINES = 3
LONGEST_SAID = 500
"""Characters: it becomes part of a line for people."""
LOG_TRIES = 3
KEPT_S = 3_600
"""Longest time that a Job whose controller never came back is kept after its end."""
STARTED_NEVER = frozenset({"StartError", "ContainerCannotRun"})
_POD_FIELDS = (
    "imagePullSecrets",
    "nodeSelector",
    "securityContext",
    "serviceAccountName",
    "tolerations",
)
_CONTAINER_FIELDS = ("imagePullPolicy", "securityContext")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlace:
    """Where a program runs."""

    namespace: str
    image: str
    owner: Mapping[str, Any] | None = None
    """Entry of ``metadata.ownerReferences``: what takes the Job along when it goes."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the pod's spec."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the container."""


def place_like(
    template: Mapping[str, Any],
    *,
    namespace: str,
    owner: Mapping[str, Any] | None = None,
    image: str = "",
) -> JobPlace:
    """A place like that of the candidate's pods: same image, account, security and nodes.

    Args:
        template: The candidate's PodTemplateSpec.
        namespace: Of the release.
        owner: What takes the Job along when it goes.
        image: Instead of the first container's.
    """
    spec = template.get("spec") or {}
    first: Mapping[str, Any] = next(iter(spec.get("containers") or ()), {})
    return JobPlace(
        namespace=namespace,
        image=image or str(first.get("image", "")),
        owner=owner,
        pod={key: spec[key] for key in _POD_FIELDS if key in spec},
        container={key: first[key] for key in _CONTAINER_FIELDS if key in first},
    )


class KubeJobs:
    """``ports.CheckJob`` by Kubernetes Jobs.

    Args:
        client: The API server.
        place: Where a job runs; None: nothing is known of its release.
        poll_s: Between two looks at a Job, seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        place: Callable[[Job], JobPlace | None],
        poll_s: float = 1.0,
    ) -> None:
        self._client = client
        self._place = place
        self._poll_s = poll_s

    async def run(self, job: Job) -> JobEnd:
        """See :class:`sluice.ports.CheckJob`.

        A Job of this id that a controller before this one began is waited for. The time to pull
        an image and to find a node counts.
        """
        if not job.command:
            return JobEnd(code=None, said="there is no command")
        place = self._place(job)
        if place is None or not place.image:
            return JobEnd(code=None, said="it has no image to run in")
        name = job_name(job.id)
        try:
            async with asyncio.timeout(job.timeout_ms / 1000):
                try:
                    await self._create(job_object(job, name, place))
                    await self._ended(name, place.namespace)
                    return await self._end(name, place.namespace)
                except (SpecError, RefusedError, TransientError) as error:
                    return JobEnd(code=None, said=f"cannot be started: {error}")
        except TimeoutError:
            late = f"did not end within {job.timeout_ms / 1000:g} s"
            said = await self._said(name, place.namespace)
            return JobEnd(code=None, said=f"{late}: {said}" if said else late)
        finally:
            await asyncio.shield(self._delete(name, place.namespace))

    async def _create(self, obj: Object) -> None:
        while True:
            try:
                await self._client.create(obj)
            except Conflict:
                there = await self._client.get(
                    JOB, obj["metadata"]["name"], obj["metadata"]["namespace"]
                )
                if there is None or "deletionTimestamp" in there["metadata"]:
                    await asyncio.sleep(self._poll_s)  # of a try before this one
                    continue
            return

    async def _ended(self, name: str, namespace: str) -> None:
        """Return when the Job has ended, well or not."""
        while True:
            with contextlib.suppress(TransientError):
                found = await self._client.get(JOB, name, namespace)
                if found is None:
                    raise RefusedError(f"somebody deleted Job {namespace}/{name}")
                conditions = found.get("status", {}).get("conditions") or ()
                if any(
                    item.get("type") in ("Complete", "Failed") and item.get("status") == "True"
                    for item in conditions
                ):
                    return
            await asyncio.sleep(self._poll_s)

    async def _end(self, name: str, namespace: str) -> JobEnd:
        pod = await self._pod(name, namespace)
        status = _container(pod)
        ended = (status.get("state") or {}).get("terminated")
        if pod is None or ended is None:
            return JobEnd(code=None, said=_waiting(status) or "its pod is gone")
        if ended.get("reason") in STARTED_NEVER:
            said = " ".join(str(ended.get("message", "")).split())
            return JobEnd(code=None, said=f"cannot be started: {said}"[:LONGEST_SAID])
        return JobEnd(code=int(ended["exitCode"]), said=await self._logs(pod))

    async def _said(self, name: str, namespace: str) -> str:
        """Last words of one that has not ended, or why it has not begun."""
        try:
            async with asyncio.timeout(5):
                pod = await self._pod(name, namespace)
                if pod is None:
                    return ""
                return _waiting(_container(pod)) or await self._logs(pod)
        except (SluiceError, TimeoutError):
            return ""

    async def _pod(self, name: str, namespace: str) -> Object | None:
        pods = await self._client.list(POD, namespace, labels=f"job-name={name}")
        return next(iter(pods), None)

    async def _logs(self, pod: Object) -> str:
        metadata = pod["metadata"]
        said = ""
        for _ in range(LOG_TRIES):
            try:
                text = await self._client.logs(
                    metadata["name"], metadata["namespace"], container=CONTAINER, tail=50
                )
            except TransientError as error:  # a kubelet that is busy breaks off
                said = f"its output cannot be read: {error}"[:LONGEST_SAID]
                await asyncio.sleep(self._poll_s)
            except SluiceError as error:
                return f"its output cannot be read: {error}"[:LONGEST_SAID]
            else:
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                return " | ".join(lines[-LAST_LINES:])[-LONGEST_SAID:]
        return said

    async def _delete(self, name: str, namespace: str) -> None:
        try:
            await self._client.delete(JOB, name, namespace)
        except SluiceError as error:  # it goes by itself after KEPT_S
            log.warning("job.not_deleted", job=f"{namespace}/{name}", problem=str(error))


def job_name(job_id: str) -> str:
    """Name of the Job of an id: the same for the same id, readable, and short enough."""
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:10]
    words = re.sub(r"[^a-z0-9]+", "-", job_id.lower()).strip("-")
    return f"check-{words[-40:].strip('-')}-{digest}"


def job_object(job: Job, name: str, place: JobPlace) -> Object:
    """The Job: one try, no longer than it may take."""
    container = {
        **place.container,
        "name": CONTAINER,
        "image": place.image,
        "command": list(job.command),
        "env": [{"name": key, "value": value} for key, value in sorted(job.env.items())],
    }
    pod = {
        "automountServiceAccountToken": False,
        **place.pod,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
    }
    labels = {"app.kubernetes.io/managed-by": "sluice", "sluice.dev/check": "true"}
    obj = JOB.new(
        name,
        place.namespace,
        spec={
            "backoffLimit": 0,
            "activeDeadlineSeconds": max(1, math.ceil(job.timeout_ms / 1000)),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    )
    obj["metadata"]["labels"] = labels
    if place.owner is not None:
        obj["metadata"]["ownerReferences"] = [dict(place.owner)]
    return obj


def _container(pod: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        iter((pod or {}).get("status", {}).get("containerStatuses") or ()), {}
    )
    return found


def _waiting(status: Mapping[str, Any]) -> str:
    waiting = (status.get("state") or {}).get("waiting") or {}
    said = f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")
    return " ".join(said.split())[:LONGEST_SAID]
