"""A cluster in memory with a controller that answers at once: what the commands talk to."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.cli.cluster.commands import pending
from sluice.kube.kinds import RELEASE
from sluice.kube.packed import pack
from sluice.reports import document
from sluice.reports.model import Decision, ReleaseStatus
from sluice.testing.kube import MemoryApi

NAMESPACE = "ml"


@dataclass
class FakeCluster:
    """What its controller writes, and what it was told."""

    api: MemoryApi = field(default_factory=MemoryApi)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Commands that were answered."""
    refusal: str = ""
    """What every command is refused with; empty: it is done."""
    away: bool = False
    """The controller does not answer."""
    unaccepted: str = ""
    """What it says of every spec that it cannot use."""
    decisions: tuple[Decision, ...] = ()
    _busy: bool = False

    def __post_init__(self) -> None:
        self.api.store.told.append(self._react)

    def put(self, status: ReleaseStatus, namespace: str = NAMESPACE, **spec: Any) -> None:
        """A release of this status."""
        obj = RELEASE.new(status.name, namespace, spec={"replicas": 1, **spec})
        found = self.api.store.find(RELEASE, namespace, status.name)
        if found is None:
            self.api.store.put(RELEASE, obj, {})
        self.write(status, namespace)

    def write(self, status: ReleaseStatus, namespace: str = NAMESPACE, **fields: Any) -> None:
        """The controller writes a status."""
        found = self.api.store.find(RELEASE, namespace, status.name)
        assert found is not None
        obj = copy.deepcopy(found.obj)
        key = f"{namespace}/{status.name}"
        view = {"status": replace(status, name=key), "decisions": self.decisions}
        obj["status"] = {
            **obj.get("status", {}),
            "phase": str(status.phase),
            "observedGeneration": obj["metadata"]["generation"],
            "view": pack(document.dump(view)),
            **fields,
        }
        self.api.store.put(RELEASE, obj, found.owners)

    def remove(self, name: str, namespace: str = NAMESPACE) -> None:
        """It is gone."""
        self.api.store.delete(RELEASE, namespace, name)

    def _react(self) -> None:
        if self._busy or self.away:
            return
        self._busy = True
        try:
            for stored in list(self.api.store.all(RELEASE, None)):
                self._look_at(copy.deepcopy(stored.obj), stored.owners)
        finally:
            self._busy = False

    def _look_at(self, obj: dict[str, Any], owners: Any) -> None:
        status = obj.setdefault("status", {})
        body = pending(obj)
        if body is not None:
            self.asked.append(dict(body))
            message = self.refusal or f"{body['verb']} done"
            outcome = "refused" if self.refusal else "done"
            status["command"] = {"id": body["id"], "outcome": outcome, "message": message}
        if status.get("observedGeneration") != obj["metadata"]["generation"] and status.get("view"):
            status["observedGeneration"] = obj["metadata"]["generation"]
            accepted = "False" if self.unaccepted else "True"
            status["conditions"] = [
                {"type": "Accepted", "status": accepted, "message": self.unaccepted}
            ]
        self.api.store.put(RELEASE, obj, owners)
