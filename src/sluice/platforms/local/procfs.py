"""What the kernel says of processes; Linux only."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
# A token of 32 hex digits in the environment tells our processes and all they start.
MARKER = "SLUICE_PROCESS"


@cache
def boot_id() -> str:
    """Changes with every boot: process ids and start times mean nothing across it."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When a living process began, clock ticks since boot; None for the dead and for zombies.

    With the pid and the boot id it names a process for ever: pids are used again, pairs are not.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    state, ticks = fields[0], int(fields[19])
    return None if state in ("Z", "X", "x") else ticks


def has_mark(pid: int, token: str) -> bool:
    """Whether a process has this token in its environment; False when it is gone or not ours."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARKER}={token}".encode() in environment.split(b"\0")


def marked(token: str) -> Iterator[int]:
    """Ids of the processes whose environment carries this token."""
    for entry in os.scandir(_PROC):
        if entry.name.isdecimal() and has_mark(int(entry.name), token):
            yield int(entry.name)
