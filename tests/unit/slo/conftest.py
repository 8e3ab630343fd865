from pathlib import Path

import pytest
from tests.unit.cli.conftest import Ran, Run

from sluice.cli.main import run


@pytest.fixture
def sluice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command like a shell would and gives its code, stdout and stderr."""
    monkeypatch.setenv("SLUICE_DIR", str(tmp_path / "s"))
    monkeypatch.delenv("SLUICE_DEBUG", raising=False)

    def call(*words: str) -> Ran:
        code = run(words)
        caught = capsys.readouterr()
        return Ran(int(code), caught.out, caught.err)

    return call
