"""What controller and routers use while nothing is released, from the kernel's own counts."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.cluster.system import SYSTEM, kubectl, on_node

TICKS_S = 100.0
PAGE_MB = 4_096 / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One container over the window."""

    cores: float
    rss_mb: float


def idle(seconds: float) -> Mapping[str, Use]:
    """Every container of the system, by pod and container."""
    places = _containers()
    before = {name: _read(*place) for name, place in places.items()}
    began = time.monotonic()
    time.sleep(seconds)
    after = {name: _read(*place) for name, place in places.items()}
    gone_s = time.monotonic() - began
    return {
        name: Use(
            cores=(after[name][0] - before[name][0]) / TICKS_S / gone_s,
            rss_mb=after[name][1] * PAGE_MB,
        )
        for name in places
    }


def _containers() -> dict[str, tuple[str, str]]:
    pods = json.loads(kubectl("-n", SYSTEM, "get", "pods", "-o", "json"))["items"]
    return {
        f"{pod['metadata']['name']}/{item['name']}": (
            pod["spec"]["nodeName"],
            item["containerID"].rpartition("/")[2],
        )
        for pod in pods
        for item in pod["status"].get("containerStatuses", ())
        if "containerID" in item
    }


def _read(node: str, identity: str) -> tuple[int, int]:
    """(CPU ticks, resident pages) of all processes of a container."""
    script = (
        f"for p in $(grep -l {identity} /proc/[0-9]*/cgroup | cut -d/ -f3); do "
        "cat /proc/$p/stat; done"
    )
    ticks = pages = 0
    for line in on_node(node, script).splitlines():
        fields = line.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        pages += int(fields[21])
    return ticks, pages
