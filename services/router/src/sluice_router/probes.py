"""Probes that the kubelet starts every few seconds: nothing but the standard library is imported.

A probe with the agent's settings would take 0.4 s of CPU each time, this one takes 0.03 s.
"""

import http.client
import os
import socket
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 3.0


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("router", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ready() -> str:
    """What the agent says is missing; empty: users may come."""
    uds = os.environ.get("SLUICE_ROUTER_UDS")
    if uds:
        return _fault(_Unix(Path(uds)), "/readyz", "the agent")
    port = os.environ.get("SLUICE_ROUTER_PORT", "")
    host = os.environ.get("SLUICE_ROUTER_HOST", "127.0.0.1")
    # 0.0.0.0 is where to listen, not where to ask.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # never bound here
    if not port.isdecimal():
        return "set SLUICE_ROUTER_PORT or SLUICE_ROUTER_UDS: where the agent listens"
    agent = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    return _fault(agent, "/readyz", "the agent")


def alive() -> str:
    """Why Envoy's main thread does not answer; empty: it does, draining or not."""
    folder = os.environ.get("SLUICE_ROUTER_CONFIG_DIR", "")
    return _fault(_Unix(Path(folder) / "run" / "admin.sock"), "/server_info", "Envoy")


def _fault(there: http.client.HTTPConnection, path: str, who: str) -> str:
    try:
        there.request("GET", path)
        answer = there.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{who} does not answer: {str(error) or type(error).__name__}"
    finally:
        there.close()
    return "" if answer.status == http.HTTPStatus.OK else f"{who}: {answer.status}: {text[:500]}"
