"""What a Deployment brings: pods that start, become ready and drain, on a test's clock."""

import copy
import datetime
from collections.abc import Mapping
from typing import Any

from sluice.kube.kinds import DEPLOYMENT, POD
from sluice.ports import Clock
from sluice.testing.kube.server import MemoryApi

Object = dict[str, Any]
_COST = "controller.kubernetes.io/pod-deletion-cost"


class MemoryNodes:
    """Controllers of Deployments and kubelets in one: reacts to every change at once.

    Args:
        api: The API server.
        clock: Time.
        ready_after_s: From the making of a pod to its readiness, seconds.
        drain_s: From being told to go to its end, seconds.
    """

    def __init__(
        self, api: MemoryApi, clock: Clock, *, ready_after_s: float = 0.0, drain_s: float = 0.0
    ) -> None:
        self._store = api.store
        self._clock = clock
        self._ready_after_ms = round(ready_after_s * 1000)
        self._drain_ms = round(drain_s * 1000)
        self._born_ms: dict[str, int] = {}
        self._told_ms: dict[str, int] = {}
        self._broken: dict[str, Object] = {}
        self._number = 0
        self._busy = False
        api.store.told.append(self.tick)

    def break_pods(self, deployment: str, status: Mapping[str, Any]) -> None:
        """Pods of a Deployment show this status and never get ready."""
        self._broken[deployment] = dict(status)
        self.tick()

    def mend_pods(self, deployment: str) -> None:
        """They get ready like others."""
        self._broken.pop(deployment, None)
        self.tick()

    def tick(self) -> None:
        """Do what is due by now."""
        if self._busy:
            return
        self._busy = True
        try:
            before = -1
            while before != self._store.version:
                before = self._store.version
                self._deployments()
                self._pods()
        finally:
            self._busy = False

    def _deployments(self) -> None:
        for stored in list(self._store.all(DEPLOYMENT, None)):
            deployment = stored.obj
            wanted = int(deployment["spec"].get("replicas", 1))
            pods = [pod for pod in self._owned(deployment) if _stays(pod)]
            for _ in range(wanted - len(pods)):
                self._start(deployment)
            pods.sort(key=lambda pod: (_cost(pod), -self._born_ms[pod["metadata"]["uid"]]))
            for pod in pods[: max(0, len(pods) - wanted)]:
                metadata = pod["metadata"]
                self._store.delete(POD, metadata["namespace"], metadata["name"])
            status = {
                "replicas": wanted,
                "observedGeneration": deployment["metadata"]["generation"],
            }
            if deployment.get("status") != status:
                self._put(DEPLOYMENT, {**deployment, "status": status})

    def _pods(self) -> None:
        now_ms = self._clock.now_ms()
        for stored in list(self._store.all(POD, None)):
            pod = copy.deepcopy(stored.obj)
            metadata = pod["metadata"]
            uid = metadata["uid"]
            if "deletionTimestamp" in metadata:
                told_ms = self._told_ms.setdefault(uid, now_ms)
                if now_ms - told_ms >= self._drain_ms:
                    place, name = metadata["namespace"], metadata["name"]
                    self._store.delete(POD, place, name, now=True)
                continue
            born_ms = self._born_ms.setdefault(uid, now_ms)
            broken = self._broken.get((metadata.get("annotations") or {}).get("of", ""))
            ready = broken is None and now_ms - born_ms >= self._ready_after_ms
            status = {**_status(pod, ready=ready, at=_time(born_ms + self._ready_after_ms))}
            status |= broken or {}
            if pod.get("status") != status:
                self._put(POD, {**pod, "status": status})

    def _start(self, deployment: Object) -> None:
        self._number += 1
        metadata = deployment["metadata"]
        template = copy.deepcopy(deployment["spec"]["template"])
        pod = POD.new(
            f"{metadata['name']}-{self._number:05d}", metadata["namespace"], spec=template["spec"]
        )
        pod["spec"]["nodeName"] = "node-1"
        pod["status"] = {"podIP": f"10.0.{self._number // 250}.{self._number % 250 + 1}"}
        template_meta = template.get("metadata") or {}
        pod["metadata"] |= {
            "labels": template_meta.get("labels") or {},
            "annotations": {**(template_meta.get("annotations") or {}), "of": metadata["name"]},
            "ownerReferences": [{"kind": "Deployment", "uid": metadata["uid"]}],
        }
        made = self._put(POD, pod)
        self._born_ms[made["metadata"]["uid"]] = self._clock.now_ms()

    def _owned(self, deployment: Object) -> list[Object]:
        uid = deployment["metadata"]["uid"]
        return [
            stored.obj
            for stored in self._store.all(POD, deployment["metadata"]["namespace"])
            if any(
                owner["uid"] == uid for owner in stored.obj["metadata"].get("ownerReferences") or ()
            )
        ]

    def _put(self, kind: Any, obj: Object) -> Object:
        metadata = obj["metadata"]
        there = self._store.find(kind, metadata["namespace"], metadata["name"])
        return self._store.put(kind, obj, there.owners if there else {})


def _status(pod: Object, *, ready: bool, at: str) -> Object:
    state: Object = {"running": {}}
    return {
        "podIP": pod["status"]["podIP"],
        "phase": "Running",
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": at,
            }
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "ready": ready,
                "started": True,
                "restartCount": 0,
                "state": state,
            }
            for container in pod["spec"].get("containers") or ()
        ],
    }


def _stays(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _cost(pod: Object) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(_COST, 0))


def _time(at_ms: int) -> str:
    return datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC).isoformat()
