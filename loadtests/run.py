"""One load test in processes of its own: checked first, run by locust, its counts read back."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.asked import seconds_of
from loadtests.profiles import Profile, load_profile
from sluice.analysis.loadrun import LoadRun
from sluice.errors import TransientError, UnknownRelease
from sluice.reports import document

HERE = Path(__file__).parent
ROOT = HERE.parent
PROBE_HEADER = "x-sluice-probe"
_PROBE_S = 5.0
_SPARE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be run."""

    url: str
    run_file: Path
    profile: str = "constant"
    rate: float | None = None
    length: str = ""
    locustfile: Path = HERE / "locustfile.py"
    processes: int = 1
    slo: Sequence[str] = ()
    thresholds: Sequence[str] = ()
    tags: Sequence[str] = ()
    late_ms: int = 10
    stop_early: bool = False
    max_in_flight: int = 1000
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of the locustfile, such as TRIPS."""

    def traffic(self) -> Profile:
        """The profile with its rate and length.

        Raises:
            SpecError: it cannot be used.
        """
        length = seconds_of(self.length) if self.length else None
        return load_profile(self.profile, rate=self.rate, duration_s=length)


def probe(url: str) -> None:
    """See that somebody answers.

    Raises:
        UnknownRelease: not an HTTP URL, or nobody answers there.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnknownRelease(f"{url} is not a URL such as http://127.0.0.1:8080")
    request = urllib.request.Request(url, headers={PROBE_HEADER: "1"})  # noqa: S310  # http above
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_S):  # noqa: S310  # likewise
            return
    except urllib.error.HTTPError:
        return  # an answer, whichever: what is right is known by the requests
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnknownRelease(f"no server answers at {url}: {reason}; start it first") from error


def run(asked: Asked) -> LoadRun:
    """Run a load test to its end.

    Raises:
        UnknownRelease: nobody answers at the URL.
        SpecError: the profile cannot be used.
        TransientError: locust did not write its counts; its output is in the message.
    """
    profile = asked.traffic()
    probe(asked.url)
    asked.run_file.parent.mkdir(parents=True, exist_ok=True)
    asked.run_file.unlink(missing_ok=True)
    with start(asked) as locust:
        try:
            output, _ = locust.communicate(timeout=profile.duration_s + _SPARE_S)
        except subprocess.TimeoutExpired as error:
            locust.terminate()
            raise TransientError(f"locust did not end: {error}") from error
        except KeyboardInterrupt:
            output, _ = locust.communicate(timeout=_SPARE_S)  # it heard the signal, too
    return read_back(asked.run_file, output)


def start(asked: Asked) -> "subprocess.Popen[str]":
    """Start locust; the caller waits for it."""
    words = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--skip-log-setup"]
    words += ["-f", str(asked.locustfile), "-H", asked.url.rstrip("/")]
    words += ["--traffic", asked.profile, "--run-file", str(asked.run_file)]
    words += ["--late-ms", str(asked.late_ms), "--max-in-flight", str(asked.max_in_flight)]
    words += ["--rate", str(asked.rate)] if asked.rate else []
    words += ["--length", asked.length] if asked.length else []
    if asked.processes > 1:
        port = str(_free_port())  # several load tests on one machine must not meet
        words += ["--processes", str(asked.processes)]
        words += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
        words += ["--master-port", port]
    words += ["--tags", *asked.tags] if asked.tags else []
    words += ["--stop-early"] if asked.stop_early else []
    for name in asked.slo:
        words += ["--slo", name]
    for text in asked.thresholds:
        words += ["--threshold", text]
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, **asked.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def read_back(path: Path, output: str) -> LoadRun:
    """The counts that locust wrote.

    Raises:
        TransientError: it wrote none.
    """
    try:
        return document.parse(LoadRun, path.read_bytes())
    except (OSError, ValueError) as error:
        last = "\n".join(output.strip().splitlines()[-5:])
        raise TransientError(f"locust ended without counts:\n{last}") from error
