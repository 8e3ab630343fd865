"""A release's routing as HTTPRoutes (gateway.networking.k8s.io/v1, standard channel, from v1.3).

One route holds the release's hosts. A preview with hosts of its own needs another one, because
hosts belong to the whole route. Of several matches a Gateway takes the longest path first and then
the most headers: where mirrored paths are split off, forced arms are written for them as well.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
import xxhash

from sluice.dataplanes.gateway.settings import ParentRef
from sluice.dataplanes.routes import OWN_HEADERS, VERSION_HEADER
from sluice.errors import RoutingRefused
from sluice.kube.kinds import HTTP_ROUTE
from sluice.nouns import BP_TOTAL, Arm, Match, Purpose, RevisionId, Routing

Document = dict[str, Any]

RELEASE_LABEL = "sluice.dev/release"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "sluice"
GENERATION = "sluice.dev/generation"
"""Annotation: the generation of the routing that a route was written from."""
ROUTING_HASH = "sluice.dev/routing-hash"
"""Annotation: of that routing, so that one generation is never two routings."""
MOST_RULES, MOST_HOSTS, MOST_BACKENDS = 16, 16, 16
"""The standard channel's own limits."""

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INFER: tuple[Document, ...] = (
    {"method": "POST", "path": {"type": "Exact", "value": "/predict"}},
    {"method": "POST", "path": {"type": "PathPrefix", "value": "/v2/models"}},
)
"""Requests that may be copied. Regular expressions are left to each implementation, so V2 is told
by its prefix: every POST below it is a prediction."""
_ALL: Document = {"path": {"type": "PathPrefix", "value": "/"}}


def http_routes(
    routing: Routing,
    *,
    ports: Mapping[RevisionId, int],
    parents: Sequence[ParentRef],
    version_header: bool = False,
) -> tuple[Document, ...]:
    """The routes that serve a routing, the release's own first.

    Args:
        routing: What to serve; its release is ``namespace/name``.
        ports: Port of the Service ``NAME-REVISION`` of every revision that the routing names.
        parents: Gateways that serve it.
        version_header: Say in ``x-sluice-version`` who answered.

    Raises:
        RoutingRefused: it asks for what an HTTPRoute cannot say; names all of it.
    """
    faults = list(_faults(routing))
    if faults:
        raise RoutingRefused("; ".join(faults))
    writer = _Writer(routing, ports, parents, version_header)
    routes = tuple(writer.routes())
    for route in routes:
        rules = len(route["spec"]["rules"])
        if rules > MOST_RULES:
            raise RoutingRefused(
                f"{rules} rules are needed, an HTTPRoute holds {MOST_RULES}: use fewer arms"
            )
    return routes


def _faults(routing: Routing) -> Iterator[str]:
    """What an HTTPRoute cannot say; ``to_plan`` refuses it before, by the capabilities."""
    if routing.sticky is not None:
        yield "an HTTPRoute keeps no users on their revision (sticky)"
    if routing.shield is not None:
        yield "an HTTPRoute replaces no failed answers (shield)"
    if routing.lease_ms is not None:
        yield "nobody holds a lease at a Gateway (lease)"
    if routing.capture is not None:
        yield "a Gateway keeps no answers to mirrored requests (capture)"
    for hosts in (routing.hosts, *(arm.hosts for arm in routing.arms)):
        wrong = [host for host in hosts if host != "*" and not _HOST.fullmatch(host.lower())]
        if wrong:
            yield f"{', '.join(wrong)} cannot be a host name of an HTTPRoute"
        if len(hosts) > MOST_HOSTS:
            yield f"{len(hosts)} hosts: an HTTPRoute has at most {MOST_HOSTS}"
    if len(routing.live) > MOST_BACKENDS:
        yield f"{len(routing.live)} live arms: a rule has at most {MOST_BACKENDS} backends"


class _Writer:
    """Writes the routes of one routing."""

    def __init__(
        self,
        routing: Routing,
        ports: Mapping[RevisionId, int],
        parents: Sequence[ParentRef],
        version_header: bool,
    ) -> None:
        self._routing, self._ports, self._parents = routing, ports, parents
        self._version_header = version_header
        self._namespace, _, self._name = routing.release.rpartition("/")

    def routes(self) -> Iterator[Document]:
        routing = self._routing
        chosen = [
            arm
            for purpose in (Purpose.FORCED, Purpose.PREVIEW)
            for arm in routing.arms
            if arm.purpose is purpose
        ]
        rules = [
            self._rule(self._where(arm.match), [(arm.revision, 1)])
            for arm in chosen
            if arm.match is not None
        ]
        live = [(arm.revision, arm.weight_bp) for arm in routing.live if arm.weight_bp > 0]
        if routing.mirrored:
            # As many headers as a forced arm's: of equals, the rule that stands first is taken.
            rules += [
                self._rule([_with(one, match) for one in _INFER], live)
                for match in routing.no_mirror
            ]
            rules.append(self._rule(list(_INFER), live, self._mirrors()))
        rules.append(self._rule([_ALL], live))
        yield self._route(self._name, routing.hosts, rules)
        for arm in chosen:
            if arm.hosts:
                name = f"{self._name}-{arm.revision}-{arm.purpose}"
                yield self._route(name, arm.hosts, [self._rule([_ALL], [(arm.revision, 1)])])

    def _where(self, match: Match) -> list[Document]:
        """Matches of a chosen arm: on every path, also where mirrored paths would win by length."""
        paths = (*_INFER, _ALL) if self._routing.mirrored else (_ALL,)
        return [_with(one, match) for one in paths]

    def _rule(
        self,
        matches: list[Document],
        backends: list[tuple[RevisionId, int]],
        mirrors: Sequence[Document] = (),
    ) -> Document:
        strip = {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"remove": [*OWN_HEADERS]},
        }
        return {
            "matches": matches,
            "filters": [strip, *mirrors],
            "backendRefs": [self._backend(*backend) for backend in backends],
            "timeouts": {"request": duration(self._routing.timeout_ms)},
        }

    def _backend(self, revision: RevisionId, weight: int) -> Document:
        backend = {**self._service(revision), "weight": weight}
        if self._version_header:
            value = {"name": VERSION_HEADER, "value": str(revision)}
            said = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [value]}}
            backend["filters"] = [said]
        return backend

    def _service(self, revision: RevisionId) -> Document:
        # Group and kind as the API server writes them: what was applied reads back the same.
        name = f"{self._name}-{revision}"
        return {"group": "", "kind": "Service", "name": name, "port": self._ports[revision]}

    def _mirrors(self) -> list[Document]:
        return [self._mirror(arm) for arm in self._routing.mirrored]

    def _mirror(self, arm: Arm) -> Document:
        mirror: Document = {"backendRef": self._service(arm.revision)}
        if arm.weight_bp < BP_TOTAL:
            mirror["fraction"] = {"numerator": arm.weight_bp, "denominator": BP_TOTAL}
        return {"type": "RequestMirror", "requestMirror": mirror}

    def _route(self, name: str, hosts: Sequence[str], rules: list[Document]) -> Document:
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "labels": {RELEASE_LABEL: self._name, MANAGED_LABEL: MANAGED_BY},
            "annotations": {
                GENERATION: str(self._routing.generation),
                ROUTING_HASH: routing_hash(self._routing),
            },
        }
        # "*" is every host, which an HTTPRoute says by naming none.
        named = {} if "*" in hosts else {"hostnames": [host.lower() for host in hosts]}
        parents = [parent.document for parent in self._parents]
        return {
            "apiVersion": HTTP_ROUTE.api_version,
            "kind": HTTP_ROUTE.kind,
            "metadata": metadata,
            "spec": {"parentRefs": parents, **named, "rules": rules},
        }


def _with(where: Document, match: Match) -> Document:
    header = {"type": "Exact", "name": match.header, "value": match.value}
    return {**where, "headers": [header]}


def routing_hash(routing: Routing) -> str:
    """The same for the same routing, whoever writes it."""
    return xxhash.xxh64_hexdigest(orjson.dumps(asdict(routing)))


def duration(ms: int) -> str:
    """A time as the Gateway API writes it (GEP-2257): whole units, at most five digits each."""
    seconds, rest = divmod(ms, 1000)
    return "".join([f"{seconds}s" if seconds else "", f"{rest}ms" if rest else ""]) or "0s"
