import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.errors import RefusedError, StateError
from sluice.platforms.local import StateFolder, holder
from sluice.platforms.local.folder import read_json, replace_file

NOBODY = 65_534


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that the process may enter and not write, root or not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        before = os.geteuid()
        if before == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(before)
            folder.chmod(0o755)


def test_only_this_user_can_enter_the_folder(tmp_path: Path) -> None:
    with StateFolder.claim(tmp_path / "a" / "state") as folder:
        for path in (folder.path, folder.processes, folder.workloads, folder.logs):
            assert path.stat().st_mode & 0o777 == 0o700


def test_a_second_supervisor_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    with StateFolder.claim(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(RefusedError, match=rf"another supervisor \(pid {os.getpid()}\)"):
            StateFolder.claim(tmp_path)
    assert holder(tmp_path) is None
    StateFolder.claim(tmp_path).release()


def test_nobody_holds_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert holder(tmp_path / "none") is None


def test_a_killed_supervisor_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from sluice.platforms.local import StateFolder;"
        "folder = StateFolder.claim(pathlib.Path(sys.argv[1])); print('held', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        assert holder(tmp_path) == owner.pid
        with pytest.raises(RefusedError, match=f"pid {owner.pid}"):
            StateFolder.claim(tmp_path)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        StateFolder.claim(tmp_path).release()


def test_a_folder_that_cannot_be_made_says_what_to_do(forbidden: Path) -> None:
    with pytest.raises(StateError, match=r"make the folder .*state: Permission denied; make"):
        StateFolder.claim(forbidden / "state")


def test_a_folder_that_cannot_be_written_says_what_to_do(forbidden: Path) -> None:
    with pytest.raises(StateError, match=r"write .*supervisor.lock: Permission denied; make"):
        StateFolder.claim(forbidden)


def test_a_file_in_the_way_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="a file stands where a folder is needed"):
        StateFolder.claim(tmp_path / "state" / "inner")


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    replace_file(path, '{"a": 1}', durable=True)
    (tmp_path / ".value.json.tmp").symlink_to("/dev/full")
    with pytest.raises(StateError, match="No space left on device; the disk is full"):
        replace_file(path, '{"a": 2}', durable=True)
    assert read_json(path) == {"a": 1}


def test_a_torn_file_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    assert read_json(path) is None
    path.write_text('{"a": ')
    assert read_json(path) is None
    path.write_text("[1]")
    assert read_json(path) is None
