"""``up``, ``down``, ``version``: the supervisor of a state folder from the outside."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.backend import connect
from sluice.cli.client import Client
from sluice.cli.exits import TimeOut
from sluice.cli.options import OutputOption, seconds
from sluice.cli.output import Output, emit
from sluice.cli.where import Where, acting
from sluice.errors import RefusedError, SluiceError, StateError, TransientError, UnknownRelease

LOG = Path("logs") / "supervisor.log"
LOG_LINES = 15
"""Of the supervisor's log, when it did not start: enough for the cause, short enough to read."""
POLL_S = 0.1


@acting
def up(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", min=1, max=65_535, help="Port of the router.", show_default="8080"
        ),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Run here, with the log on this terminal.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="The longest wait for it to be ready.")
    ] = "60s",
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Start the router and the supervisor on this machine, and wait until they serve.

    Releases that were there before go on where they were.
    """
    _on_this_machine(where, "up", "`make cluster images install` makes a cluster that releases")
    folder = where.folder
    if sys.platform != "linux":
        raise RefusedError(
            "releases run on Linux only: the router has no build for this system. "
            "Run sluice in a Linux container instead"
        )
    timeout_s = seconds(timeout)
    running = _running(folder)
    if running is not None:
        _same_port(running, port, folder)
        _serves(running, output, f"already running in {folder}")
        return
    command = [sys.executable, "-m", "sluice.laptop", "--dir", str(folder)]
    if port is not None:
        command += ["--port", str(port)]
    if foreground:
        os.execv(command[0], command)  # noqa: S606  # signals and exit code are the supervisor's
    health = _start(command, folder, timeout_s)
    _serves(health, output, f"started in {folder}")


def _on_this_machine(where: Where, verb: str, instead: str) -> None:
    if where.cluster:
        raise RefusedError(
            f"{verb} starts and stops a supervisor on this machine; a cluster has none: {instead}"
        )


def _running(folder: Path) -> Mapping[str, Any] | None:
    try:
        with Client(folder) as client:
            return client.health()
    except UnknownRelease:
        return None


def _same_port(running: Mapping[str, Any], port: int | None, folder: Path) -> None:
    url = _url(running)
    if port is not None and not url.endswith(f":{port}"):
        raise RefusedError(
            f"{folder} already serves on {url}: `sluice down` first, or leave out --port"
        )


def _url(health: Mapping[str, Any]) -> str:
    router = health.get("router")
    return str(router.get("url", "")) if isinstance(router, Mapping) else ""


def _serves(health: Mapping[str, Any], output: Output, what: str) -> None:
    text = Text("sluice ")
    text.append(what, style="bold")
    text.append(f" (process {health.get('pid')})\n")
    text.append("requests go to  ")
    text.append(_url(health), style="bold cyan")
    text.append("\nnext            sluice deploy -f FILE, then sluice status --watch")
    emit(output, health, lambda _: text)


def _start(command: list[str], folder: Path, timeout_s: float) -> Mapping[str, Any]:
    log = folder / LOG
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        begin = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be written: {error.strerror or error}; "
            "name another one with --dir"
        ) from error
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        health = _answer(folder)
        if health is not None:
            return health
        code = process.poll()
        if code is not None:
            raise UnknownRelease(
                f"the supervisor did not start (exit code {code}); "
                f"the end of {log}:\n{_tail(log, begin)}"
            )
        time.sleep(POLL_S)
    raise TimeOut(
        f"the supervisor (process {process.pid}) is not ready after {timeout_s:g} s and goes on "
        f"starting; the end of {log}:\n{_tail(log, begin)}"
    )


def _answer(folder: Path) -> Mapping[str, Any] | None:
    try:
        with Client(folder, timeout_s=2.0) as client:
            return client.health()
    except (UnknownRelease, TransientError):
        return None


def _tail(log: Path, begin: int) -> str:
    try:
        with log.open("rb") as lines:
            lines.seek(begin)
            text = lines.read()[-20_000:].decode(errors="replace")
    except OSError as error:
        return f"  ({error.strerror or error})"
    return "\n".join(f"  {line}" for line in text.splitlines()[-LOG_LINES:]) or "  (it is empty)"


@acting
def down(
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="The longest wait for the end.")
    ] = "60s",
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Stop everything that runs in the state folder, without losing a request.

    Releases are kept on disk: the next `sluice up` starts them again.
    """
    _on_this_machine(where, "down", "`make uninstall` takes Sluice out of it")
    folder = where.folder
    timeout_s = seconds(timeout)
    running = _running(folder)
    if running is None:
        emit(output, {"stopped": False}, lambda _: Text(f"nothing is running in {folder}"))
        return
    with Client(folder) as client:
        client.down()
    pid = int(running.get("pid") or 0)
    deadline = time.monotonic() + timeout_s
    while _alive(pid) or _answer(folder) is not None:
        if time.monotonic() >= deadline:
            raise TimeOut(
                f"process {pid} is still draining after {timeout_s:g} s; "
                f"it goes on: see {folder / LOG}"
            )
        time.sleep(POLL_S)
    emit(output, {"stopped": True}, lambda _: Text(f"stopped what ran in {folder}"))


def _alive(pid: int) -> bool:
    # a zombie has ended: it only waits for a parent that may be an old shell
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return fields.rpartition(")")[2].split()[0] != "Z"


@acting
def version(output: OutputOption = Output.TABLE, *, where: Where) -> None:
    """Print versions: of this command, of Python, and of what keeps the releases there."""
    mine = installed_version("sluice")
    about = {"sluice": mine, "python": platform.python_version()}
    lines = [f"sluice {mine} (Python {platform.python_version()})"]
    if where.cluster:
        with connect(where) as client:
            health = client.health()
        theirs, keeper = str(health["version"]), "controller"
        place = f"the cluster of context {health['context']}"
        repair = "`make install` brings the cluster to this version"
        about |= {"context": str(health["context"])}
    else:
        theirs, keeper = _version_here(where.folder), "supervisor"
        place = str(where.folder)
        repair = "`sluice down` and `sluice up` bring them together"
    nothing = "no controller runs" if where.cluster else "nothing runs"
    lines.append(f"{keeper} {theirs} in {place}" if theirs else f"{nothing} in {place}")
    if theirs and theirs != mine:
        lines.append(f"the two differ: {repair}")
    emit(output, {**about, keeper: theirs or None}, lambda _: Text("\n".join(lines)))


def _version_here(folder: Path) -> str:
    try:
        running = _running(folder)
    except SluiceError:
        return ""
    return str(running.get("version", "")) if running else ""
