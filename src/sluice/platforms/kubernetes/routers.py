"""The router pods: where their agents listen, and which of them take requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.connections import AgentAddress
from sluice.errors import TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import POD
from sluice.platforms.kubernetes.pods import is_leaving, why_not_ready

Object = Mapping[str, Any]
SELECTOR = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=router"
AGENT_CONTAINER = "agent"
AGENT_PORT = 9901
TRAFFIC_PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPod:
    """A router that takes requests."""

    name: str
    uid: str
    address: str
    node: str


class RouterPods:
    """Follows the router pods of the system namespace.

    Args:
        client: The API server.
        namespace: Where the routers are.
        selector: Labels of router pods.
        agent_port: Where agents listen.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        selector: str = SELECTOR,
        agent_port: int = AGENT_PORT,
    ) -> None:
        self._watched = client.watch(POD, namespace, labels=selector)
        self._agent_port = agent_port

    async def start(self, timeout_s: float = 30.0) -> None:
        """Return once they are known.

        Raises:
            RefusedError: they could not be listed in time; says why.
        """
        await self._watched.start().wait_synced(timeout_s)

    async def stop(self) -> None:
        """Follow no more."""
        await self._watched.stop()

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._watched.version

    async def wait_change(self, seen: int) -> int:
        """Return ``version`` as soon as it is another than ``seen``."""
        return await self._watched.wait_change(seen)

    def agents(self) -> Sequence[AgentAddress]:
        """Agents that can be spoken to: their container runs, and the pod was not told to go.

        Raises:
            TransientError: the pods were never listed: no router seen is not no router.
        """
        self._require()
        return [
            AgentAddress(name=_name(pod), url=f"http://{_host(pod)}:{self._agent_port}")
            for pod in self._pods()
            if not _unreachable(pod)
        ]

    def ready(self) -> Sequence[RouterPod]:
        """Routers that take requests, by name.

        Raises:
            TransientError: the pods were never listed.
        """
        self._require()
        return [
            RouterPod(
                name=_name(pod),
                uid=str(pod["metadata"].get("uid", "")),
                address=str(pod["status"]["podIP"]),
                node=str(pod["spec"].get("nodeName", "")),
            )
            for pod in self._pods()
            if not is_leaving(pod) and _ready(pod) and pod["status"].get("podIP")
        ]

    def unreachable(self) -> Sequence[str]:
        """Router pods that are there and cannot be spoken to, one line each."""
        lines = [
            f"router {_name(pod)}: {reason}"
            for pod in self._pods()
            if not is_leaving(pod) and (reason := _unreachable(pod))
        ]
        return lines if self._watched.synced else ["router pods are not listed yet"]

    def _pods(self) -> Sequence[Object]:
        return [pod for _, pod in sorted(self._watched.objects().items())]

    def _require(self) -> None:
        if not self._watched.synced:
            reason = self._watched.problem or "no answer yet"
            raise TransientError(f"router pods are not listed yet: {reason}")


def _unreachable(pod: Object) -> str:
    """Why its agent cannot be spoken to; empty when it can."""
    if is_leaving(pod):
        return "it was told to go"
    status = pod.get("status", {})
    if not status.get("podIP"):
        return why_not_ready(pod)
    for container in status.get("containerStatuses") or ():
        if container["name"] == AGENT_CONTAINER:
            running = "running" in (container.get("state") or {})
            return "" if running else why_not_ready(pod)
    return f"it has no running container {AGENT_CONTAINER!r}"


def _ready(pod: Object) -> bool:
    return any(
        item.get("type") == "Ready" and item.get("status") == "True"
        for item in pod.get("status", {}).get("conditions") or ()
    )


def _host(pod: Object) -> str:
    address = str(pod["status"]["podIP"])
    return f"[{address}]" if ":" in address else address


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])
