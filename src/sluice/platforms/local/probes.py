"""Asks a replica whether it is well, as the kubelet does; an answer is "" or what is wrong."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from sluice.platforms.local.process_spec import Exec, HttpGet, Probe, TcpSocket

_STATUS_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a replica is, and what its own commands run in."""

    host: str
    ports: Mapping[str, int]
    env: Mapping[str, str]
    workdir: Path


async def ask(question: HttpGet | TcpSocket | Exec, target: Target, *, timeout_s: float) -> str:
    """Ask once.

    Returns:
        Empty when all is well; otherwise what was asked and what came back, in one line.
    """
    what = _describe(question, target)
    try:
        async with asyncio.timeout(timeout_s):
            match question:
                case HttpGet():
                    fault = await _http(question, target)
                case TcpSocket():
                    fault = await _tcp(question.host or target.host, target.ports[question.port])
                case Exec():
                    fault = await _exec(question, target)
                case _:
                    assert_never(question)
    except TimeoutError:
        fault = f"no answer in {timeout_s:g} s"
    except ConnectionRefusedError:
        fault = "nothing listens there (the process must listen on $PORT)"
    except OSError as error:
        fault = error.strerror or str(error)
    return f"{what}: {fault}" if fault else ""


class Judge:
    """Turns answers into well or unwell: so many in a row change the mind."""

    def __init__(self, probe: Probe, *, well: bool = False) -> None:
        self.well = well
        self._probe = probe
        self._streak = 0

    def hear(self, *, good: bool) -> bool:
        """Whether the mind changed with this answer."""
        if good == self.well:
            self._streak = 0
            return False
        self._streak += 1
        needed = self._probe.success_threshold if good else self._probe.failure_threshold
        if self._streak < needed:
            return False
        self.well, self._streak = good, 0
        return True


def _describe(question: HttpGet | TcpSocket | Exec, target: Target) -> str:
    match question:
        case HttpGet():
            scheme = "https" if question.https else "http"
            host = question.host or target.host
            return f"GET {scheme}://{host}:{target.ports[question.port]}{question.path}"
        case TcpSocket():
            return f"connect to {question.host or target.host}:{target.ports[question.port]}"
        case Exec():
            return f"run {' '.join(question.argv)}"
        case _:
            assert_never(question)


async def _http(question: HttpGet, target: Target) -> str:
    host, port = question.host or target.host, target.ports[question.port]
    reader, writer = await asyncio.open_connection(
        host, port, ssl=_unverified() if question.https else None, limit=_STATUS_LINE_BYTES
    )
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "sluice-probe", "Accept": "*/*"}
        headers.update(question.headers)
        lines = [f"GET {question.path} HTTP/1.1", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        status = await reader.readline()
    except ValueError:  # a first line beyond the limit
        return "the answer is not HTTP"
    finally:
        # Aborted, not closed: nothing more is of interest, and a hanging peer must not hold us.
        writer.transport.abort()
    words = status.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return "the answer is not HTTP" if status else "closed the connection without an answer"
    code = int(words[1])
    return "" if 200 <= code < 400 else f"answered {code}"


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _tcp(host: str, port: int) -> str:
    _, writer = await asyncio.open_connection(host, port)
    writer.transport.abort()
    return ""


async def _exec(question: Exec, target: Target) -> str:
    process = await asyncio.create_subprocess_exec(
        *question.argv,
        env=dict(target.env),
        cwd=target.workdir,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return "" if status == 0 else f"exited with status {status}"
