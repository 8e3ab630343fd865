"""One reading of Envoy's counters: what its admin page says, by cluster and by host."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from sluice.dataplanes.bootstrap import BUCKETS_MS
from sluice.dataplanes.envoyadmin import EnvoyAdmin, cumulative_buckets
from sluice.dataplanes.names import ClusterName
from sluice.errors import TransientError

CODES = ("2xx", "3xx", "4xx", "5xx")
"""Final answers by class; a 100 is charged besides its final answer."""
BEGUN = ("total", "pending_failure_eject", "pending_overflow", "none_healthy", "cancelled")
"""Every request that a cluster has taken, or refused for want of a host or a slot."""
OTHERS = ("retry", "retry_success", "max_duration_reached")
COUNTERS = (*CODES, *BEGUN, *OTHERS)
VECTOR = len(COUNTERS) + len(BUCKETS_MS)
"""Length of a cluster's vector: its counters, then its cumulative histogram."""
GAUGES = ("active", "pending_active")

Vector = tuple[int, ...]

_PATTERN = (
    r"^cluster\..*\.(upstream_rq_("
    + "|".join((*(name for name in COUNTERS if name != "none_healthy"), *GAUGES, "time"))
    + r")|upstream_cx_none_healthy)$"
)
_NAME = re.compile(r"cluster\.(.+)\.upstream_(?:rq|cx)_(\w+)")
_HOST_STATS = ("rq_total", "rq_success", "rq_error", "rq_active")


@dataclass(frozen=True, slots=True)
class HostReading:
    """Attempts on one endpoint, as Envoy charges them: every try, retried or not."""

    total: int = 0
    success: int = 0
    """Answered below 500."""
    error: int = 0
    """Answered 500 and above, reset, timed out, or not connected."""
    active: int = 0


@dataclass(slots=True)
class ClusterReading:
    """One cluster at one moment."""

    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    active: int = 0
    pending: int = 0
    buckets: Vector = (0,) * len(BUCKETS_MS)
    hosts: dict[str, HostReading] = field(default_factory=dict)
    """By name of the endpoint."""

    @property
    def vector(self) -> Vector:
        return (*(self.counters[name] for name in COUNTERS), *self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All clusters of one Envoy at one moment."""

    epoch: str
    clusters: Mapping[ClusterName, ClusterReading]


async def read_envoy(admin: EnvoyAdmin) -> Reading:
    """Read clusters, then hosts: what a host has finished is never older than what was begun.

    Raises:
        TransientError: Envoy does not answer, or answers what cannot be read.
    """
    epoch = admin.epoch()
    stats = await admin.stats(_PATTERN)
    hosts = await admin.get("/clusters", format="json")
    if admin.epoch() != epoch:
        raise TransientError("Envoy restarted during the reading", retry_after_s=0.1)
    try:
        clusters = parse_stats(stats)
        for name, by_host in parse_hosts(hosts).items():
            if name in clusters:
                clusters[name].hosts = by_host
    except ValueError as error:
        raise TransientError(f"Envoy's counters cannot be read: {error}") from error
    return Reading(epoch=epoch, clusters=clusters)


def parse_stats(stats: Mapping[str, str]) -> dict[ClusterName, ClusterReading]:
    """Clusters of ours in the statistics page.

    Raises:
        ValueError: a counter is no number, or a histogram has other boundaries than ours.
    """
    clusters: dict[ClusterName, ClusterReading] = {}
    for key, value in stats.items():
        found = _NAME.fullmatch(key)
        name = ClusterName.parse(found[1]) if found else None
        if found is None or name is None:
            continue
        cluster = clusters.setdefault(name, ClusterReading())
        match found[2]:
            case "time":
                cluster.buckets = _buckets(key, value)
            case "active":
                cluster.active = int(value)
            case "pending_active":
                cluster.pending = int(value)
            case counter if counter in cluster.counters:
                cluster.counters[counter] = int(value)
    return clusters


def _buckets(key: str, value: str) -> Vector:
    buckets = cumulative_buckets(value) or (0,) * len(BUCKETS_MS)
    if len(buckets) != len(BUCKETS_MS):
        raise ValueError(f"{key} has {len(buckets)} boundaries, not {len(BUCKETS_MS)}")
    return buckets


def parse_hosts(text: str) -> dict[ClusterName, dict[str, HostReading]]:
    """Attempts by endpoint in the clusters page.

    Raises:
        ValueError: it is not the JSON that Envoy writes.
    """
    clusters: dict[ClusterName, dict[str, HostReading]] = {}
    try:
        for status in orjson.loads(text)["cluster_statuses"]:
            name = ClusterName.parse(str(status["name"]))
            if name is None:
                continue
            hosts = clusters.setdefault(name, {})
            for host in status.get("host_statuses", ()):
                hosts[str(host.get("hostname", ""))] = _host(host)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the clusters page has another shape: {error!r}") from error
    return clusters


def _host(host: Mapping[str, Any]) -> HostReading:
    values = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
    return HostReading(*(values.get(name, 0) for name in _HOST_STATS))
