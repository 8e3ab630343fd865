"""Starts the servers that are compared, and reads what they cost from ``/proc``."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / ".artifacts" / "bench"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PACKAGES: Mapping[str, Sequence[str]] = {
    "ours": ("./services/model_api", "starlette"),
    "mlserver": ("mlserver==1.7.1", "onnxruntime"),
    "kserve": ("kserve==0.21.0", "onnxruntime"),
}
"""What each environment holds; ours has what an image would have, no tool of development."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a server is started."""

    name: str
    environment: str
    command: Sequence[str]
    """``{python}``, ``{bin}``, ``{model}`` and ``{port}`` are filled in."""
    variables: Mapping[str, str]


OURS = {
    "MODEL_API_BUNDLE": "{bundle}",
    "MODEL_API_PORT": "{port}",
    "MODEL_API_DRAIN_DELAY_S": "0",
    "MODEL_API_PREDICTIONS_URL": "jsonl:{work}/predictions.jsonl",
}
RECIPES = (
    Recipe(
        name="bare",
        environment="ours",
        command=("{python}", str(HERE / "bare.py"), "{model}", "{port}"),
        variables={},
    ),
    Recipe(
        name="ours",
        environment="ours",
        command=("{python}", "-m", "sluice_model_api", "serve"),
        variables=OURS,
    ),
    Recipe(
        name="ours, FastAPI stack",
        environment="ours",
        command=("{python}", str(HERE / "peers" / "fastapi_stack.py")),
        variables=OURS,
    ),
    Recipe(
        name="mlserver",
        environment="mlserver",
        command=("{bin}/mlserver", "start", "{work}/mlserver-{port}"),
        variables={"PYTHONPATH": str(HERE / "peers")},
    ),
    Recipe(
        name="kserve",
        environment="kserve",
        command=("{python}", str(HERE / "peers" / "kserve_server.py"), "{model}", "{port}"),
        variables={},
    ),
)


def install(name: str) -> Path:
    """Make the environment of a server, unless it is there; returns its folder."""
    folder = WORK / name
    stamp = folder / ".installed"
    wanted = "\n".join(PACKAGES[name])
    if name != "ours" and stamp.exists() and stamp.read_text() == wanted:
        return folder
    uv = str(Path(sys.executable).parent / "uv")
    if not folder.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    fresh = ["--reinstall-package", "sluice-model-api"] if name == "ours" else []
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "-q",
            "--compile-bytecode",
            "--python",
            python,
            *fresh,
            *PACKAGES[name],
        ],
        check=True,
        cwd=ROOT,
    )
    stamp.write_text(wanted)
    return folder


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server, from start to stop."""

    def __init__(self, recipe: Recipe, model: Path, bundle: Path) -> None:
        self.name = recipe.name
        self.port = free_port()
        folder = WORK / recipe.environment
        words = {
            "python": str(folder / "bin" / "python"),
            "bin": str(folder / "bin"),
            "model": str(model),
            "bundle": str(bundle),
            "port": str(self.port),
            "work": str(WORK),
        }
        if recipe.name == "mlserver":
            _write_mlserver(WORK / f"mlserver-{self.port}", model, self.port)
        environment = {key: value.format(**words) for key, value in recipe.variables.items()}
        plain = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        started = time.monotonic()
        with (WORK / f"{recipe.name.replace(' ', '-')}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [word.format(**words) for word in recipe.command],
                env={**plain, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
                stdout=log,
                stderr=log,
            )
        self._wait_ready()
        self.ready_s = time.monotonic() - started
        self.ready_cpu_s = self.cpu_s()

    def _wait_ready(self) -> None:
        give_up = time.monotonic() + 180
        url = f"http://127.0.0.1:{self.port}/v2/health/ready"
        while time.monotonic() < give_up and self.process.poll() is None:
            with (
                suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(url, timeout=2),
            ):  # loopback
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.name} did not get ready: see {WORK}")

    def processes(self) -> list[int]:
        """The process and all its descendants."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu_s(self) -> float:
        """CPU time of the process tree so far, seconds."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS_PER_S

    def threads_cpu_s(self) -> float:
        """CPU time so far of the threads that live now, seconds, to the nanosecond.

        For differences over a few requests, where ticks of 10 ms are too coarse.
        """
        total = 0
        for pid in self.processes():
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with suppress(OSError):
                    total += int(path.read_text().split()[0])
        return total / 1e9

    def rss_mb(self) -> float:
        """Resident memory of the process tree, MB of 2²⁰ bytes as `ps` and `top` count."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        """End it and what it started."""
        everyone = self.processes()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            # MLServer does not end by SIGTERM in good time.
            for pid in everyone:
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self.process.wait()


def _write_mlserver(folder: Path, model: Path, port: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "parallel_workers": 0,
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "host": "127.0.0.1",
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    described = {
        "name": "bench",
        "implementation": "mlserver_runtime.OrtModel",
        "parameters": {"uri": str(model)},
    }
    (folder / "model-settings.json").write_text(json.dumps(described))
