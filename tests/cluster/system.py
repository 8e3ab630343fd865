"""What is installed in the cluster, and the pod that makes load: both shared by all stories."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sluice.analysis.loadrun import LoadRun
from sluice.reports import document

SYSTEM = "sluice-system"
LOAD = "sluice-load"
LOADER = "loader"
CONTROLLER = "deployment/sluice-controller"
ROUTER_LABELS = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=router"
COMMAND_S = 120.0
FAULTS_PORT = 8000
SHARED = "/tmp"  # noqa: S108  # in the pod

_LOADER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": LOADER, "namespace": LOAD, "labels": {"app": LOADER}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": LOADER,
                "image": "sluice/loadtest:0.1.0",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-m", "http.server", str(FAULTS_PORT), "-d", SHARED],
                "volumeMounts": [
                    {"name": "tmp", "mountPath": SHARED},
                    {"name": "users", "mountPath": "/caller"},
                ],
            }
        ],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "users", "configMap": {"name": "users"}},
        ],
    },
}
_ANSWERS = (
    "python -c \"import http.client as h; c = h.HTTPConnection('{url}'[7:], timeout=1); "
    "c.request('GET', '/'); c.getresponse()\" 2>/dev/null"
)
"""Whether anything answers at a URL, for a shell."""
_FAULTS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "faults", "namespace": LOAD},
    "spec": {"selector": {"app": LOADER}, "ports": [{"port": FAULTS_PORT}]},
}


def kubectl(*words: str, stdin: str | None = None, timeout_s: float = COMMAND_S) -> str:
    """What kubectl prints.

    Raises:
        AssertionError: it failed; its own words are in the message.
    """
    ran = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=timeout_s
    )
    assert ran.returncode == 0, f"kubectl {' '.join(words)}: {ran.stderr.strip()}"
    return ran.stdout


def wait_until(fits: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Look twice a second until it is so."""
    end = time.monotonic() + within_s
    while not fits():
        assert time.monotonic() < end, f"waited {within_s:g} s in vain for {what}"
        time.sleep(0.5)


class Loader:
    """One locust in the load pod, until it is finished."""

    def __init__(self, name: str) -> None:
        self._name = name

    def finish(self) -> LoadRun:
        """End it as people do; its raw counts."""
        file = f"{SHARED}/{self._name}.run.json"
        stop = f"kill -INT $(cat {SHARED}/{self._name}.pid) 2>/dev/null; for i in $(seq 200); do"
        _inside("sh", "-c", f"{stop} [ -s {file} ] && break; sleep 0.1; done; cat {file}")
        text = _inside("cat", file)
        assert text, _inside("sh", "-c", f"tail -n 20 {SHARED}/{self._name}.log")
        return document.parse(LoadRun, text.encode())


class System:
    """The installed Sluice, as the stories need it."""

    def __init__(self) -> None:
        self._loads = 0
        self._shared = ("", "")

    def plugin(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """``kubectl sluice``: the program that kubectl would find."""
        program = Path(sys.executable).parent / "kubectl-sluice"
        return subprocess.run(
            [str(program), *words], capture_output=True, text=True, timeout=COMMAND_S
        )

    # --- load and faults ---

    def prepare(self) -> None:
        """The load pod is there and ready."""
        items = [_namespace(LOAD), _users(), _LOADER, _FAULTS]
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        kubectl("apply", "-f", "-", stdin=json.dumps(listed))
        kubectl("-n", LOAD, "wait", "--for=condition=Ready", f"pod/{LOADER}", "--timeout=120s")
        pod = json.loads(kubectl("-n", LOAD, "get", "pod", LOADER, "-o", "json"))
        volumes = f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes"
        self._shared = (pod["spec"]["nodeName"], f"{volumes}/kubernetes.io~empty-dir/tmp")

    @property
    def load_node(self) -> str:
        """The node of the load pod, which must stay."""
        return self._shared[0]

    def load(self, url: str, rps: float, *, minutes: int = 15) -> Loader:
        """Poisson arrivals at this rate from now on, ended by :meth:`Loader.finish`."""
        self._loads += 1
        name = f"run-{time.time_ns()}-{self._loads}"
        words = (
            "locust --headless --only-summary -f /caller/users.py"
            f" -H {url} --traffic constant --rate {rps:g} --length {minutes}m"
            f" --run-file {SHARED}/{name}.run.json"
        )
        base = f"{SHARED}/{name}"
        # Nodes learn of a new Service within a second or so: nobody calls it before it answers.
        _inside("sh", "-c", f"for i in $(seq 150); do {_ANSWERS.format(url=url)} && break; done")
        # A shell's background processes ignore SIGINT, which is what ends locust with its counts.
        begin = f"setsid env --default-signal=INT {words} > {base}.log 2>&1 & echo $! > {base}.pid"
        _inside("sh", "-c", begin)
        return Loader(name)

    def put_faults(self, name: str, faults: Mapping[str, float]) -> None:
        """Pods read this file twice a second.

        Written on the node, not through the API server, which may be what is broken.
        """
        node, volume = self._shared
        write = f"cat > {volume}/{name}.new && mv {volume}/{name}.new {volume}/{name}"
        subprocess.run(
            ["docker", "exec", "-i", node, "sh", "-c", write],
            input=json.dumps(dict(faults)).encode(), check=True, capture_output=True,
            timeout=COMMAND_S,
        )  # fmt: skip

    def faults_url(self, name: str) -> str:
        """Where pods find it."""
        return f"http://faults.{LOAD}:{FAULTS_PORT}/{name}"

    # --- what breaks ---

    def pods(self, namespace: str, labels: str) -> list[str]:
        """Pods that are not leaving, by name."""
        found = json.loads(kubectl("-n", namespace, "get", "pods", "-l", labels, "-o", "json"))
        return sorted(
            str(pod["metadata"]["name"])
            for pod in found["items"]
            if "deletionTimestamp" not in pod["metadata"]
        )

    def router_pods(self) -> list[str]:
        """Router pods by name."""
        return self.pods(SYSTEM, ROUTER_LABELS)

    def kill(self, namespace: str, pod: str, container: str) -> None:
        """``kill -9`` of a container's first process, on its node."""
        found = json.loads(kubectl("-n", namespace, "get", "pod", pod, "-o", "json"))
        node = found["spec"]["nodeName"]
        identity = next(
            item["containerID"].rpartition("/")[2]
            for item in found["status"]["containerStatuses"]
            if item["name"] == container
        )
        # The container's first process is the one that no other of its cgroup is parent of.
        find = (
            f"for p in $(grep -l {identity} /proc/[0-9]*/cgroup | cut -d/ -f3); do "
            "set -- $(cut -d')' -f2 /proc/$p/stat); "
            f"grep -q {identity} /proc/$2/cgroup 2>/dev/null || kill -9 $p; done"
        )
        on_node(node, find)

    def stop_controller(self) -> None:
        """No controller runs any more, and none had time to say good-bye."""
        kubectl("-n", SYSTEM, "scale", CONTROLLER, "--replicas=0")
        labels = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=controller"
        for pod in self.pods(SYSTEM, labels):
            kubectl("-n", SYSTEM, "delete", "pod", pod, "--force", "--grace-period=0")
        wait_until(
            lambda: (
                not json.loads(kubectl("-n", SYSTEM, "get", "pods", "-l", labels, "-o", "json"))[
                    "items"
                ]
            ),
            within_s=60,
            what="the controller to be gone",
        )

    def api_server(self, *, up: bool) -> None:
        """Take the API server away, or give it back; returns when it is so."""
        there, away = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/away.yaml"
        source, target = (away, there) if up else (there, away)
        on_node("sluice-control-plane", f"mv {source} {target}")
        wait_until(
            lambda: _answers() is up,
            within_s=180,
            what=f"the API server to be {'up' if up else 'away'}",
        )

    def start_controller(self) -> None:
        """Two controllers again; returns when they are ready."""
        kubectl("-n", SYSTEM, "scale", CONTROLLER, "--replicas=2")
        kubectl("-n", SYSTEM, "rollout", "status", CONTROLLER, "--timeout=120s")


def on_node(node: str, script: str) -> str:
    """What a shell on a node prints."""
    ran = subprocess.run(
        ["docker", "exec", node, "sh", "-c", script], capture_output=True, text=True,
        timeout=COMMAND_S,
    )  # fmt: skip
    assert ran.returncode == 0, f"{node}: {script}: {ran.stderr.strip()}"
    return ran.stdout


def _answers() -> bool:
    ran = subprocess.run(
        ["kubectl", "get", "--raw=/readyz", "--request-timeout=2s"], capture_output=True, timeout=30
    )
    return ran.returncode == 0


def _inside(*words: str) -> str:
    return kubectl("-n", LOAD, "exec", LOADER, "--", *words)


def _users() -> dict[str, Any]:
    text = (Path(__file__).parent / "users.py").read_text(encoding="utf-8")
    metadata = {"name": "users", "namespace": LOAD}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"users.py": text},
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
