"""The world on a cluster: real pods behind the installed routers, and locust in a pod beside."""

import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from tests.cluster.system import SYSTEM, Loader, System, kubectl
from tests.conformance.papers import RELEASE, Papers
from tests.conformance.world import LATE_MS, Fits, Sums, brief

from sluice.analysis.latency import slower_than
from sluice.analysis.loadrun import LoadRun
from sluice.cli.cluster.client import ClusterClient
from sluice.cli.where import Where
from sluice.errors import TransientError, UnknownRelease
from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus
from sluice.spec import from_objects, revision_of

SERVER = Path(__file__).parents[1] / "e2e" / "server.py"
IMAGE = "sluice/model-api:0.1.0"
READY_S = 150.0
"""Machines are shared: the least time to wait for anything."""
SETTLE_S = 2.0
LOOK_S = 0.4


class ClusterWorld:
    """See ``World``: one namespace a story; controller and routers are shared."""

    name = "cluster"

    def __init__(self, system: System, namespace: str, folder: Path) -> None:
        self.revisions: dict[str, RevisionId] = {}
        self.namespace = namespace
        self._system = system
        self._folder = folder
        self._client = ClusterClient.connect(Where(namespace=namespace), timeout_s=30.0)
        self._load: Loader | None = None
        self._runs: list[LoadRun] = []
        self._faults: dict[str, Mapping[str, float]] = {}

    def close(self) -> None:
        """Let go of everything but the namespace."""
        if self._load is not None:
            self._load.finish()
        self._client.__exit__(None, None, None)

    # --- what people do ---

    def deploy(self, papers: Papers, version: str) -> None:
        """See ``World``."""
        if version not in self._faults:
            self.faults(version, {})
        env = {
            "VERSION": version,
            "FAULTS": self._system.faults_url(self._file(version)),
            "PORT": "8080",
            "HOST": "0.0.0.0",  # inside a pod
        }
        documents = papers.documents(version, ["python", "-I", "-S", "/story/server.py"], env)
        _in_a_pod(documents[0]["spec"]["template"]["spec"])
        file = self._folder / f"{version}.yaml"
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
        self.must("deploy", "-f", str(file))
        # Nothing is tracked here: what is in the file is the whole revision.
        self.revisions[version] = revision_of(from_objects(documents).releases[0])

    def verb(self, verb: str, *words: str) -> str:
        """See ``World``."""
        extra = ["--yes"] if verb == "delete" else []
        ran = self.sluice(verb, RELEASE, *extra, *words)
        return (ran.stderr or f"exit code {ran.returncode}") if ran.returncode != 0 else ""

    def sluice(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The plugin of kubectl, as people call it."""
        return self._system.plugin(words[0], "--namespace", self.namespace, *words[1:])

    def must(self, *words: str) -> str:
        """The same, of what cannot fail."""
        ran = self.sluice(*words)
        assert ran.returncode == 0, f"kubectl sluice {' '.join(words)}: {ran.stderr}"
        return ran.stdout

    def traffic(self, rps: float) -> None:
        """See ``World``."""
        self._finish()
        if rps:
            self._load = self._system.load(f"http://{RELEASE}.{self.namespace}", rps)

    def faults(self, version: str, faults: Mapping[str, float]) -> None:
        """See ``World``."""
        self._faults[version] = dict(faults)
        self._system.put_faults(self._file(version), faults)

    def _file(self, version: str) -> str:
        return f"{self.namespace}-{version}.json"

    # --- what breaks ---

    def kill(self, what: str) -> None:
        """See ``World``."""
        match what:
            case "controller":
                self._system.stop_controller()
            case "agent" | "router":
                container = {"agent": "agent", "router": "envoy"}[what]
                self._system.kill(SYSTEM, self._system.router_pods()[0], container)
            case _:
                pods = self.pods(what)
                if pods:
                    self._system.kill(self.namespace, pods[0], "model")

    def pods(self, version: str) -> list[str]:
        """Ready or not, the pods of a version by name."""
        return self._system.pods(self.namespace, f"sluice.dev/revision={self.revisions[version]}")

    def restart(self) -> None:
        """See ``World``."""
        self._system.start_controller()

    # --- time ---

    def status(self) -> ReleaseStatus | None:
        """See ``World``."""
        try:
            return self._client.release(RELEASE)
        except (UnknownRelease, TransientError):
            return None

    def now_s(self) -> float:
        """See ``World``."""
        return time.time()

    def until(self, fits: Fits, *, within_s: float, what: str) -> ReleaseStatus:
        """See ``World``."""
        end = time.monotonic() + max(within_s, READY_S)
        last: ReleaseStatus | None = None
        while True:
            last = self.status() or last
            if last is not None and fits(last):
                return last
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}; {brief(last)}")
            time.sleep(LOOK_S)

    def after(self, seconds: float) -> None:
        """See ``World``."""
        time.sleep(seconds)

    def sums(self) -> Sums:
        """See ``World``."""
        if self._load is not None:
            time.sleep(SETTLE_S)
        self._finish()
        return sums_of(self._runs)

    def _finish(self) -> None:
        if self._load is not None:
            self._runs.append(self._load.finish())
            self._load = None


def sums_of(runs: Sequence[LoadRun]) -> Sums:
    """What users got in these load tests."""
    sums = Sums()
    for run in runs:
        for reason, number in run.reasons.items():
            sums.reasons[reason] = sums.reasons.get(reason, 0) + number
    for cell in (cell for run in runs for cell in run.cells):
        sums.requests += cell.total
        if cell.client_errors and not cell.version:
            sums.unknown += cell.client_errors
        if cell.lost:
            # The router's own 503 names who should have answered: lost, not that version's fault.
            sums.bad[""] = sums.bad.get("", 0) + cell.lost
        bad = cell.errors - cell.lost
        if bad:
            sums.bad[cell.version] = sums.bad.get(cell.version, 0) + bad
        late = slower_than(cell.buckets, LATE_MS)
        sums.late[cell.version] = sums.late.get(cell.version, 0) + late
    return sums


def _in_a_pod(pod: dict[str, object]) -> None:
    """What a cluster needs of the template that a laptop does not."""
    containers = pod["containers"]
    assert isinstance(containers, list)
    container = containers[0]
    container["image"] = IMAGE
    container["imagePullPolicy"] = "IfNotPresent"
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    container["env"].append({"name": "POD", "valueFrom": source})
    container["volumeMounts"] = [{"name": "story", "mountPath": "/story"}]
    container["resources"] = {"requests": {"cpu": "10m", "memory": "24Mi"}}
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod["volumes"] = [{"name": "story", "configMap": {"name": "story"}}]
    pod["automountServiceAccountToken"] = False
    pod["terminationGracePeriodSeconds"] = 20


@contextmanager
def cluster_world(system: System, name: str) -> Iterator[ClusterWorld]:
    """A namespace of its own for each story, gone afterwards."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30].strip("-")
    namespace = f"story-{words}-{secrets.token_hex(3)}"
    kubectl("create", "namespace", namespace)
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    kubectl("-n", namespace, "create", "configmap", "story", f"--from-file=server.py={SERVER}")
    try:
        with TemporaryDirectory(prefix="sluice-story-") as folder:
            world = ClusterWorld(system, namespace, Path(folder))
            try:
                yield world
            finally:
                world.close()
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
