"""The front door: ``http://NAME.NAMESPACE`` leads to the routers."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.errors import RefusedError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import ENDPOINT_SLICE, POD, SERVICE
from sluice.platforms.kubernetes.applying import Applier, Wanted
from sluice.platforms.kubernetes.extras import Describe, Owner
from sluice.platforms.kubernetes.followed import Followed
from sluice.platforms.kubernetes.names import (
    MANAGER,
    RELEASE_LABEL,
    REVISION_LABEL,
    labels_of,
    split,
)
from sluice.platforms.kubernetes.routers import TRAFFIC_PORT, RouterPod

Object = dict[str, Any]
FRONT_PORT = 80
PORT_NAME = "http"
SELECTOR = f"{RELEASE_LABEL},!{REVISION_LABEL}"


class FrontDoor:
    """Keeps Service ``NAME`` and EndpointSlice ``NAME-routers`` of every release.

    The Service has no selector: router pods live in another namespace, so the slice is ours.

    Args:
        client: The API server; one of its own, so that a hundred slices that change together with
            a router do not wait behind other calls.
        routers: Routers that take requests now.
        router_namespace: Where they are.
        describe: What the controller knows of a release.
        namespaces: Where releases are; empty: everywhere.
        traffic_port: Where routers take requests.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        routers: Callable[[], Sequence[RouterPod]],
        router_namespace: str,
        describe: Describe,
        namespaces: Sequence[str] = (),
        traffic_port: int = TRAFFIC_PORT,
    ) -> None:
        self._client = client
        self._routers = routers
        self._router_namespace = router_namespace
        self._describe = describe
        self._traffic_port = traffic_port
        self._applier = Applier(client)
        self._services, self._slices = (
            Followed(client, kind, namespaces=namespaces, labels=SELECTOR)
            for kind in (SERVICE, ENDPOINT_SLICE)
        )
        self._wanted: dict[str, _Door] = {}

    async def start(self, timeout_s: float = 30.0) -> None:
        """Return once what there is is known.

        Raises:
            RefusedError: it could not be listed in time; says why.
        """
        await self._services.start(timeout_s)
        await self._slices.start(timeout_s)

    async def stop(self) -> None:
        """Follow no more; what there is stays."""
        await self._services.stop()
        await self._slices.stop()

    async def keep(self, release: str) -> None:
        """Make both so; asks nobody when they are.

        Without a ready router the slice keeps the last ones: routers that are not ready for a
        moment all at once answer more requests than nobody does.

        Raises:
            TransientError: it could not be done now.
        """
        extras = self._describe(release)
        if extras is None:
            return
        namespace, name = split(release)
        service = self._services.get(namespace, name)
        there = self._slices.get(namespace, _slice_name(name))
        door = self._door(release, extras.owner)
        try:
            if service is None and not self._applier.holds(door.service, None):
                await self._refuse_foreign(namespace, name)
            await self._applier.ensure(door.service, service)
            if door.routers or there is None:
                await self._applier.ensure(door.slice, there)
        except RefusedError as error:
            raise TransientError(str(error), retry_after_s=5.0) from error

    async def remove(self, release: str) -> None:
        """Take both away.

        Raises:
            TransientError: it could not be done now.
        """
        namespace, name = split(release)
        self._wanted.pop(release, None)
        try:
            for kind, item in ((ENDPOINT_SLICE, _slice_name(name)), (SERVICE, name)):
                self._applier.forget((kind.resource, namespace, item))
                await self._client.delete(kind, item, namespace)
        except RefusedError as error:
            raise TransientError(str(error), retry_after_s=5.0) from error

    async def _refuse_foreign(self, namespace: str, name: str) -> None:
        """A Service with pods of its own would share its requests with the routers."""
        there = await self._client.get(SERVICE, name, namespace)
        if there is not None and RELEASE_LABEL not in (there["metadata"].get("labels") or {}):
            raise RefusedError(
                f"Service {namespace}/{name} is there and is not Sluice's: delete it, or give the"
                " Release another name; until then nobody reaches the release by its name"
            )

    def _door(self, release: str, owner: Owner) -> "_Door":
        routers = tuple(self._routers())
        door = self._wanted.get(release)
        if door is None or door.owner != owner or door.routers != routers:
            service = Wanted.of(self._service(release, owner))
            slice_ = Wanted.of(self._slice(release, owner, routers))
            door = _Door(owner=owner, routers=routers, service=service, slice=slice_)
            self._wanted[release] = door
        return door

    def _service(self, release: str, owner: Owner) -> Object:
        namespace, name = split(release)
        port = {
            "name": PORT_NAME,
            "port": FRONT_PORT,
            "targetPort": self._traffic_port,
            "protocol": "TCP",
        }
        obj = SERVICE.new(name, namespace, spec={"type": "ClusterIP", "ports": [port]})
        obj["metadata"] |= {
            "labels": labels_of(release),
            "ownerReferences": [owner.reference()],
        }
        return obj

    def _slice(self, release: str, owner: Owner, routers: Sequence[RouterPod]) -> Object:
        namespace, name = split(release)
        family = _family(routers)
        endpoints = [
            {
                "addresses": [router.address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": router.node,
                "targetRef": {
                    "kind": POD.kind,
                    "namespace": self._router_namespace,
                    "name": router.name,
                    "uid": router.uid,
                },
            }
            for router in sorted(routers, key=lambda item: item.name)
        ]
        obj = ENDPOINT_SLICE.new(
            _slice_name(name),
            namespace,
            addressType=family,
            endpoints=endpoints,
            ports=[{"name": PORT_NAME, "port": self._traffic_port, "protocol": "TCP"}],
        )
        obj["metadata"] |= {
            "labels": {
                **labels_of(release),
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": MANAGER,
            },
            "ownerReferences": [owner.reference()],
        }
        return obj


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """Both objects as they should be, and what they were made from."""

    owner: Owner
    routers: tuple[RouterPod, ...]
    service: Wanted
    slice: Wanted


def _slice_name(name: str) -> str:
    return f"{name}-routers"


def _family(routers: Sequence[RouterPod]) -> str:
    versions = {ipaddress.ip_address(router.address).version for router in routers}
    return "IPv6" if versions == {6} else "IPv4"
