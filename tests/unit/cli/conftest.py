from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.cli.fake import FakeSupervisor, Stage
from tests.unit.cli.fake_cluster import NAMESPACE, FakeCluster
from tests.unit.cli.keepers import InCluster, Keeper, OnLaptop
from tests.unit.reports.samples import NOW, RUNNING

from sluice.cli import output
from sluice.cli.main import run
from sluice.cli.program import PLUGIN, SLUICE
from sluice.kube.client import KubeClient


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _fixed_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "now_ms", lambda: NOW)
    monkeypatch.delenv("SLUICE_DEBUG", raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state = tmp_path / "s"
    monkeypatch.setenv("SLUICE_DIR", str(state))
    return state


class Place:
    """Where commands of a test act."""

    program = SLUICE


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def sluice(folder: Path, capsys: pytest.CaptureFixture[str], place: Place) -> Run:
    """Runs a command like a shell would and gives its code, stdout and stderr."""

    def call(*words: str) -> Ran:
        code = run(words, place.program)
        caught = capsys.readouterr()
        return Ran(int(code), caught.out, caught.err)

    return call


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    yield stage
    stage.close()


@pytest.fixture
def supervisor(folder: Path, stage: Stage) -> FakeSupervisor:
    fake = FakeSupervisor(folder=folder, releases={"taxi": RUNNING})
    stage.show(fake)
    return fake


@pytest.fixture
def cluster(place: Place, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A cluster with one release, which every command of the test acts on."""
    fake = FakeCluster()
    fake.put(RUNNING)
    place.program = PLUGIN

    def connect(*, context: str | None = None) -> KubeClient:
        return fake.api.client(namespace=NAMESPACE)

    monkeypatch.setattr(KubeClient, "connect", connect)
    return fake


@pytest.fixture(params=["laptop", "cluster"])
def keeper(request: pytest.FixtureRequest) -> Keeper:
    """One release, on a laptop and in a cluster."""
    if request.param == "laptop":
        return OnLaptop(request.getfixturevalue("supervisor"))
    kept = InCluster(request.getfixturevalue("cluster"))
    kept.keep(RUNNING)
    return kept
