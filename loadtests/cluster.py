"""``make load-cluster``: a load test by several pods, judged here by the same verdict.

Writes a kustomization of ``k8s/components/loadtest`` with the profile, the SLO and the rows that
are asked for, applies it with kubectl, waits, reads the counts from the master's log, takes
everything away again and judges. Exit codes are those of ``make load``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loadtests.__main__ import OUT, Parser, add_common, judge_words, said
from loadtests.asked import objectives_of, seconds_of
from loadtests.bodies import rows_of
from loadtests.incluster import FILES, unpacked
from loadtests.profiles import FOLDER, load_profile
from loadtests.run import HERE, ROOT
from sluice.analysis.loadrun import LoadRun
from sluice.cli.main import run as sluice
from sluice.errors import Fault, SluiceError, SpecError, TransientError, UnknownRelease
from sluice.reports import document

COMPONENT = ROOT / "k8s" / "components" / "loadtest"
ROWS = 500
"""Different trips that are sent: a ConfigMap holds 1 MiB."""
SPARE_S = 180.0
"""For images, scheduling and the last answers, beside the profile's own time."""
STUCK_S = 45.0
"""A pod that cannot start for a reason that does not pass is waited for so long."""
STUCK = frozenset(
    {
        "ErrImagePull",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the pods run, and how kubectl is told so."""

    namespace: str
    context: str = ""

    def kubectl(self, *words: str, check: bool = True) -> str:
        """Run it; what it printed.

        Raises:
            UnknownRelease: there is no kubectl.
            TransientError: it failed; its own words are in the message.
        """
        if shutil.which("kubectl") is None:
            raise UnknownRelease("there is no kubectl: install it, and name a cluster")
        where = ["--context", self.context] if self.context else []
        command = ["kubectl", *where, "--namespace", self.namespace, *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode:
            said = done.stderr.strip() or f"ended with {done.returncode}"
            raise TransientError(f"kubectl {words[0]}: {said}")
        return done.stdout

    def get(self, *words: str) -> Mapping[str, Any]:
        """An object, or a list of them."""
        found: Mapping[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is run in the cluster."""

    target: str
    workers: int
    image: str
    profile: Path
    rate: float | None = None
    length: str = ""
    slo: Sequence[str] = ()
    tags: Sequence[str] = ()
    late_ms: int = 10
    stop_early: bool = False
    locustfile: Path | None = None
    rows: str = ""
    """JSON lines of trips; empty: the locustfile needs none."""


def write(run: Run, namespace: str, folder: Path, component: Path = COMPONENT) -> None:
    """Write the kustomization of a run, with all its files, into a folder.

    The component's files are copied: kustomize reads nothing from above its own folder.
    """
    shutil.copytree(component, folder / "component")
    profile = {"name": run.profile.stem, **yaml.safe_load(run.profile.read_text(encoding="utf-8"))}
    files = {"profile.yaml": yaml.safe_dump(profile, sort_keys=False)}
    if run.slo:
        texts = [Path(name).read_text(encoding="utf-8") for name in run.slo]
        files["slo.yaml"] = "\n---\n".join(texts)
    if run.locustfile is not None:
        files["locustfile.py"] = run.locustfile.read_text(encoding="utf-8")
    if run.rows:
        files["rows.jsonl"] = run.rows
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = {
        "TARGET": run.target,
        "MASTER": "loadtest-master",
        "WORKERS": str(run.workers),
        "RATE": f"{run.rate:g}" if run.rate else "",
        "LENGTH": run.length,
        "LATE_MS": str(run.late_ms),
        "TAGS": " ".join(run.tags),
        "STOP_EARLY": "1" if run.stop_early else "",
        "BODIES": str(FILES / "rows.jsonl") if run.rows else "",
    }
    size = [
        {"op": "replace", "path": f"/spec/{key}", "value": run.workers}
        for key in ("completions", "parallelism")
    ]
    image, _, tag = run.image.rpartition(":")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "components": ["component"],
        "configMapGenerator": [
            {"name": "loadtest", "files": sorted(files)},
            {"name": "loadtest-settings", "literals": [f"{k}={v}" for k, v in settings.items()]},
        ],
        "generatorOptions": {"disableNameSuffixHash": True},
        "images": [{"name": "sluice/loadtest", "newName": image, "newTag": tag}],
        "patches": [
            {"target": {"kind": "Job", "name": "loadtest-workers"}, "patch": json.dumps(size)}
        ],
    }
    text = yaml.safe_dump(kustomization, sort_keys=False)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")


def carried_out(run: Run, cluster: Cluster, *, within_s: float) -> LoadRun:
    """Run it in the cluster; nothing of it is left there afterwards.

    Raises:
        UnknownRelease: there is no kubectl.
        TransientError: it could not be run to its end; says what stood in the way.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-loadtest-")))
        write(run, cluster.namespace, folder)
        here = cluster.kubectl("get", "job", "loadtest-master", "--ignore-not-found", "-o", "name")
        if here:
            raise TransientError(
                f"a load test runs in namespace {cluster.namespace} already: wait for its end, or "
                f"kubectl delete -n {cluster.namespace} job loadtest-master loadtest-workers"
            )
        stack.callback(_clean_up, cluster, folder)
        cluster.kubectl("apply", "-k", str(folder))
        _wait(cluster, within_s=within_s)
        return unpacked(cluster.kubectl("logs", "job/loadtest-master", "--tail=-1"))


def _clean_up(cluster: Cluster, folder: Path) -> None:
    words = ("delete", "-k", str(folder), "--ignore-not-found", "--wait=true", "--timeout=60s")
    cluster.kubectl(*words, check=False)


def _wait(cluster: Cluster, *, within_s: float) -> None:
    """Return when the master has ended well.

    Raises:
        TransientError: it has not, or not in time, or a pod cannot start.
    """
    until, stuck_since = time.monotonic() + within_s, 0.0
    while True:
        status = cluster.get("job", "loadtest-master").get("status", {})
        if status.get("succeeded"):
            return
        if status.get("failed"):
            log = cluster.kubectl("logs", "job/loadtest-master", "--tail=8", check=False).strip()
            raise TransientError(f"the master failed:\n{log}")
        pods = cluster.get("pods", "-l", "app.kubernetes.io/name=sluice-loadtest")["items"]
        reason = stuck(pods)
        stuck_since = (stuck_since or time.monotonic()) if reason else 0.0
        if reason and time.monotonic() - stuck_since > STUCK_S:
            raise TransientError(reason)
        if time.monotonic() > until:
            raise TransientError(f"not over after {within_s:g} s; {_standing(pods)}")
        time.sleep(1.0)


def stuck(pods: Sequence[Mapping[str, Any]]) -> str:
    """Why a pod cannot run, in one line; empty: none is stuck."""
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for item in status.get("containerStatuses") or ():
            waiting = item.get("state", {}).get("waiting", {})
            if waiting.get("reason") in STUCK:
                words = f"{waiting['reason']}: {waiting.get('message', '')}".strip(": ")
                return f"pod {name} cannot start: {words}"
            ended = item.get("state", {}).get("terminated", {})
            worker = "workers" in name
            if worker and ended.get("exitCode"):
                return f"worker {name} ended with {ended['exitCode']}: see its log"
        for condition in status.get("conditions") or ():
            if condition.get("reason") == "Unschedulable":
                return f"pod {name} fits on no node: {condition.get('message', '')}"
    return ""


def _standing(pods: Sequence[Mapping[str, Any]]) -> str:
    phases = [f"{pod['metadata']['name']} {pod['status'].get('phase', '?')}" for pod in pods]
    return "pods: " + (", ".join(phases) or "none")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and judge; returns the exit code."""
    parser = Parser(prog="python -m loadtests.cluster", description=__doc__)
    add_common(parser)
    add = parser.add_argument
    add(
        "--release",
        default="taxi",
        help="its Service in the namespace is the target (default %(default)s)",
    )
    add("--namespace", "-n", default="default", help="of pods and Service (default %(default)s)")
    add("--context", default="", help="of the kubeconfig; left out: the current one")
    add("--image", default="sluice/loadtest:0.1.0", help="of master and workers")
    add("--workers", type=int, default=2, help="pods that make requests (default %(default)s)")
    add("--profile", default="constant", help="traffic profile: a name or a YAML file")
    add("--rate", type=float, help="highest rate of the profile, requests per second")
    add("--length", default="", help="how long the profile lasts, such as 2m")
    add("--stop-early", action="store_true", help="stop when the SLO fails for certain")
    parser.set_defaults(url="", out=OUT / "cluster")
    options = parser.parse_args(arguments)
    if not options.slo and not options.threshold:
        parser.error('nothing to judge by: give --slo FILE, or --threshold "p(95)<200"')
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    if not options.image.rpartition(":")[0]:
        parser.error("--image needs a tag, such as sluice/loadtest:0.1.0")
    try:
        return _run(options)
    except SluiceError as error:
        return said(error)


def _run(options: argparse.Namespace) -> int:
    get = vars(options).__getitem__
    objectives_of(get("slo"), get("threshold"))
    seconds = seconds_of(get("length")) if get("length") else None
    traffic = load_profile(get("profile"), rate=get("rate"), duration_s=seconds)
    if traffic.kind == "replay":
        raise _no_replay()
    named = FOLDER / f"{get('profile')}.yaml"
    locustfile = get("locustfile").absolute()
    ours = locustfile == HERE / "locustfile.py"
    run = Run(
        target=get("url") or f"http://{get('release')}.{get('namespace')}",
        workers=get("workers"),
        image=get("image"),
        profile=named if named.exists() else Path(get("profile")),
        rate=get("rate"),
        length=get("length"),
        slo=get("slo"),
        tags=get("tags"),
        late_ms=get("late_ms"),
        stop_early=get("stop_early"),
        locustfile=None if ours else locustfile,
        rows=_rows() if ours else "",
    )
    cluster = Cluster(namespace=get("namespace"), context=get("context"))
    counted = carried_out(run, cluster, within_s=traffic.duration_s + SPARE_S)
    out: Path = get("out")
    out.mkdir(parents=True, exist_ok=True)
    file = out.absolute() / "run.json"
    file.write_bytes(document.dump_json(counted))
    code = sluice(judge_words(options, file, out))
    sys.stdout.write(f"\nreport: {out / 'report.html'}, counts: {file}\n")
    return code


def _rows() -> str:
    try:
        return rows_of(os.environ.get("TRIPS", ""), most=ROWS)
    except ValueError as error:
        raise TransientError(f"trips cannot be read: {error}") from error


def _no_replay() -> SpecError:
    reason = "a replay reads a log from this machine: use it with make load"
    return SpecError([Fault(path="profile", reason=reason)])


if __name__ == "__main__":
    sys.exit(main())
