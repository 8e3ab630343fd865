"""The images of ``make images``: what they say of themselves, and that they run locked down."""

import asyncio
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cluster.pods import TMP, available, image, kubectl, router, served_model

from sluice.kube.client import KubeClient
from sluice.kube.kinds import POD

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SIZES_MB = {"model-api": 420, "router": 440, "controller": 400, "loadtest": 400}
"""Most that each image may have with a base of 207 MB, MB."""
LOCKED = ("--read-only", "--user", "10001:10001", "--cap-drop", "ALL", "--tmpfs", TMP)


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def built(name: str) -> str:
    """The image's name; without it the test is skipped, or fails where it is required."""
    if shutil.which("docker") and docker("images", "-q", image(name)).strip():
        return image(name)
    said = f"{image(name)} is not built: make images"
    if os.environ.get("SLUICE_CLUSTER") == "required":
        pytest.fail(said)
    pytest.skip(said)


@contextmanager
def container(name: str, *options: str, words: tuple[str, ...] = ()) -> Iterator[str]:
    """A container with a read-only root and no rights."""
    found = f"sluice-test-{uuid.uuid4().hex[:8]}"
    docker("run", "-d", "--name", found, *LOCKED, *options, built(name), *words)
    try:
        yield found
    finally:
        docker("rm", "-f", found)


def until(found: str, *words: str, seconds: float = 60) -> str:
    """Run a command in a container until it ends well."""
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(
            ["docker", "exec", found, *words], capture_output=True, text=True, timeout=60
        )
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < end, f"{done.stderr}\n{docker('logs', found)}"
        time.sleep(0.2)


@pytest.mark.parametrize("name", SIZES_MB)
def test_an_image_says_what_it_is_and_runs_as_nobody(name: str) -> None:
    (found,) = json.loads(docker("image", "inspect", built(name)))
    config, labels = found["Config"], found["Config"]["Labels"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"][0] != "/bin/sh", "a shell would not pass signals on"
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert labels[f"{prefix}base.name"].startswith("python:3.11")
    assert labels[f"{prefix}version"]
    assert len(labels[f"{prefix}revision"]) == 40
    assert labels[f"{prefix}title"]
    assert found["Size"] / 1e6 < SIZES_MB[name]


def test_the_model_api_serves_both_versions_of_the_examples_locked_down() -> None:
    for version in ("1", "2"):
        bundle = f"MODEL_API_BUNDLE=.artifacts/models/taxi-duration/{version}"
        with container("model-api", "-e", bundle) as found:
            until(found, "model-api", "healthcheck")
            shown = until(found, "model-api", "bundle", "show", bundle.partition("=")[2], "--json")
            assert json.loads(shown)["manifest"]["version"] == version


def test_the_router_gets_ready_locked_down_and_drains() -> None:
    run = ("--tmpfs", "/run/sluice:uid=10001,gid=10001,mode=0700")
    with container("router", *run, "-e", "SLUICE_ROUTER_TOKEN=t", words=("envoy",)) as found:
        docker("exec", "-d", found, "sluice-router", "agent")
        until(found, "sluice-router", "ready")
        until(found, "sluice-router", "alive")
        until(found, "sluice-router", "drain", "--wait-s", "0", "--cap-s", "1")
        done = subprocess.run(["docker", "exec", found, "sluice-router", "ready"], timeout=30)
        assert done.returncode == 1


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("router", "sluice_router.main, sluice.agent.service, sluice.kube.http"),
        ("controller", "sluice_controller.main, sluice.kube.http"),
        ("loadtest", "loadtests.__main__, locust"),
        ("model-api", "sluice_model_api.serve, grpc, psycopg, onnxruntime"),
    ],
)
def test_what_was_left_out_of_an_image_is_not_needed(name: str, modules: str) -> None:
    docker("run", "--rm", *LOCKED, "--entrypoint", "python", built(name), "-c", f"import {modules}")


@pytest.mark.parametrize("name", SIZES_MB)
def test_an_image_has_no_trips_no_tests_and_no_bytecode_to_write(name: str) -> None:
    script = (
        "import pathlib, sys, sysconfig;"
        "packages = pathlib.Path(sysconfig.get_path('purelib'));"
        "print([str(p) for p in packages.rglob('tests') if p.is_dir()]);"
        "print([str(p) for p in pathlib.Path('/app').rglob('*.csv')]);"
        "ours = [p for p in packages.glob('sluice*/**/*.py')];"
        "print([str(p) for p in ours"
        " if not (p.parent / '__pycache__' / f'{p.stem}.cpython-311.pyc').exists()], len(ours) > 3)"
    )
    said = docker("run", "--rm", *LOCKED, "--entrypoint", "python", built(name), "-c", script)
    assert said.splitlines() == ["[]", "[]", "[] True"]


# --- in the cluster ------------------------------------------------------------------------------


def asked(namespace: str, count: int) -> list[str]:
    """Status and generation of requests sent from inside the router's pod."""
    script = (
        "import urllib.request\n"
        f"for _ in range({count}):\n"
        "    asked = urllib.request.Request('http://127.0.0.1:8080/v2/health/ready',"
        f" headers={{'Host': 'taxi.{namespace}'}})\n"
        "    with urllib.request.urlopen(asked, timeout=10) as answer:\n"
        "        print(answer.status, answer.headers['x-sluice-version'],"
        " answer.headers['x-sluice-generation'])\n"
    )
    words = ("-n", namespace, "exec", "router", "-c", "agent", "--", "python", "-c", script)
    return kubectl(*words).splitlines()


async def test_a_router_pod_serves_status_routing_and_follows_pods_without_a_controller(
    kube: KubeClient, namespace: str
) -> None:
    for name in ("router", "model-api"):
        built(name)
    if "releases.sluice.dev" not in kubectl("get", "crd", "-o", "name"):
        pytest.skip("Releases are not known to this cluster: make install")
    await served_model(kube, namespace)
    await kube.create(POD.new("router", namespace, spec=router(namespace)))
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/router", "--timeout=120s")
    # Endpoints that became ready after the router did are followed within a second or two.
    await _served(namespace)
    assert asked(namespace, 20) == ["200 v1 3"] * 20

    before = set(await _pods(kube, namespace))
    kubectl("-n", namespace, "delete", "pod", "-l", "sluice.dev/revision=v1", "--wait=true")
    available(namespace, "taxi-v1")
    await _served(namespace)
    assert asked(namespace, 20) == ["200 v1 3"] * 20
    assert not before & set(await _pods(kube, namespace))


async def _pods(kube: KubeClient, namespace: str) -> list[str]:
    found = await kube.list(POD, namespace, labels="sluice.dev/revision=v1")
    return [pod["metadata"]["name"] for pod in found]


async def _served(namespace: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            asked(namespace, 1)
        except AssertionError:
            assert time.monotonic() < end
            await asyncio.sleep(0.5)
        else:
            return
