"""A PostgreSQL of one's own for a test: in a temporary folder, on a unix socket only."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "Debian's package `postgresql` is not installed"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None: not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    return Path(on_path).parent if on_path else None


@contextmanager
def database(bin_folder: Path) -> Iterator[str]:
    """URL of an empty database; PostgreSQL refuses root, so root runs it as ``nobody``."""
    root = os.geteuid() == 0
    account = pwd.getpwnam("nobody") if root else None
    # Not pytest's own folders: a unix socket's path must be short, and nobody must get there.
    with tempfile.TemporaryDirectory(prefix="sluice-pg-") as name:
        folder = Path(name)
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)

        def run(*words: str) -> None:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                cwd=folder,
            )
            assert done.returncode == 0, done.stdout + done.stderr

        data = str(folder / "data")
        run(str(bin_folder / "initdb"), "-D", data, "-U", "sluice", "-A", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        log = str(folder / "log")
        run(str(bin_folder / "pg_ctl"), "-D", data, "-o", options, "-l", log, "-w", "start")
        try:
            yield f"postgresql://sluice@/postgres?host={folder}"
        finally:
            run(str(bin_folder / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
