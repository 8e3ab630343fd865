"""A laptop for tests: one state folder, the real ``sluice`` command, real load, and what to kill.

Nothing is simulated: the supervisor, Envoy, its agent and the replicas are processes, and load
comes from a process of its own. Leaving the context ends all of them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sluice.cli.client import Client
from sluice.errors import SluiceError, TransientError, UnknownRelease
from sluice.platforms.local import procfs
from sluice.platforms.local.records import ProcessRecord, read_records
from sluice.reports.model import Decision, ReleaseStatus
from sluice.testing.traffic.report import Report

COMMAND_S = 180.0
"""Longest run of one command, seconds: generous, because test machines are shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Load:
    """Open-model load from a process of its own, until it is stopped or over."""

    def __init__(self, url: str, *arguments: str) -> None:
        """Begin; returns when the first request may be sent."""
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-load-")
        home = Path(self._folder.name)
        self._json, self._said = home / "report.json", home / "progress"
        self._faults = home / "faults"
        command = [sys.executable, "-m", "sluice.testing.traffic", "--url", url, *arguments]
        with self._said.open("wb") as out, self._faults.open("wb") as err:
            self._process = subprocess.Popen(
                [*command, "--json", str(self._json)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        wait_until(lambda: bool(self._lines()) or self._ended(), within_s=60, what="load to begin")

    @property
    def sent(self) -> int:
        """Requests so far."""
        return int(self._progress("sent"))

    @property
    def elapsed_s(self) -> float:
        """Since its begin, as of its last word: half a second old at most."""
        return self._progress("elapsed_s")

    def finish(self, *, stop: bool = True) -> Report:
        """End (or, with ``stop=False``, wait for the end of) the load; what became of it.

        Raises:
            RuntimeError: it ended with a fault.
        """
        if stop and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(COMMAND_S)
        said = self._faults.read_text(encoding="utf-8", errors="replace").strip()
        if self._process.returncode != 0:
            raise RuntimeError(f"load ended with status {self._process.returncode}: {said}")
        report = Report.from_json(json.loads(self._json.read_text(encoding="utf-8")))
        self._folder.cleanup()
        return report

    def _progress(self, name: str) -> float:
        return float(json.loads(self._lines()[-1])[name])

    def _lines(self) -> list[bytes]:
        return self._said.read_bytes().split(b"\n")[:-1]

    def _ended(self) -> bool:
        return self._process.poll() is not None


class Laptop:
    """One state folder with everything that runs in it.

    Args:
        folder: Holds the documents, and ``.sluice`` with the state.
        port: Where users connect; None: a free one.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.state = folder / ".sluice"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    # --- commands ---

    def sluice(self, *words: str, timeout_s: float = COMMAND_S) -> Ran:
        """Run the command as a person would, in the folder; never raises for its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "sluice.cli", *words],
            cwd=self.folder,
            env={**os.environ, "SLUICE_DIR": str(self.state), "COLUMNS": "120", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def must(self, *words: str) -> str:
        """Run a command that works; its output.

        Raises:
            AssertionError: it did not, with what it said.
        """
        ran = self.sluice(*words)
        if ran.code != 0:
            raise AssertionError(f"sluice {' '.join(words)}: {ran.code}\n{ran.out}\n{ran.err}")
        return ran.out

    def up(self) -> None:
        """Start or adopt everything."""
        self.must("up", "--port", str(self.port), "--timeout", "120s")

    # --- looking ---

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The supervisor's API, as the command uses it."""
        with Client(self.state, timeout_s=30.0) as client:
            yield client

    def status(self, release: str) -> ReleaseStatus | None:
        """Of one release; None while there is none, or no supervisor."""
        try:
            with self.client() as client:
                return client.release(release)
        except (UnknownRelease, TransientError):
            return None

    def history(self, release: str) -> tuple[Decision, ...]:
        """Every decision, oldest first."""
        with self.client() as client:
            return client.history(release)

    def journal(self, release: str) -> list[dict[str, Any]]:
        """Every line that the journal kept, from its files, oldest first."""
        path = self.state / "releases" / f"{release}.jsonl"
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]

    # --- processes ---

    def processes(self) -> list[ProcessRecord]:
        """Every process on record that lives; the supervisor is none of them."""
        folder = self.state / "processes"
        if not folder.is_dir():
            return []
        return [
            item
            for item in read_records(folder)
            if procfs.start_ticks(item.pid) == item.ticks and item.boot == procfs.boot_id()
        ]

    def replicas(self, revision: str) -> list[ProcessRecord]:
        """Living replicas of a revision."""
        return [item for item in self.processes() if item.revision == revision]

    def daemon(self, name: str) -> ProcessRecord:
        """The living daemon of this name; ``envoy`` and ``agent``: those of the first router."""
        names = (name, f"{name}-a")
        return next(item for item in self.processes() if item.name in names)

    def supervisor(self) -> int | None:
        """Process id of the supervisor; None: there is none."""
        try:
            with self.client() as client:
                return int(client.health()["pid"])
        except (UnknownRelease, TransientError):
            return None

    def kill_supervisor(self) -> int:
        """End it with kill -9; returns when it is gone."""
        pid = self.supervisor()
        assert pid is not None, "no supervisor to kill"  # noqa: S101  # a story that makes no sense
        kill(pid)
        return pid

    def load(self, rate: float, *, path: str = "/predict", more: Sequence[str] = ()) -> Load:
        """Begin load on the router, ten minutes at most."""
        words = ("--rate", str(rate), "--duration", "600", *more)
        return Load(f"{self.url}{path}", *words)

    # --- the end ---

    def end(self) -> None:
        """Stop everything; what does not stop when it is asked is killed."""
        with suppress(SluiceError, OSError), self.client() as client:
            pid = int(client.health()["pid"])
            client.down(drain=True)
            with suppress(AssertionError):
                wait_until(lambda: not alive(pid), within_s=60, what="the supervisor to end")
            kill(pid)
        for record in self.processes():
            kill(record.pid)


def free_port() -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to ask has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid: int) -> None:
    """End one process with kill -9; returns when it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), within_s=20, what=f"process {pid} to end")


def wait_until(condition: Any, *, within_s: float, what: str) -> float:
    """Ask until the answer is true; how long it took, seconds.

    Raises:
        AssertionError: it never was.
    """
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > within_s:
            raise AssertionError(f"waited {within_s:g} s for {what}")
        time.sleep(0.05)
    return time.monotonic() - began_s
