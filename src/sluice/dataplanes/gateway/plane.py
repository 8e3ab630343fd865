"""The data plane of a Gateway: routes are applied, and served when its controller says so."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sluice.dataplanes.codec import fragment_faults
from sluice.dataplanes.gateway.accepted import Word, words_of
from sluice.dataplanes.gateway.routes import (
    GENERATION,
    MANAGED_BY,
    MANAGED_LABEL,
    RELEASE_LABEL,
    ROUTING_HASH,
    http_routes,
    routing_hash,
)
from sluice.dataplanes.gateway.settings import Acknowledge, GatewaySettings
from sluice.errors import RoutingRefused, SpecError, TransientError
from sluice.kube.kinds import HTTP_ROUTE, RELEASE, SERVICE, Kind
from sluice.nouns import Ack, Capabilities, Fragment, RevisionId, Routing
from sluice.ports import Clock

MANAGER = "sluice-controller"
"""Field manager of the routes, as of everything else that the controller writes."""
CAPABILITIES = Capabilities(sticky=False, shield=False, counters=False, lease=False, capture=False)
"""What an HTTPRoute can do: weights, forced and preview arms, copies of requests."""
LOOK_S = 0.25

Object = dict[str, Any]


class Api(Protocol):
    """What is used of :class:`sluice.kube.client.KubeClient`."""

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """An object, or None."""
        ...

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str = ""
    ) -> list[Object]:
        """All objects of a kind that carry these labels."""
        ...

    async def apply(
        self, obj: Mapping[str, Any], *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Object:
        """Server-side apply."""
        ...

    async def delete(
        self, kind: Kind, name: str, namespace: str | None, *, propagation: str = "Background"
    ) -> bool:
        """Delete an object; False when it was not there."""
        ...


def gateway_dataplane(kube: Api, settings: GatewaySettings, clock: Clock) -> "HttpRouteDataPlane":
    """The data plane for ``data_plane: gateway``."""
    return HttpRouteDataPlane(kube, settings, clock)


class HttpRouteDataPlane:
    """Writes each release as HTTPRoutes in its own namespace.

    Args:
        kube: The API server.
        settings: Which Gateways, and when a route counts as served.
        clock: Measures how long their word is waited for.
    """

    def __init__(self, kube: Api, settings: GatewaySettings, clock: Clock) -> None:
        self._kube, self._settings, self._clock = kube, settings, clock
        self._ports: dict[tuple[str, RevisionId], int] = {}
        self._errors: dict[str, str] = {}
        """Why the newest routing of a release was refused here, before any Gateway saw it."""

    @property
    def capabilities(self) -> Capabilities:
        """Weights, forced and preview arms, copies; nothing that needs a router of ours."""
        return CAPABILITIES

    async def apply(self, fragment: Fragment) -> None:
        """Write the routes and wait for the word of every Gateway.

        Endpoints are the Gateway's own business: it reads them from the Services.

        Raises:
            RoutingRefused: it cannot be said as HTTPRoute, or a Gateway or the API server refused
                it, or a host belongs to another release.
            TransientError: a Service is not there yet, or a Gateway has not said anything in time.
        """
        release = fragment.routing.release
        try:
            await self._apply(fragment)
        except RoutingRefused as error:
            self._errors[release] = str(error)
            raise
        self._errors.pop(release, None)

    async def _apply(self, fragment: Fragment) -> None:
        routing = fragment.routing
        faults = fragment_faults(fragment)
        if faults:
            raise RoutingRefused("; ".join(str(fault) for fault in faults))
        wanted = http_routes(
            routing,
            ports=await self._ports_of(routing),
            parents=self._settings.parents,
            version_header=self._settings.version_header,
        )
        namespace, name = _place(routing.release)
        there = await self._routes(namespace, name)
        _check_newer(routing, there)
        await self._check_hosts(routing, wanted)
        owner = await self._owner(namespace, name)
        for route in wanted:
            route["metadata"].update(owner)
            try:
                await self._kube.apply(route, manager=MANAGER)
            except SpecError as error:
                raise RoutingRefused(f"the API server refuses the HTTPRoute: {error}") from error
        await self._accepted(wanted)
        # Last: hosts that moved to another route are served by it before this one goes.
        kept = {route["metadata"]["name"] for route in wanted}
        for route in there:
            if route["metadata"]["name"] not in kept:
                await self._kube.delete(HTTP_ROUTE, route["metadata"]["name"], namespace)

    async def remove(self, release: str) -> None:
        """Delete the routes of a release; unknown names are fine."""
        namespace, name = _place(release)
        for route in await self._routes(namespace, name):
            await self._kube.delete(HTTP_ROUTE, route["metadata"]["name"], namespace)
        self._ports = {key: port for key, port in self._ports.items() if key[0] != release}
        self._errors.pop(release, None)

    async def renew(self, releases: Sequence[str]) -> None:
        """Nothing: a Gateway holds no lease, and plans with one are refused."""

    async def acks(self) -> Sequence[Ack]:
        """What every Gateway serves, one entry per Gateway and release."""
        found: dict[tuple[str, str], Ack] = {}
        for route in await self._all_routes():
            metadata = route["metadata"]
            release = f"{metadata['namespace']}/{metadata['labels'][RELEASE_LABEL]}"
            generation = _generation(route)
            for word in self._words(route):
                ack = Ack(
                    router=str(word.parent),
                    release=release,
                    generation=generation if word.accepted else 0,
                    error=word.refused or self._errors.get(release, ""),
                )
                key = (ack.router, release)
                found[key] = _worse(found.get(key, ack), ack)
        return [found[key] for key in sorted(found)]

    # --- inside ---

    def _words(self, route: Object) -> tuple[Word, ...]:
        parents = self._settings.parents
        if self._settings.acknowledge is Acknowledge.WRITTEN:
            return tuple(Word(parent=parent, accepted=True) for parent in parents)
        return words_of(route, parents)

    async def _accepted(self, wanted: Sequence[Object]) -> None:
        """Return when every Gateway has accepted every route.

        Raises:
            RoutingRefused: one refused.
            TransientError: one has not said so in time.
        """
        if self._settings.acknowledge is Acknowledge.WRITTEN:
            return
        until_ms = self._clock.now_ms() + round(self._settings.timeout_s * 1000)
        waiting = [route["metadata"] for route in wanted]
        while True:
            left, open_words = [], list[Word]()
            for metadata in waiting:
                namespace, name = metadata["namespace"], metadata["name"]
                route = await self._kube.get(HTTP_ROUTE, name, namespace)
                if route is None:
                    raise TransientError(f"HTTPRoute {namespace}/{name} was deleted meanwhile")
                words = self._words(route)
                refused = [word for word in words if word.refused]
                if refused:
                    raise RoutingRefused(
                        f"Gateway {refused[0].parent} refuses HTTPRoute {namespace}/{name}: "
                        f"{refused[0].refused}"
                    )
                missing = [word for word in words if not word.accepted]
                left += [metadata] if missing else []
                open_words += missing
            waiting = left
            if not waiting:
                return
            if self._clock.now_ms() >= until_ms:
                raise TransientError(_silence(open_words[0], self._settings.timeout_s))
            await self._clock.sleep(LOOK_S)

    async def _ports_of(self, routing: Routing) -> Mapping[RevisionId, int]:
        """Ports of the Services that the routing names.

        Raises:
            TransientError: one is not there yet.
        """
        namespace, name = _place(routing.release)
        found = {}
        for revision in dict.fromkeys(arm.revision for arm in routing.arms):
            key = (routing.release, revision)
            if key not in self._ports:
                service = await self._kube.get(SERVICE, f"{name}-{revision}", namespace)
                if service is None:
                    raise TransientError(f"Service {namespace}/{name}-{revision} is not there yet")
                self._ports[key] = _port(service)
            found[revision] = self._ports[key]
        return found

    async def _owner(self, namespace: str, name: str) -> Object:
        """The Release as owner, so that its routes go with it."""
        release = await self._kube.get(RELEASE, name, namespace)
        if release is None:
            return {}
        owner = {
            "apiVersion": RELEASE.api_version,
            "kind": RELEASE.kind,
            "name": name,
            "uid": release["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        return {"ownerReferences": [owner]}

    async def _check_hosts(self, routing: Routing, wanted: Sequence[Object]) -> None:
        """See that no other release has these hosts: a Gateway would merge both without a word.

        Raises:
            RoutingRefused: one has.
        """
        ours = {host for route in wanted for host in route["spec"].get("hostnames") or ["*"]}
        for route in await self._all_routes():
            metadata = route["metadata"]
            release = f"{metadata['namespace']}/{metadata['labels'][RELEASE_LABEL]}"
            taken = ours & set(route["spec"].get("hostnames") or ["*"])
            if taken and release != routing.release:
                raise RoutingRefused(f"{', '.join(sorted(taken))} belongs to release {release}")

    async def _routes(self, namespace: str, name: str) -> list[Object]:
        labels = f"{RELEASE_LABEL}={name},{MANAGED_LABEL}={MANAGED_BY}"
        return await self._kube.list(HTTP_ROUTE, namespace, labels=labels)

    async def _all_routes(self) -> list[Object]:
        labels = f"{RELEASE_LABEL},{MANAGED_LABEL}={MANAGED_BY}"
        namespaces: Sequence[str | None] = self._settings.namespaces or (None,)
        return [
            route
            for namespace in namespaces
            for route in await self._kube.list(HTTP_ROUTE, namespace, labels=labels)
        ]


def _place(release: str) -> tuple[str, str]:
    namespace, _, name = release.rpartition("/")
    return namespace, name


def _generation(route: Object) -> int:
    text = route["metadata"].get("annotations", {}).get(GENERATION, "")
    return int(text) if text.isdecimal() else 0


def _check_newer(routing: Routing, there: Sequence[Object]) -> None:
    """A controller that has lost the lead unknowingly must not put an older routing back."""
    for route in there:
        known = _generation(route)
        notes = route["metadata"].get("annotations", {})
        other = notes.get(ROUTING_HASH, "") != routing_hash(routing)
        if routing.generation < known or (routing.generation == known and other):
            raise RoutingRefused(f"generation {routing.generation} does not follow {known}")


def _port(service: Object) -> int:
    """The port named ``http``, or the first one."""
    ports = service.get("spec", {}).get("ports") or []
    named = [port for port in ports if port.get("name") == "http"]
    if not ports:
        name = service["metadata"]["name"]
        raise RoutingRefused(f"Service {name} has no port: an HTTPRoute needs one")
    return int((named or ports)[0]["port"])


def _worse(one: Ack, other: Ack) -> Ack:
    """Of two routes of one release: the one that is behind."""
    if one.error or other.error:
        return one if one.error else other
    return min(one, other, key=lambda ack: ack.generation)


def _silence(word: Word, timeout_s: float) -> str:
    return (
        f"Gateway {word.parent} has not accepted the HTTPRoute within {timeout_s:g} s "
        f"({word.waits}): is the Gateway there, and does a controller run for its class? For one "
        "that writes no status, set gateway_acknowledge to written"
    )
