"""Servers whose true answer times are known, as processes of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from loadtests.run import ROOT

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with the given words and gives its URL."""
    with ExitStack() as stack:

        def start(*words: str) -> str:
            command = [sys.executable, "-m", "tests.loadtests.server", *words]
            server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(_stop, server)
            assert server.stdout is not None
            return f"http://127.0.0.1:{server.stdout.readline().strip()}"

        yield start


def _stop(server: "subprocess.Popen[str]") -> None:
    server.terminate()
    server.wait(timeout=10)
    if server.stdout is not None:
        server.stdout.close()
