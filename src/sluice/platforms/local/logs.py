"""Logs of processes: written by the processes themselves, kept short by the supervisor."""

import os
import shutil
from pathlib import Path

from sluice.platforms.local.folder import state_errors

_TAIL_BYTES = 8 << 10
_LINE_CHARS = 300


def log_size(path: Path) -> int:
    """Bytes in a log; 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def last_line(path: Path, *, since: int = 0) -> str:
    """Last line of a log that says anything, shortened to 300 characters.

    Args:
        path: The log; a missing one has no lines.
        since: Only what came after this many bytes, unless the log was cut since then.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = since if since <= size else 0
            file.seek(max(begin, size - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return ""
    lines = [line.strip() for line in tail.decode("utf-8", "replace").splitlines()]
    line = next((line for line in reversed(lines) if line), "")
    return line if len(line) <= _LINE_CHARS else line[: _LINE_CHARS - 1] + "…"


def cut_log(path: Path, max_bytes: int) -> bool:
    """Start a log anew once it is larger than ``max_bytes``; the old part stays as ``.1``.

    The process holds the file open and appends, so it is copied and emptied in place; lines that
    are written between the two are lost.

    Raises:
        StateError: the log cannot be read or written.
    """
    if log_size(path) <= max_bytes:
        return False
    with state_errors("rotate", path):
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)
    return True
