"""A real PostgreSQL in a folder of its own, on a unix socket: nothing of the machine's is used."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MISSING = "PostgreSQL is not installed (Debian: apt-get install postgresql)"


def programs() -> Path | None:
    """Folder of ``initdb`` and ``pg_ctl``, of the newest version; ``None`` without them."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    path = shutil.which("initdb")
    return Path(path).parent if path else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start one, give its URL, and end it whatever happens."""
    folder = programs()
    assert folder is not None, MISSING
    # Short, because the path of a unix socket may have 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _user()
    if user:
        shutil.chown(root, user)

    def run(*command: str) -> None:
        # A log file instead of a pipe: the server would hold it open, and nobody would return.
        with (root / "out").open("ab") as out:
            done = subprocess.run(
                command, user=user, cwd=root, stdout=out, stderr=out, timeout=120, check=False
            )
        assert done.returncode == 0, (root / "out").read_text()

    data, control = str(root / "data"), str(folder / "pg_ctl")
    try:
        run(
            *(str(folder / "initdb"), "-D", data, "-U", "sluice", "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
        )
        options = f"-k {root} -c listen_addresses= -c fsync=off"
        run(control, "-D", data, "-w", "-t", "90", "-o", options, "start")
        yield f"postgresql://sluice@/postgres?host={root}"
    finally:
        if (root / "data" / "postmaster.pid").exists():
            with suppress(AssertionError):
                run(control, "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(root, ignore_errors=True)


def _user() -> str | None:
    """Whom it runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
