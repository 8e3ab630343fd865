"""The shell: settings, logs, exit codes."""

import json
import logging

import pytest
import structlog

from sluice.errors import StateError
from sluice_controller import main as module
from sluice_controller.main import EXIT_FAILED, EXIT_USAGE, configure_logs, main


@pytest.fixture(autouse=True)
def _logs_as_before() -> object:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_a_missing_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLUICE_CONTROLLER_TOKEN", raising=False)
    assert main() == EXIT_USAGE
    assert "token" in capsys.readouterr().err


def test_no_cluster_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_: object) -> None:
        raise StateError("no kubeconfig leads to a cluster")

    monkeypatch.setenv("SLUICE_CONTROLLER_TOKEN", "t")
    monkeypatch.setattr(module, "run", run)
    assert main() == EXIT_FAILED
    assert capsys.readouterr().err == "sluice-controller: no kubeconfig leads to a cluster\n"


def test_logs_are_json_and_tracebacks_hold_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    token = "s3cret"  # noqa: S105  # what must not be logged
    try:
        raise OSError("connection refused")
    except OSError:
        structlog.get_logger().exception("watch.broken", length=len(token))
        logging.getLogger("kopf").exception("cannot list")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["watch.broken", "cannot list"]
    assert all("connection refused" in line for line in lines)
    assert token not in "".join(lines)
    structlog.get_logger().debug("not.logged")
    assert capsys.readouterr().err == ""
