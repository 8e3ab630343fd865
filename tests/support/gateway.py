"""A Gateway in this process: reads HTTPRoutes as the specification says, and writes their status.

Precedence of matches: exact path, longest prefix, method, most headers; then the older route, then
the rule that stands first (GEP-718, "HTTPRouteRule").
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.dataplanes.gateway import ParentRef
from sluice.kube.client import KubeClient
from sluice.kube.kinds import HTTP_ROUTE

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Served:
    """Who answers a request, and who gets a copy."""

    service: str
    copies: tuple[str, ...]
    request_headers: Mapping[str, str]
    response_headers: Mapping[str, str]


def serve(
    routes: Sequence[Document],
    *,
    host: str,
    rng: random.Random,
    method: str = "GET",
    path: str = "/",
    headers: Mapping[str, str] | None = None,
) -> Served | None:
    """Who answers; None: 404."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    best: tuple[tuple[int, int, int, int], Document] | None = None
    for route in routes:
        hosts = route["spec"].get("hostnames")
        if hosts is not None and not any(_host_fits(host.lower(), pattern) for pattern in hosts):
            continue
        for rule in route["spec"]["rules"]:
            for match in rule["matches"]:
                rank = _rank(match, method, path, given)
                if rank is not None and (best is None or rank > best[0]):
                    best = rank, rule
    return None if best is None else _answer(best[1], given, rng)


def _host_fits(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _rank(
    match: Document, method: str, path: str, headers: Mapping[str, str]
) -> tuple[int, int, int, int] | None:
    wanted = match.get("path", {"type": "PathPrefix", "value": "/"})
    value = wanted["value"]
    exact = wanted["type"] == "Exact"
    below = value if value.endswith("/") else value + "/"
    if path != value and (exact or not path.startswith(below)):
        return None
    if match.get("method", method) != method:
        return None
    for header in match.get("headers", ()):
        assert header["type"] == "Exact"
        if headers.get(header["name"].lower()) != header["value"]:
            return None
    return int(exact), len(value), int("method" in match), len(match.get("headers", ()))


def _answer(rule: Document, headers: Mapping[str, str], rng: random.Random) -> Served:
    seen = dict(headers)
    copies = []
    for item in rule.get("filters", ()):
        if item["type"] == "RequestHeaderModifier":
            for name in item["requestHeaderModifier"]["remove"]:
                seen.pop(name.lower(), None)
        else:
            mirror = item["requestMirror"]
            part = mirror.get("fraction", {"numerator": 1, "denominator": 1})
            if rng.randrange(part["denominator"]) < part["numerator"]:
                copies.append(mirror["backendRef"]["name"])
    backends = rule["backendRefs"]
    (chosen,) = rng.choices(backends, [backend["weight"] for backend in backends])
    said = {}
    for item in chosen.get("filters", ()):
        for header in item["responseHeaderModifier"]["set"]:
            said[header["name"]] = header["value"]
    return Served(chosen["name"], tuple(copies), seen, said)


@dataclass
class Controller:
    """Speaks for Gateways: says of every route what it is told to say."""

    kube: KubeClient
    parents: Sequence[ParentRef]
    says: Mapping[str, tuple[str, str, str]] = field(
        default_factory=lambda: {"Accepted": ("True", "Accepted", "")}
    )
    """By condition: status, reason, message."""
    silent: bool = False
    behind: int = 0
    """So many versions behind the newest."""
    namespace: str | None = None
    """Where it looks; None: everywhere."""

    async def look(self) -> None:
        """Write the status of every route that has none for its newest version."""
        if self.silent:
            return
        for route in await self.kube.list(HTTP_ROUTE, self.namespace):
            metadata = route["metadata"]
            conditions = [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "observedGeneration": metadata["generation"] - self.behind,
                    "lastTransitionTime": "2026-11-30T12:00:00Z",
                }
                for kind, (status, reason, message) in self.says.items()
            ]
            said = [
                {
                    "parentRef": parent.document,
                    "controllerName": "example.org/gateway",
                    "conditions": conditions,
                }
                for parent in self.parents
            ]
            if route.get("status", {}).get("parents") != said:
                await self.kube.patch(
                    HTTP_ROUTE,
                    metadata["name"],
                    metadata["namespace"],
                    {"status": {"parents": said}},
                    subresource="status",
                )
