"""``make images``, ``cluster`` and ``cluster-down`` with stand-ins for docker, kind and kubectl."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

TOOLS = ("bash", "sh", "sed", "grep", "git", "awk", "make")


class Machine:
    """A machine with only the tools that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = folder / "log"
        for name in TOOLS:
            (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")

    def has(self, name: str, script: str = "") -> None:
        path = self._folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.log}\n{script}\n')
        path.chmod(0o755)

    def make(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PATH": str(self._folder)}
        return subprocess.run(
            # the models are another target's business
            [str(self._folder / "make"), "-C", str(ROOT), "-o", "models", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def did(self, beginning: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(beginning)]


CLUSTER = 'if [ "$*" = "get clusters" ]; then echo sluice; fi'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_docker_it_says_what_to_install(machine: Machine) -> None:
    done = machine.make("images")
    assert done.returncode != 0
    assert "docker not found: install Docker" in done.stderr


def test_an_engine_that_is_not_running_is_said_so(machine: Machine) -> None:
    machine.has("docker", "exit 1")
    done = machine.make("images")
    assert done.returncode != 0
    assert "docker does not answer: start its engine" in done.stderr


def test_without_kind_a_cluster_says_what_to_install(machine: Machine) -> None:
    machine.has("docker")
    done = machine.make("cluster")
    assert done.returncode != 0
    assert "kind not found: install kind" in done.stderr


def test_images_are_built_and_loaded_under_one_tag(machine: Machine) -> None:
    machine.has("docker")
    machine.has("kind", CLUSTER)
    done = machine.make("images", "IMAGES=router model-api-taxi", "IMAGE_TAG=9.9.9")
    assert done.returncode == 0, done.stderr
    names = ["sluice/router:9.9.9", "sluice/model-api:9.9.9"]
    for name, line in zip(names, machine.did("docker build"), strict=True):
        assert f"-t {name} " in line
        assert "UV_VERSION=" in line
    assert machine.did("kind load") == [f"kind load docker-image --name sluice {' '.join(names)}"]


def test_a_build_that_fails_stops_it(machine: Machine) -> None:
    machine.has("docker", '[ "$1" != build ]')
    machine.has("kind", CLUSTER)
    assert machine.make("images", "IMAGES=router loadtest").returncode != 0
    assert len(machine.did("docker build")) == 1
    assert machine.did("kind load") == []


def test_without_a_cluster_images_are_built_and_it_says_what_to_do(machine: Machine) -> None:
    machine.has("docker")
    machine.has("kind")
    done = machine.make("images", "IMAGES=router")
    assert done.returncode == 0
    assert "no kind cluster sluice to load them into: 'make cluster' first" in done.stderr
    assert machine.did("kind load") == []


@pytest.mark.parametrize(("there", "made"), [(CLUSTER, 0), ("", 1)], ids=["there", "new"])
def test_a_cluster_is_made_once(machine: Machine, there: str, made: int) -> None:
    for name, script in (("docker", ""), ("kind", there), ("kubectl", "")):
        machine.has(name, script)
    done = machine.make("cluster", "KIND_CONFIG=some.yaml")
    assert done.returncode == 0, done.stderr
    lines = machine.did("kind create")
    assert len(lines) == made
    assert all("--name sluice --config some.yaml" in line for line in lines)
    (waited,) = machine.did("kubectl")
    assert "--for=condition=Ready node --all" in waited


@pytest.mark.parametrize(("there", "deleted"), [(CLUSTER, 1), ("", 0)], ids=["there", "none"])
def test_a_cluster_that_is_not_there_is_no_fault_to_delete(
    machine: Machine, there: str, deleted: int
) -> None:
    machine.has("kind", there)
    assert machine.make("cluster-down").returncode == 0
    assert len(machine.did("kind delete")) == deleted
