"""A bundle that an init container brings into a pod, with the digest that was asked for or not."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.system import kubectl, wait_until

from sluice.kube.client import KubeClient

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SOURCE = ".artifacts/models/taxi-duration/2"
IMAGE = "sluice/model-api:0.1.0"
NAME = "fetched"


@pytest.fixture
def place(kube: KubeClient, namespace: str) -> Iterator[str]:
    helm = shutil.which("helm")
    assert helm, "helm is not installed: https://helm.sh"
    yield namespace
    subprocess.run([helm, "uninstall", NAME, "-n", namespace], capture_output=True, timeout=60)


def _digest() -> str:
    """Of the bundle in the image: what the program there says of it."""
    command = ["docker", "run", "--rm", "--entrypoint", "model-api", IMAGE]
    shown = subprocess.run(
        [*command, "bundle", "show", "--json", SOURCE],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return str(json.loads(shown.stdout)["digest"])


def _install(place: str, digest: str) -> None:
    values = {
        "replicas": 1,
        "image": {"repository": "sluice/model-api", "tag": "0.1.0"},
        "bundle": {
            "from": "fetch",
            "path": "/models/taxi-duration/2",
            "fetch": {
                "image": IMAGE,
                "command": ["model-api", "bundle", "copy", SOURCE, "/models", "--digest", digest],
            },
        },
    }
    subprocess.run(
        ["helm", "install", NAME, str(ROOT / "charts" / "model-api"), "-n", place, "-f", "-"],
        input=json.dumps(values), text=True, check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _pods(place: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(kubectl("-n", place, "get", "pods", "-o", "json"))[
        "items"
    ]
    return found


def test_a_bundle_with_the_digest_that_was_asked_for_is_served(place: str) -> None:
    _install(place, _digest())
    kubectl("-n", place, "wait", "--for=condition=Available", "deployment", "--all",
            "--timeout=180s", timeout_s=200)  # fmt: skip
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/v2/health/ready').status)"
    said = kubectl("-n", place, "exec", f"deployment/{NAME}", "--", "python", "-c", script)
    assert said.strip() == "200"


def test_a_bundle_with_another_digest_never_gets_to_the_server_and_says_so(place: str) -> None:
    wrong = "sha256:" + "0" * 64
    _install(place, wrong)

    def refused() -> bool:
        text = json.dumps([pod.get("status", {}) for pod in _pods(place)])
        return '"exitCode": 1' in text

    wait_until(refused, within_s=120, what="the init container to refuse it")
    pod = _pods(place)[0]["metadata"]
    assert isinstance(pod, dict)
    initial = kubectl("-n", place, "get", "pod", str(pod["name"]), "-o",
                      "jsonpath={.spec.initContainers[0].name}")  # fmt: skip
    said = kubectl("-n", place, "logs", str(pod["name"]), "-c", initial)
    assert wrong[:20] in said
