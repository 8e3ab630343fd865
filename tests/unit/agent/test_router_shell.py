import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

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


@pytest.mark.usefixtures("environment")
def test_envoys_container_needs_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLUICE_ROUTER_TOKEN")
    assert main(["bootstrap"]) == 0
    assert orjson.loads(capsys.readouterr().out)["admin"]
    assert main(["agent"]) == EXIT_USAGE


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("command", "who"), [("ready", "the agent"), ("alive", "Envoy")])
def test_a_probe_of_what_is_not_there_says_who(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    who: str,
) -> None:
    monkeypatch.delenv("SLUICE_ROUTER_PORT")
    monkeypatch.setenv("SLUICE_ROUTER_UDS", str(tmp_path / "agent.sock"))
    assert main([command]) == 1
    assert f"{who} does not answer" in capsys.readouterr().err


def test_a_probe_without_an_address_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLUICE_ROUTER_PORT", raising=False)
    assert main(["ready"]) == 1
    assert "SLUICE_ROUTER_PORT" in capsys.readouterr().err


def test_probes_import_nothing_but_the_standard_library() -> None:
    script = (
        "import sys; from sluice_router.main import main; main(['alive']);"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('sluice', 'pydantic', 'httpx', 'orjson', 'structlog')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def started(environment: None, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the process became, instead of Envoy; it was started once."""
    found: list[list[str]] = []

    def become(path: str, argv: Sequence[str]) -> NoReturn:
        assert path == argv[0]
        found.append(list(argv))
        raise SystemExit

    monkeypatch.setattr("os.execv", become)
    with pytest.raises(SystemExit):
        main(["envoy"])
    return found


def test_envoy_is_started_again_without_our_imports(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice_router.main._run", lambda _: pytest.fail("the slow way"))
    monkeypatch.setenv("SLUICE_ROUTER_TOKEN", "another")
    with pytest.raises(SystemExit):
        main(["envoy"])
    first, second = started
    assert first == second
    assert "--disable-hot-restart" in second


@pytest.mark.parametrize("what", ["setting", "file", "memory"])
def test_what_has_changed_is_worked_out_anew(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    match what:
        case "setting":
            monkeypatch.setenv("SLUICE_ROUTER_CONCURRENCY", "2")
        case "file":
            (tmp_path / "xds" / "cds.json").unlink()
        case "memory":
            (tmp_path / "state" / "envoy.json").write_text("[]")
    asked: list[str] = []

    def run(given: argparse.Namespace) -> int:
        asked.append(given.command)
        return 0

    monkeypatch.setattr("sluice_router.main._run", run)
    assert main(["envoy"]) == 0
    assert asked == ["envoy"]
    assert len(started) == 1
