from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.cli.fake import FakeSupervisor, Stage
from tests.unit.reports.samples import NOW, RUNNING

from sluice.cli import output
from sluice.cli.main import run


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


@pytest.fixture
def sluice(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command like a shell would and gives its code, stdout and stderr."""

    def call(*words: str) -> Ran:
        code = run(words)
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
