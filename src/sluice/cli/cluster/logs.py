"""What the pods of a release write, oldest first, and where to go on from."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

from sluice.errors import SpecError
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import POD

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
AT_ONCE = 8
MOST_LINES = 10_000
"""Of one pod between two questions while it is followed."""

Line = tuple[str, str, str]
"""(time, pod, text)."""


async def read_logs(
    kube: KubeClient,
    namespace: str,
    release: str,
    *,
    revision: str | None,
    tail: int,
    since: str | None,
) -> tuple[list[tuple[str, str]], str]:
    """Lines of all pods in the order of their times, and the cursor to go on from.

    Args:
        kube: The cluster.
        namespace: Of the release.
        release: Its name.
        revision: Only pods of this one; None: of all.
        tail: Newest lines of each pod that was not read before.
        since: Cursor of the answer before; None: this is the first.
    """
    labels = f"sluice.dev/release={release}"
    if revision is not None:
        labels += f",sluice.dev/revision={revision}"
    known: dict[str, str] = json.loads(since) if since else {}
    pods = await kube.list(POD, namespace, labels=labels)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(pod: Mapping[str, Any]) -> list[Line]:
        async with room:
            return await _of_pod(kube, namespace, pod, tail=tail, after=known)

    found = sorted(line for lines in await asyncio.gather(*map(one, pods)) for line in lines)
    known |= {name: at for at, name, _ in found}
    return [(name, text) for _, name, text in found], json.dumps(known)


async def _of_pod(
    kube: KubeClient,
    namespace: str,
    pod: Mapping[str, Any],
    *,
    tail: int,
    after: Mapping[str, str],
) -> list[Line]:
    name = str(pod["metadata"]["name"])
    last = after.get(name, "")
    try:
        text = await kube.logs(
            name,
            namespace,
            container=_container(pod),
            tail=MOST_LINES if last else tail,
            since_s=_seconds_since(last) if last else None,
            timestamps=True,
        )
    except (SpecError, NotThere):
        return []  # not started yet, or gone: the next question will tell
    lines = (line.partition(" ") for line in text.splitlines())
    return [(at, name, said) for at, _, said in lines if at > last]


def _container(pod: Mapping[str, Any]) -> str | None:
    chosen = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    containers = (pod.get("spec") or {}).get("containers") or ()
    return chosen or next((str(item["name"]) for item in containers), None)


def _seconds_since(moment: str) -> int:
    age = datetime.now(UTC) - datetime.fromisoformat(moment)
    return max(1, ceil(age.total_seconds()) + 1)
