import socket
import threading
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake import FakeSupervisor

from sluice.cli import look
from sluice.cli.client import Client
from sluice.cli.exits import ExitCode
from sluice.errors import TransientError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["promot"], "Did you mean 'promote'", id="unknown-verb"),
        pytest.param(["status", "--wtch"], "--watch", id="unknown-option"),
        pytest.param(["deploy"], "Missing option '--file'", id="missing-option"),
        pytest.param(["status", "-o", "xml"], "'xml' is not one of", id="bad-choice"),
        pytest.param(["deploy", "-f", "x", "--timeout", "30"], "is not a duration", id="no-unit"),
        pytest.param(["deploy", "-f", "x", "--junit", "j.xml"], "--junit needs --wait", id="junit"),
        pytest.param(["explain", "--all", "--pass", "2"], "exclude each other", id="exclusive"),
        pytest.param(["up", "--port", "70000"], "less than or equal to 65535", id="port"),
    ],
)
def test_wrong_usage_ends_with_64_and_says_what_is_wrong(
    sluice: Run, words: list[str], said: str
) -> None:
    ran = sluice(*words)
    assert ran.code == ExitCode.USAGE
    assert ran.err.startswith("sluice: ")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_left_over_socket_of_a_dead_supervisor_says_how_to_start_again(
    sluice: Run, folder: Path
) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "supervisor.sock"))
    ran = sluice("status")
    assert ran.code == ExitCode.NOTHING_THERE
    assert "nothing answers" in ran.err
    assert "sluice up" in ran.err


def test_file_in_the_place_of_the_socket_is_named(sluice: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "supervisor.sock").write_text("")
    ran = sluice("status")
    assert ran.code == ExitCode.NOTHING_THERE
    assert "supervisor.sock" in ran.err


def test_answer_of_another_version_is_told_and_not_half_read(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    supervisor.garbage = True
    ran = sluice("status", "taxi")
    assert ran.code == ExitCode.NOT_MEASURED
    assert "cannot read" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closes"),
        pytest.param(b"hello\r\n\r\n", id="no-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", id="breaks-off"),
    ],
)
def test_supervisor_that_breaks_off_is_a_transient_error(folder: Path, answer: bytes) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "supervisor.sock"))
        listener.listen(1)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with Client(folder) as client, pytest.raises(TransientError, match="try again"):
            client.releases()
        thread.join()


def test_silent_supervisor_times_out_and_names_its_log(folder: Path) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "supervisor.sock"))
        listener.listen(1)
        with (
            Client(folder, timeout_s=0.05) as client,
            pytest.raises(TransientError, match=r"0\.05 s: see .*supervisor\.log"),
        ):
            client.releases()


def test_bug_of_ours_ends_in_one_line_and_not_in_a_code_that_means_aborted(
    sluice: Run, supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(look, "view", broken)
    ran = sluice("status")
    assert ran.code == ExitCode.NOT_MEASURED
    assert "a bug of sluice: ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("SLUICE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        sluice("status")
