"""Many Releases made at once, with pods on a node that is none: a kubelet in a loop answers for it.

What a real pod needs of this machine would be measured otherwise, and not the controller.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sluice.errors import RefusedError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import NAMESPACE, NODE, POD, RELEASE

NODE_NAME = "sluice-bench-node"
SPACE = "sluice-bench-many"
LABEL = "sluice.dev/bench-node"
LOOK_S = 0.5
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """What became of the releases."""

    healthy_s: float
    """From the first to be made until the last is Healthy."""
    releases: int


async def many(releases: int) -> Many:
    """Make so many at once and wait until all serve.

    Raises:
        TimeoutError: some did not within ten minutes.
    """
    async with _client() as client, _node(client), _namespace(client):
        kubelet = asyncio.create_task(_kubelet(client))
        try:
            began = time.monotonic()
            await asyncio.gather(*(client.create(_release(number)) for number in range(releases)))
            await _until_none(partial(_waiting, client))
            return Many(healthy_s=time.monotonic() - began, releases=releases)
        finally:
            await _delete(client)
            kubelet.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kubelet


@asynccontextmanager
async def _client() -> AsyncIterator[KubeClient]:
    # The benchmark's own calls must not be what is slow.
    client = KubeClient.connect(qps=500)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _node(client: KubeClient) -> AsyncIterator[None]:
    taint = {"key": LABEL, "value": "yes", "effect": "NoSchedule"}
    node = NODE.new(NODE_NAME, spec={"taints": [taint]})
    node["metadata"]["labels"] = {LABEL: "yes"}
    await client.create(node)
    room = {"cpu": "64", "memory": "256Gi", "pods": "2000"}
    try:
        body = {"status": {"capacity": room, "allocatable": room, "conditions": [_condition()]}}
        await client.patch(NODE, NODE_NAME, None, body, subresource="status")
        yield
    finally:
        await client.delete(NODE, NODE_NAME, None)


@asynccontextmanager
async def _namespace(client: KubeClient) -> AsyncIterator[None]:
    await client.create(NAMESPACE.new(SPACE))
    try:
        yield
    finally:
        await client.delete(NAMESPACE, SPACE, None)


def _condition() -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "Ready", "status": "True", "reason": "Bench", "message": "answers for its pods",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    }  # fmt: skip


def _release(number: int) -> dict[str, Any]:
    container = {
        "name": "model",
        "image": "sluice/model-api:0.1.0",
        "ports": [{"name": "http", "containerPort": 8080}],
    }
    pod = {
        "nodeSelector": {LABEL: "yes"},
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        # Nobody is there to end them: the API server removes them at once.
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    spec = {
        "replicas": 1,
        "strategy": {"canary": {}},
        "template": {"metadata": {"labels": {"app": f"many-{number}"}}, "spec": pod},
    }
    return RELEASE.new(f"many-{number}", SPACE, spec=spec)


async def _waiting(client: KubeClient) -> Sequence[object]:
    found = await client.list(RELEASE, SPACE)
    return [item for item in found if item.get("status", {}).get("phase") != "Healthy"]


async def _delete(client: KubeClient) -> None:
    """The controller lets go of each before its namespace goes."""
    for item in await client.list(RELEASE, SPACE):
        await client.delete(RELEASE, item["metadata"]["name"], SPACE)
    await _until_none(partial(client.list, RELEASE, SPACE))


async def _until_none(look: Callable[[], Awaitable[Sequence[object]]]) -> None:
    """Ask until nothing is left.

    Raises:
        TimeoutError: something was, after ten minutes.
    """
    async with asyncio.timeout(LIMIT_S):
        while True:
            if not await look():
                return
            await asyncio.sleep(LOOK_S)


async def _kubelet(client: KubeClient) -> None:
    """Says of each pod of the node that it runs."""
    given = 0
    while True:
        for pod in await client.list(POD, SPACE):
            if pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending":
                given += 1
                body = _running(f"198.18.{128 + given // 250}.{1 + given % 250}")
                with contextlib.suppress(RefusedError):  # deleted meanwhile
                    await client.patch(
                        POD, pod["metadata"]["name"], SPACE, body, subresource="status"
                    )
        await asyncio.sleep(LOOK_S)


def _running(address: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
    container = {
        "name": "model", "ready": True, "started": True, "restartCount": 0, "image": "bench",
        "imageID": "bench", "state": {"running": {"startedAt": now}},
    }  # fmt: skip
    return {
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "startTime": now, "conditions": conditions, "containerStatuses": [container],
        }
    }  # fmt: skip
