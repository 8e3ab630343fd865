"""Who keeps the releases, for tests of what is the same on a laptop and in a cluster."""

from datetime import UTC, datetime
from typing import Any, Protocol

from tests.unit.cli.fake import FakeSupervisor
from tests.unit.cli.fake_cluster import NAMESPACE, FakeCluster

from sluice.kube.kinds import POD
from sluice.reports.model import Decision, ReleaseStatus


class Keeper(Protocol):
    """Keeps releases and remembers what it was told."""

    def keep(self, status: ReleaseStatus) -> None: ...

    def clear(self) -> None: ...

    def decide(self, *decisions: Decision) -> None: ...

    def write(self, replica: str, *lines: str) -> None: ...

    def refuse(self, reason: str) -> None: ...

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Verbs and their bodies."""
        ...


class OnLaptop:
    """``Keeper`` behind the supervisor's socket."""

    def __init__(self, supervisor: FakeSupervisor) -> None:
        self.fake = supervisor

    def keep(self, status: ReleaseStatus) -> None:
        self.fake.releases[status.name] = status

    def clear(self) -> None:
        self.fake.releases.clear()

    def decide(self, *decisions: Decision) -> None:
        self.fake.decisions = decisions

    def write(self, replica: str, *lines: str) -> None:
        self.fake.lines += [(replica, line) for line in lines]

    def refuse(self, reason: str) -> None:
        self.fake.refuse = (409, {"title": "Refused", "status": 409, "detail": reason})

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (path.rpartition("/")[2], body)
            for method, path, body in self.fake.asked
            if method == "POST"
        ]


class InCluster:
    """``Keeper`` behind an API server."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.fake = cluster
        self._names: list[ReleaseStatus] = []

    def keep(self, status: ReleaseStatus) -> None:
        self._names = [*(s for s in self._names if s.name != status.name), status]
        self.fake.put(status)

    def clear(self) -> None:
        for status in self._names:
            self.fake.remove(status.name)
        self._names = []

    def decide(self, *decisions: Decision) -> None:
        self.fake.decisions = decisions
        for status in self._names:
            self.fake.write(status)

    def write(self, replica: str, *lines: str) -> None:
        labels = {"sluice.dev/release": "taxi", "sluice.dev/revision": "7f3a"}
        pod = POD.new(replica, NAMESPACE, spec={"containers": [{"name": "model"}]})
        pod["metadata"] |= {"labels": labels}
        if self.fake.api.store.find(POD, NAMESPACE, replica) is None:
            self.fake.api.store.put(POD, pod, {})
        before = self.fake.api.logs.get((NAMESPACE, replica), "")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        self.fake.api.logs[NAMESPACE, replica] = before + "".join(f"{now} {x}\n" for x in lines)

    def refuse(self, reason: str) -> None:
        self.fake.refusal = reason

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        told = []
        for body in self.fake.asked:
            rest = {key: value for key, value in body.items() if key not in ("id", "verb")}
            told.append((body["verb"], rest))
        return told
