from pathlib import Path

import orjson
import pytest

from sluice.agent.__main__ import EXIT_USAGE
from sluice_router.main import main


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_ROUTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("SLUICE_ROUTER_TOKEN", "t")
    monkeypatch.setenv("SLUICE_ROUTER_PORT", "9901")
    monkeypatch.setenv("SLUICE_ROUTER_TRAFFIC_PORT", "8081")


@pytest.mark.usefixtures("environment")
def test_the_bootstrap_is_printed_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "bootstrap.json"
    assert main(["bootstrap"]) == 0
    assert main(["bootstrap", "--out", str(out)]) == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed == orjson.loads(out.read_bytes())
    (listener,) = printed["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["port_value"] == 8081


def test_missing_settings_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap"]) == EXIT_USAGE
    assert "config_dir" in capsys.readouterr().err
