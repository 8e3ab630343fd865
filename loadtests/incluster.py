"""Master or worker of a load test in a cluster: ``python -m loadtests.incluster master``.

Settings are environment variables, files lie in one folder (a ConfigMap). The master prints the raw
counts at the end, packed between two marks, because nothing can be copied out of a pod that has
ended; ``loadtests.cluster`` reads them there.
"""

import base64
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.run import HERE, ROOT
from sluice.analysis.loadrun import LoadRun
from sluice.errors import TransientError
from sluice.reports import document

FILES = Path("/etc/loadtest")
BEGIN, END = "-----BEGIN SLUICE LOAD RUN-----", "-----END SLUICE LOAD RUN-----"
RUN_FILE = Path("/tmp/sluice-load-run.json")  # noqa: S108  # the pod's own volume
PORT = 5557
_WIDTH = 1_000
_WAIT_S = 120
USAGE = 64


def words_of(
    role: str, env: Mapping[str, str], files: Path = FILES, run_file: Path = RUN_FILE
) -> list[str]:
    """The command line of locust for this role.

    Args:
        role: ``master`` or ``worker``.
        env: TARGET, WORKERS, RATE, LENGTH, LATE_MS, TAGS, STOP_EARLY, MASTER.
        files: Where profile.yaml, slo.yaml and locustfile.py are.
        run_file: Where the master writes the counts.
    """
    own = files / "locustfile.py"
    words = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
    words += ["-f", str(own if own.exists() else HERE / "locustfile.py")]
    words += ["-H", env["TARGET"].rstrip("/"), "--traffic", str(files / "profile.yaml")]
    words += ["--late-ms", env.get("LATE_MS") or "10"]
    words += ["--max-in-flight", env.get("MAX_IN_FLIGHT") or "1000"]
    for option, name in (("--rate", "RATE"), ("--length", "LENGTH")):
        words += [option, env[name]] if env.get(name) else []
    words += ["--tags", *env["TAGS"].split()] if env.get("TAGS") else []
    if role == "worker":
        return [*words, "--worker", "--master-host", env["MASTER"], "--master-port", _port(env)]
    words += ["--master", "--master-bind-port", _port(env), "--run-file", str(run_file)]
    words += ["--expect-workers", env["WORKERS"], "--expect-workers-max-wait", str(_WAIT_S)]
    slo = files / "slo.yaml"
    if slo.exists() and env.get("STOP_EARLY") == "1":
        words += ["--slo", str(slo), "--stop-early"]
    return words


def _port(env: Mapping[str, str]) -> str:
    return env.get("MASTER_PORT") or str(PORT)


def packed(counts: bytes) -> str:
    """Counts as lines of text between the two marks."""
    text = base64.b64encode(zlib.compress(counts, 9)).decode()
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def unpacked(log: str) -> LoadRun:
    """The counts in a master's log.

    Raises:
        TransientError: there are none, or not all of them; the end of the log is in the message.
    """
    lines = log.splitlines()
    try:
        begin, end = lines.index(BEGIN), lines.index(END)
        counts = zlib.decompress(base64.b64decode("".join(lines[begin + 1 : end])))
        return document.parse(LoadRun, counts)
    except ValueError as error:
        last = "\n".join(lines[-8:])
        raise TransientError(f"the master printed no counts:\n{last}") from error
    except zlib.error as error:
        raise TransientError(f"the counts in the master's log are broken: {error}") from error


def reachable(host: str, port: int, *, within_s: float) -> bool:
    """Whether somebody listens there, or does so in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            with socket.create_connection((host, port), timeout=2.0):
                return True
        except OSError:
            time.sleep(0.5)
    return False


def main(arguments: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Run; the master ends with 0 when it printed counts: what they say is judged outside."""
    if len(arguments) != 1 or arguments[0] not in ("master", "worker"):
        sys.stderr.write("loadtest: say master or worker\n")
        return USAGE
    (role,) = arguments
    needed = ("TARGET", "WORKERS") if role == "master" else ("TARGET", "MASTER")
    missing = [name for name in needed if not env.get(name)]
    if missing:
        sys.stderr.write(f"loadtest: {', '.join(missing)} is not set in loadtest-settings\n")
        return USAGE
    if role == "worker" and not reachable(env["MASTER"], int(_port(env)), within_s=_WAIT_S):
        sys.stderr.write(f"loadtest: no master listens at {env['MASTER']}:{_port(env)}\n")
        return 1
    code = subprocess.call(words_of(role, env), cwd=ROOT)
    if role == "worker":
        return code
    if not RUN_FILE.exists():
        sys.stderr.write(f"loadtest: locust ended with {code} and without counts\n")
        return code or 1
    sys.stdout.write(packed(RUN_FILE.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
