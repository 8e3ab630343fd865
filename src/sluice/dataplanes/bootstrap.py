"""Envoy's static part: where it listens, where its files lie, how it counts."""

from dataclasses import dataclass
from pathlib import Path

from sluice.dataplanes.badanswers import bad_answer_log
from sluice.dataplanes.capturing import capture_cluster
from sluice.dataplanes.resources import Resource, file_source, typed
from sluice.dataplanes.routes import ROUTE_CONFIG
from sluice.nouns import LATENCY_GRID_MS

STAT_PREFIX = "ingress"
"""Prefix of the listener's statistics: ``http.ingress.…``."""

# A request of 100.4 ms is recorded as 100 and lies in the bucket that begins at 100. A boundary at
# 100 would count that whole bucket (up to 110) as in time; half a millisecond below counts
# exactly what is faster than the threshold.
BUCKETS_MS: tuple[float, ...] = (
    *(threshold - 0.5 for threshold in LATENCY_GRID_MS),
    86_400_000.0,  # everything: the page shows no total
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything of one router lies."""

    root: Path

    @property
    def bootstrap(self) -> Path:
        return self.root / "bootstrap.json"

    @property
    def clusters(self) -> Path:
        return self.root / "xds" / "cds.json"

    @property
    def routes(self) -> Path:
        return self.root / "xds" / "rds.json"

    @property
    def endpoints(self) -> Path:
        """Folder of endpoint files, one per cluster."""
        return self.root / "xds" / "eds"

    @property
    def admin_socket(self) -> Path:
        return self.root / "run" / "admin.sock"

    @property
    def capture_socket(self) -> Path:
        """Where the agent takes captured answers."""
        return self.root / "run" / "capture.sock"

    @property
    def bad_answers(self) -> Path:
        """Where Envoy writes bad answers to sticky users, for the agent."""
        return self.root / "run" / "bad-answers.log"

    @property
    def state(self) -> Path:
        """What the agent remembers over its own restarts."""
        return self.root / "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where users connect."""

    host: str
    port: int
    max_connections: int = 20_000
    """Connections beyond this are refused rather than exhausting memory."""


def bootstrap(layout: Layout, listen: Listen) -> Resource:
    """The bootstrap of a router.

    No log of every request and no logger per attempt: together they cost a third of the request.
    No health check filter either: the agent says whether the router is ready, draining included.
    """
    connections = "envoy.extensions.resource_monitors.downstream_connections.v3"
    return {
        "node": {"id": "sluice-router", "cluster": "sluice"},
        "admin": {"address": {"pipe": {"path": str(layout.admin_socket), "mode": 0o600}}},
        # Histograms merge at this interval, counters are live.
        "stats_flush_interval": "1s",
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": "upstream_rq_time"}, "buckets": list(BUCKETS_MS)}
            ],
            # The same counts a second time, by where the client is: nobody reads them.
            "stats_matcher": {
                "exclusion_list": {
                    "patterns": [
                        {"safe_regex": {"regex": r"^cluster\..*\.(external|internal)\..*"}}
                    ]
                }
            },
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": typed(
                        f"{connections}.DownstreamConnectionsConfig",
                        max_active_downstream_connections=listen.max_connections,
                    ),
                }
            ]
        },
        "dynamic_resources": {"cds_config": file_source(str(layout.clusters))},
        "static_resources": {
            "listeners": [_listener(layout, listen)],
            "clusters": [capture_cluster(layout.capture_socket)],
        },
    }


def _listener(layout: Layout, listen: Listen) -> Resource:
    return {
        "name": STAT_PREFIX,
        "address": {"socket_address": {"address": listen.host, "port_value": listen.port}},
        "filter_chains": [{"filters": [_connection_manager(layout)]}],
    }


def _connection_manager(layout: Layout) -> Resource:
    manager = "envoy.extensions.filters.network.http_connection_manager.v3"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            f"{manager}.HttpConnectionManager",
            stat_prefix=STAT_PREFIX,
            rds={
                "route_config_name": ROUTE_CONFIG,
                "config_source": file_source(str(layout.routes)),
            },
            http_filters=[_router()],
            access_log=[bad_answer_log(layout.bad_answers)],
            # The peer's address is the client's: x-forwarded-for is ours, x-request-id is replaced.
            use_remote_address=True,
            always_set_request_id_in_response=True,
            request_headers_timeout="10s",
            stream_idle_timeout="300s",
            common_http_protocol_options={"idle_timeout": "600s"},
            drain_timeout="1s",
        ),
    }


def _router() -> Resource:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": typed(
            "envoy.extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
        ),
    }
