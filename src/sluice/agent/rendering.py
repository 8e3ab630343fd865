"""From the fragments of all releases to one configuration of Envoy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sluice.dataplanes.clusters import (
    RouterLimits,
    assignments,
    cluster,
    used_clusters,
)
from sluice.dataplanes.envoyfiles import XdsConfig
from sluice.dataplanes.names import ClusterName
from sluice.dataplanes.resources import Resource
from sluice.dataplanes.routes import route_table, virtual_hosts
from sluice.nouns import Fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One release's part of the configuration."""

    clusters: Mapping[ClusterName, Resource]
    endpoints: Mapping[ClusterName, Resource]
    hosts: tuple[Resource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """Translates fragments; the same fragment always gives the same resources."""

    eds_dir: str
    limits: RouterLimits = field(default_factory=RouterLimits)

    def release(self, fragment: Fragment, *, lease_expired: bool = False) -> Rendered:
        """One release; candidates have no live weight once the lease has expired."""
        routing = fragment.routing
        names = used_clusters(routing)
        return Rendered(
            clusters={
                name: cluster(name, routing, eds_dir=self.eds_dir, limits=self.limits)
                for name in names
            },
            endpoints=assignments(fragment, names),
            hosts=tuple(virtual_hosts(routing, lease_expired=lease_expired)),
        )

    def router(self, releases: Iterable[Rendered], lingering: Iterable[Rendered]) -> XdsConfig:
        """All releases; clusters that only linger have no routes."""
        clusters: dict[ClusterName, Resource] = {}
        endpoints: dict[ClusterName, Resource] = {}
        hosts: list[Resource] = []
        for rendered in lingering:
            clusters |= rendered.clusters
            endpoints |= rendered.endpoints
        for rendered in releases:
            clusters |= rendered.clusters
            endpoints |= rendered.endpoints
            hosts += rendered.hosts
        return XdsConfig(clusters=clusters, endpoints=endpoints, routes=route_table(hosts))
