"""Locust's own web UI, with the verdict of this moment."""

import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from loadtests.run import ROOT, _free_port
from tests.loadtests.conftest import Serve

PLAIN = Path(__file__).parent / "plain.py"
DEADLINE_S = 60.0


def asked(url: str, data: bytes | None = None) -> str:
    with urllib.request.urlopen(url, data=data, timeout=10) as answer:  # noqa: S310  # loopback
        return str(answer.read().decode())


def until(url: str, wanted: str) -> str:
    end, text = time.monotonic() + DEADLINE_S, ""
    while time.monotonic() < end:
        try:
            text = asked(url)
        except OSError as error:
            text = str(error)
        if wanted in text:
            return text
        time.sleep(0.2)
    raise AssertionError(f"{wanted!r} never came: {text}")


@pytest.mark.slow
def test_users_are_a_rate_and_the_verdict_is_live(serve: Serve, tmp_path: Path) -> None:
    port = _free_port()
    base = f"http://127.0.0.1:{port}"
    words = ["-f", str(PLAIN), "-H", serve(), "--web-port", str(port), "--web-host", "127.0.0.1"]
    words += ["--threshold", "rate<0.2", "--late-ms", "2000"]
    with ExitStack() as stack:
        locust = subprocess.Popen(
            [sys.executable, "-m", "locust", *words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(lambda: (locust.terminate(), locust.wait(timeout=20)))
        until(f"{base}/verdict", "nothing can be said")
        form = urllib.parse.urlencode({"user_count": 20, "spawn_rate": 20}).encode()
        assert json.loads(asked(f"{base}/swarm", form))["success"]
        page = until(f"{base}/verdict", "of ")
        assert "rate&lt;0.2" in page
        verdict = json.loads(asked(f"{base}/verdict.json"))
        assert verdict["objectives"][0]["requests"] > 0
