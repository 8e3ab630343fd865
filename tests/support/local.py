"""Workloads and waiting for tests with real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.local import LocalOptions, LocalPlatform, procfs
from sluice.platforms.local.records import read_records

MODEL = Path(__file__).with_name("model.py")
PYTHON = [sys.executable, "-I", "-S"]


def options(folder: Path, **changes: Any) -> LocalOptions:
    """Short waits, and port leases of the test's own."""
    quick = {
        "drain_grace_s": 0.05,
        "backoff_first_s": 0.02,
        "backoff_max_s": 0.1,
        "eager_probe_s": 0.03,
        "port_leases": folder / "ports",
    }
    return LocalOptions(**{**quick, **changes})


def workload(
    revision: str = "v1",
    *,
    release: str = "taxi",
    command: list[str] | None = None,
    env: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
    **container: Any,
) -> Workload:
    """One container that runs the model script, ready when ``/ready`` says so."""
    variables = {"VERSION": revision, **(env or {})}
    fields = {
        "name": "model",
        "command": command or [*PYTHON, str(MODEL)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        **container,
    }
    template = {"metadata": {}, "spec": {"containers": [fields], **(pod or {})}}
    return Workload(release=release, revision=RevisionId(revision), template=template)


async def one(platform: LocalPlatform, revision: str = "v1", release: str = "taxi") -> Replicas:
    """What is to be seen of a revision; an empty one when nothing is."""
    for item in await platform.observe(release):
        if item.revision == revision:
            return item
    return Replicas(revision=RevisionId(revision), desired=0, ready=())


async def until(
    platform: LocalPlatform, condition: Callable[[], Awaitable[bool]], *, seconds: float = 20.0
) -> None:
    """Wait for what will be so after some change of the platform."""
    async with asyncio.timeout(seconds):
        while True:
            seen = platform.version
            if await condition():
                return
            await platform.wait_change(seen)


async def until_ready(platform: LocalPlatform, count: int, revision: str = "v1") -> Replicas:
    """Wait until exactly so many replicas of a revision are ready."""

    async def so_many() -> bool:
        return len((await one(platform, revision)).ready) == count

    await until(platform, so_many)
    return await one(platform, revision)


async def until_gone(platform: LocalPlatform, release: str = "taxi") -> None:
    """Wait until a release has neither replicas nor wishes."""

    async def empty() -> bool:
        return not await platform.observe(release)

    await until(platform, empty)


def end_leftovers(folder: Path) -> None:
    """End what a failed test left running in a state folder."""
    for record in read_records(folder / "processes"):
        if record.boot == procfs.boot_id() and procfs.start_ticks(record.pid) == record.ticks:
            os.killpg(record.pid, signal.SIGKILL)


async def get(port: int, path: str = "/predict") -> dict[str, str]:
    """Status and headers of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return {"status": head[0].split(" ")[1], **headers}
