"""Clusters and endpoints of Envoy, as plain dicts: the binary is the schema.

A cluster depends on its name and on the router's settings, almost never on the routing: Envoy
re-creates a cluster whose definition changes, and its connections open again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.dataplanes.capturing import CaptureLimits, capture_filters
from sluice.dataplanes.names import ClusterName, Use
from sluice.dataplanes.resources import (
    HTTP_OPTIONS,
    Resource,
    breakers,
    file_source,
    seconds,
    typed,
)
from sluice.nouns import Arm, Endpoint, Fragment, Purpose, RevisionId, Routing

METADATA = "sluice"
"""Namespace of our endpoint metadata."""
PLACEHOLDER = "sluice-placeholder"
"""A cluster that is always there: an empty list of clusters is ignored by Envoy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterLimits:
    """What a router allows, whatever the release."""

    max_requests: int = 16_384
    """Requests in flight, waiting, connected or retried per cluster. Envoy's own defaults (1,024,
    and 3 for retries) answer 503 under load."""
    mirror_requests: int = 64
    """Copies in flight per mirrored revision, and as many that wait; more are dropped."""
    mirror_timeout_ms: int = 10_000
    """A copy is given up after so long, milliseconds."""
    connect_timeout_ms: int = 1_000
    """Milliseconds."""
    upstream_idle_ms: int = 4_000
    """Idle connections close after so long: below the 5 s keep-alive of uvicorn, or requests meet
    a connection that the server is closing."""
    capture: CaptureLimits = field(default_factory=CaptureLimits)


def used_clusters(routing: Routing) -> tuple[ClusterName, ...]:
    """Every cluster that a routing needs, each once, in a fixed order."""
    names: dict[ClusterName, None] = {}

    def need(revision: RevisionId, use: Use) -> None:
        names[ClusterName(routing.release, revision, use)] = None

    for arm in routing.arms:
        need(arm.revision, Use(arm.purpose.value))
        if is_shielded(routing, arm):
            need(arm.revision, Use.GUARDED)
            need(arm.revision, Use.RESCUE)
            need(arm.revision, Use.SHIELD)
    if routing.capture is not None:
        need(routing.fallback, Use.CAPTURED)
        if routing.capture.noise_bp > 0:
            need(routing.fallback, Use.MIRROR)
    return tuple(names)


def is_shielded(routing: Routing, arm: Arm) -> bool:
    """Whether an arm's failures are answered by stable: candidates' live arms under a shield."""
    return (
        routing.shield is not None
        and arm.purpose is Purpose.LIVE
        and arm.revision != routing.fallback
    )


def _http(**options: Any) -> Resource:  # the schema is Envoy's
    return {
        HTTP_OPTIONS: typed(
            HTTP_OPTIONS, explicit_http_config={"http_protocol_options": {}}, **options
        )
    }


def cluster(name: ClusterName, routing: Routing, *, eds_dir: str, limits: RouterLimits) -> Resource:
    """The definition of one cluster; ``eds_dir`` is where its endpoint file lies."""
    if name.use is Use.SHIELD:
        return _shield_cluster(name, limits)
    common: Resource = {"idle_timeout": seconds(limits.upstream_idle_ms)}
    size = limits.max_requests
    if name.use is Use.MIRROR:
        common["max_stream_duration"] = seconds(limits.mirror_timeout_ms)
        size = limits.mirror_requests
    if name.use is Use.GUARDED and routing.shield is not None:
        # A route has one per_try_timeout for all its arms and would cut stable's slow answers too;
        # measured: the end of a stream's duration is retried like a reset.
        common["max_stream_duration"] = seconds(routing.shield.per_try_timeout_ms)
    options: Resource = {"common_http_protocol_options": common}
    if routing.capture is not None and name.use in (Use.CAPTURED, Use.MIRROR):
        options["http_filters"] = capture_filters(str(name), limits.capture)
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=str(name),
        type="EDS",
        connect_timeout=seconds(limits.connect_timeout_ms),
        eds_cluster_config={
            "service_name": str(name),
            "eds_config": file_source(f"{eds_dir}/{name.file_name}"),
        },
        # Not LEAST_REQUEST: a pod that fails fast has the least requests and would draw the most.
        lb_policy="ROUND_ROBIN",
        circuit_breakers=breakers(size),
        typed_extension_protocol_options=_http(**options),
    )


def _shield_cluster(name: ClusterName, limits: RouterLimits) -> Resource:
    members = (
        ClusterName(name.release, name.revision, Use.GUARDED),
        ClusterName(name.release, name.revision, Use.RESCUE),
    )
    priorities = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    # The policy sits on the aggregate, not on the route: stable's own arm of the same route must
    # not be retried for its 500s (measured: the cluster's policy goes before the route's).
    retry = {
        "retry_on": "5xx,reset,connect-failure,refused-stream",
        "num_retries": 1,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": typed(priorities, update_frequency=1),
        },
    }
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=str(name),
        connect_timeout=seconds(limits.connect_timeout_ms),
        lb_policy="CLUSTER_PROVIDED",
        cluster_type={
            "name": "envoy.clusters.aggregate",
            "typed_config": typed(
                "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                clusters=[str(member) for member in members],
            ),
        },
        # max_retries counts on the aggregate itself; its default of 3 lets failures through.
        circuit_breakers=breakers(limits.max_requests),
        typed_extension_protocol_options=_http(retry_policy=retry),
    )


def placeholder_cluster() -> Resource:
    """The cluster that keeps a router without releases ready."""
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=PLACEHOLDER,
        type="STATIC",
        connect_timeout="1s",
        load_assignment={"cluster_name": PLACEHOLDER, "endpoints": []},
    )


def assignment(name: ClusterName, revision: RevisionId, endpoints: Sequence[Endpoint]) -> Resource:
    """Who answers for a cluster, and which revision they are; nobody is a valid answer."""
    hosts = [
        {
            "endpoint": {
                "hostname": endpoint.name,
                "address": {
                    "socket_address": {"address": endpoint.host, "port_value": endpoint.port}
                },
            },
            "metadata": {"filter_metadata": {METADATA: {"revision": revision}}},
        }
        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.name)
    ]
    return typed(
        "envoy.config.endpoint.v3.ClusterLoadAssignment",
        cluster_name=str(name),
        endpoints=[{"lb_endpoints": hosts}] if hosts else [],
    )


def assignments(fragment: Fragment, names: Iterable[ClusterName]) -> dict[ClusterName, Resource]:
    """Endpoint resources of those clusters that have endpoints of their own."""
    resources = {}
    for name in names:
        if name.use is Use.SHIELD:
            continue
        revision = fragment.routing.fallback if name.use is Use.RESCUE else name.revision
        resources[name] = assignment(name, revision, fragment.endpoints.get(revision, ()))
    return resources
