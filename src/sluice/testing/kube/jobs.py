"""What a Job brings: a pod that ends as a test says."""

from collections.abc import Mapping
from typing import Any

from sluice.kube.kinds import JOB, POD
from sluice.nouns import JobEnd
from sluice.testing.kube.server import MemoryApi

Object = dict[str, Any]


class MemoryJobRuns:
    """Controller of Jobs: a program ends at once as it is told to; others never end.

    Args:
        api: The API server.
        ends: By the program's name; without a code it never started.
    """

    def __init__(self, api: MemoryApi, ends: Mapping[str, JobEnd]) -> None:
        self._api = api
        self._store = api.store
        self.ends = dict(ends)
        self._busy = False
        api.store.told.append(self.tick)

    def tick(self) -> None:
        """Give every Job its pod, and end those that are to end."""
        if self._busy:
            return
        self._busy = True
        try:
            for stored in list(self._store.all(JOB, None)):
                if "status" not in stored.obj:
                    self._begin(stored.obj)
        finally:
            self._busy = False

    def _begin(self, job: Object) -> None:
        metadata = job["metadata"]
        spec = job["spec"]["template"]["spec"]
        end = self.ends.get(spec["containers"][0]["command"][0])
        pod = POD.new(f"{metadata['name']}-x", metadata["namespace"], spec=spec)
        pod["metadata"] |= {
            "labels": {"job-name": metadata["name"]},
            "ownerReferences": [{"kind": "Job", "uid": metadata["uid"]}],
        }
        state: Object = {"running": {}}
        if end is not None:
            reason = "StartError" if end.code is None else "Completed"
            code = 128 if end.code is None else end.code
            state = {"terminated": {"exitCode": code, "reason": reason, "message": end.said}}
        pod["status"] = {"containerStatuses": [{"name": "check", "state": state}]}
        self._store.put(POD, pod, {})
        status: Object = {"active": 1}
        if end is not None:
            self._api.logs[metadata["namespace"], pod["metadata"]["name"]] = f"{end.said}\n"
            kind = "Complete" if end.code == 0 else "Failed"
            status = {"conditions": [{"type": kind, "status": "True"}]}
        there = self._store.find(JOB, metadata["namespace"], metadata["name"])
        self._store.put(JOB, {**job, "status": status}, there.owners if there else {})
