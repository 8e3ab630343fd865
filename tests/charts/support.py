"""Charts as Helm renders them; without the program tests skip aloud, or fail where it must be."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
REQUIRED = os.environ.get("SLUICE_CLUSTER") == "required"
KUBE_VERSION = "1.34.4"
"""Helm's own default may be older than what the charts ask for."""
RELEASES = {"sluice": ("sluice", "sluice-system"), "model-api": ("taxi", "ml")}
"""Helm release and namespace that each chart is rendered with."""
Object = Mapping[str, Any]


def program(name: str) -> str:
    """The path of a program; skips without it, or fails where a cluster is required."""
    found = shutil.which(name)
    if found is None:
        said = f"{name} is not installed: https://helm.sh, https://kubernetes.io/docs/tasks/tools"
        if REQUIRED:
            pytest.fail(said)
        pytest.skip(said)
    return found


def ci_files() -> list[Any]:
    """Every chart with every values file of its folder ``ci``, as parameters."""
    return [
        pytest.param(chart, path, id=f"{chart}-{path.name.removesuffix('-values.yaml')}")
        for chart in RELEASES
        for path in sorted((CHARTS / chart / "ci").glob("*-values.yaml"))
    ]


@functools.cache
def _template(
    helm: str, chart: str, arguments: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    release, namespace = RELEASES[chart]
    command = [helm, "template", release, str(CHARTS / chart), "-n", namespace]
    command += ["--kube-version", KUBE_VERSION, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def helm(chart: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and errors of ``helm template`` with these arguments."""
    done = _template(program("helm"), chart, arguments)
    return done.returncode, done.stdout, done.stderr


def render(chart: str, *arguments: str) -> list[Object]:
    """Every object of a chart with these arguments."""
    code, text, said = helm(chart, *arguments)
    assert code == 0, said
    # The definitions are 400 KB: the loader in C takes a tenth of the time.
    return [item for item in yaml.load_all(text, yaml.CSafeLoader) if item]


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [item for item in objects if item["kind"] in kinds]


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The one of a kind and name."""
    [found] = [item for item in of_kind(objects, kind) if item["metadata"]["name"] == name]
    return found


def pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod and pod template, with the name of what it belongs to."""
    for item in objects:
        name = f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item
        elif item["kind"] in ("Deployment", "Release", "Job"):
            yield name, item["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """Every container of a pod, init containers first."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]
