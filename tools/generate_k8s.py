"""``k8s/``: manifests from the charts as Helm renders them, strategies from the examples."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
KUBE_VERSION = "1.29.0"
"""The oldest that the charts support; nothing they render depends on it."""
RENDERED = {"system": ("sluice", "sluice"), "taxi": ("model-api", "taxi")}
"""Folder below k8s/base, its chart, and the name of the Helm release."""
STRATEGIES = ("canary", "bluegreen", "rolling", "shadow", "ab")
"""Components, each with the strategy of the laptop's example of that name."""
_OF_HELM = {"app.kubernetes.io/managed-by", "helm.sh/chart"}
_HEAD = "# Made by `make update` from {}; do not edit.\n"


def outputs() -> Mapping[str, Callable[[], str]]:
    """Path and text of each file; without Helm only those that need none."""
    found = {f"k8s/components/{name}/strategy.yaml": partial(strategy, name) for name in STRATEGIES}
    if shutil.which("helm") is None:
        print("helm is not installed: k8s/base is neither made nor compared", file=sys.stderr)
        return found
    return found | {
        f"k8s/base/{folder}/manifests.yaml": partial(manifests, folder) for folder in RENDERED
    }


def strategy(name: str) -> str:
    """The patch that gives the Release the strategy and the users of an example."""
    source = f"examples/taxi/release-{name}.yaml"
    spec = yaml.safe_load((ROOT / source).read_text())["spec"]
    for_cluster = spec["strategy"]
    # a file of the laptop; in a cluster name your store of predictions
    for_cluster.get("abTest", {}).pop("outcomes", None)
    # a cluster's default has the namespace in it, so that environments do not claim the same host
    for_cluster.get("blueGreen", {}).get("preview", {}).pop("hosts", None)
    patch: list[dict[str, Any]] = [_add("/spec/strategy", for_cluster)]
    if "traffic" in spec:
        patch.append(_add("/spec/traffic", spec["traffic"]))
    return _HEAD.format(source) + yaml.safe_dump(patch, sort_keys=False)


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def manifests(folder: str) -> str:
    """The objects of a chart without what belongs to Helm alone."""
    chart, _ = RENDERED[folder]
    objects = [_plain(item) for item in yaml.safe_load_all(rendered(folder)) if item]
    text = yaml.safe_dump_all(objects, sort_keys=False, width=100)
    return _HEAD.format(f"charts/{chart}, k8s/base/values-{folder}.yaml") + text


@functools.cache
def rendered(folder: str) -> str:
    """What Helm prints."""
    chart, release = RENDERED[folder]
    command = ["helm", "template", release, f"charts/{chart}", "--skip-tests"]
    command += ["-f", f"k8s/base/values-{folder}.yaml", "--kube-version", KUBE_VERSION]
    if folder == "system":
        command += ["--namespace", "sluice-system"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    metadata = item["metadata"]
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k not in _OF_HELM}
    annotations = metadata.get("annotations", {})
    annotations = {k: v for k, v in annotations.items() if not k.startswith("helm.sh/")}
    kept = {k: v for k, v in metadata.items() if k not in ("labels", "annotations")}
    if metadata.get("namespace") == "default":
        del kept["namespace"]  # the overlay says it
    if labels:
        kept["labels"] = labels
    if annotations:
        kept["annotations"] = annotations
    return {**item, "metadata": kept}
