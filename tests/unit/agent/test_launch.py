import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog
from pydantic import SecretStr, ValidationError

from sluice.agent.__main__ import EXIT_FAILED, EXIT_USAGE, main, read_settings
from sluice.agent.launch import agent_env, check_port_free, envoy_argv, write_files
from sluice.agent.service import open_socket
from sluice.agent.settings import Settings
from sluice.errors import StateError

TOKEN = SecretStr("t")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_files_are_there_before_envoy_starts(tmp_path: Path) -> None:
    settings = Settings(config_dir=tmp_path, token=TOKEN, port=1)
    write_files(settings)
    layout = settings.layout
    assert all(path.exists() for path in (layout.bootstrap, layout.clusters, layout.routes))
    assert str(layout.bootstrap) in envoy_argv(settings)
    bootstrap = orjson.loads(layout.bootstrap.read_bytes())
    assert bootstrap["admin"]["address"]["pipe"]["mode"] == 0o600


def test_files_that_a_running_envoy_reads_stay(tmp_path: Path) -> None:
    settings = Settings(config_dir=tmp_path, token=TOKEN, port=1)
    write_files(settings)
    settings.layout.routes.write_text("mine")
    write_files(settings)
    assert settings.layout.routes.read_text() == "mine"


def test_the_environment_of_an_agent_makes_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(config_dir=tmp_path, token=TOKEN, uds=tmp_path / "a.sock", linger_s=3)
    for name, value in agent_env(settings, {}).items():
        monkeypatch.setenv(name, value)
    assert read_settings([]) == settings


def test_every_setting_says_what_it_means() -> None:
    assert all(info.description for info in Settings.model_fields.values())


def test_arguments_go_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ROUTER_TOKEN", "t")
    monkeypatch.setenv("SLUICE_ROUTER_PORT", "1")
    settings = read_settings(["--config-dir", str(tmp_path), "--port", "2"])
    assert settings.port == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "set one of port and uds", id="no-way-in"),
        pytest.param({"port": 1, "uds": "x"}, "set one of port and uds", id="two-ways-in"),
        pytest.param({"port": 70_000}, "65535", id="no-port"),
        pytest.param({"port": 1, "config_dir": "/" + "x" * 120}, "too long", id="long-path"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    values: dict[str, object] = {"config_dir": tmp_path, "token": "t"} | changes
    with pytest.raises(ValidationError, match=reason):
        Settings(**values)  # type: ignore[arg-type]  # wrong on purpose


def test_an_agent_without_a_token_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config-dir", str(tmp_path), "--port", "1"]) == EXIT_USAGE
    assert "SLUICE_ROUTER_TOKEN" in capsys.readouterr().err


def test_a_taken_port_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_ROUTER_TOKEN", "t")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["--config-dir", str(tmp_path), "--port", str(port)]) == EXIT_FAILED
        settings = Settings(config_dir=tmp_path, token=TOKEN, port=1, traffic_port=port)
        with pytest.raises(StateError, match=f"{port}.*in use"):
            check_port_free(settings)
    error = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in error
    assert "in use" in error
    check_port_free(settings)


def test_the_agents_unix_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run" / "agent.sock"
    with open_socket(Settings(config_dir=tmp_path, token=TOKEN, uds=path)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    # A socket that an agent left behind is no obstacle.
    open_socket(Settings(config_dir=tmp_path, token=TOKEN, uds=path)).close()
