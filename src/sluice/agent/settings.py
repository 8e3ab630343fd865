"""Settings of a router: environment variables ``SLUICE_ROUTER_…``, or arguments of the agent."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sluice.dataplanes.bootstrap import Layout, Listen
from sluice.dataplanes.capturing import CaptureLimits
from sluice.dataplanes.clusters import RouterLimits
from sluice.dataplanes.envoyadmin import MAX_SOCKET_PATH

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]
Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]


class Settings(BaseSettings):
    """Everything that can be set at a router; built once in ``main`` and passed down."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_ROUTER_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    config_dir: Path
    """Folder of Envoy's files, its admin socket and the agent's memory. Envoy and agent share it;
    its path must be short, because a unix socket's path has at most 107 bytes."""
    name: str = "router-0"
    """Name of this router in acknowledgements and counters; the pod's name in a cluster."""
    token: SecretStr
    """Bearer token that callers of the agent must show. No default: without one, anybody who
    reaches the port could move traffic."""
    host: str = "127.0.0.1"
    """Address of the agent's API; loopback, because a laptop has no other caller."""
    port: Port | None = None
    """TCP port of the agent's API; either this or ``uds``."""
    uds: Path | None = None
    """Unix socket of the agent's API, made with mode 0600; either this or ``port``."""
    traffic_host: str = "127.0.0.1"
    """Address where users connect; ``0.0.0.0`` in a pod."""
    traffic_port: Port = 8_080
    """Port where users connect."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    """Envoy's worker threads. Its own default is the machine's cores, whatever the pod may use."""
    max_connections: Annotated[int, Field(ge=1)] = 20_000
    """Connections from users; more are refused rather than exhausting memory."""
    max_requests: Annotated[int, Field(ge=1)] = 16_384
    """Requests in flight, waiting or retried for each arm; more are answered 503."""
    mirror_requests: Annotated[int, Field(ge=1)] = 64
    """Copies in flight per mirrored revision, and as many that wait: a slow shadow cannot take more
    of the machine."""
    mirror_timeout_ms: Milliseconds = 10_000
    """A copy is given up after so long, milliseconds."""
    capture_body_bytes: Annotated[int, Field(ge=0, le=1 << 20)] = 65_536
    """Longest body of an answer that is kept for comparison, bytes; a pair with a longer one is not
    compared."""
    capture_per_s: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Mirrored requests per second and worker thread whose answers are captured; those beyond are
    mirrored and counted all the same."""
    capture_memory_bytes: Annotated[int, Field(ge=1 << 20)] = 32 << 20
    """Memory for captured answers that the controller has not read, bytes; the oldest go first."""
    connect_timeout_ms: Milliseconds = 1_000
    """Time to connect to an endpoint, milliseconds; then another endpoint is tried, once."""
    upstream_idle_ms: Milliseconds = 4_000
    """Idle connections to endpoints close after so long, milliseconds; keep it below the model
    server's keep-alive (5 s at uvicorn), or requests meet a connection that is being closed."""
    ack_timeout_s: Seconds = 5.0
    """How long Envoy may take to accept a configuration, seconds, before it is taken back."""
    sample_interval_s: Seconds = 1.0
    """How often counters are read when nobody asks, seconds: as often as histograms merge."""
    linger_s: Annotated[float, Field(ge=0, le=3_600)] = 60.0
    """How long a cluster stays after the last route named it, seconds, so that requests under way
    are still counted; longer while it has any."""
    cluster: bool = False
    """Read Releases and EndpointSlices of the cluster that this router is a pod of: what to serve
    at the start, and who answers while no controller speaks. Off: a laptop has neither."""
    namespaces: str = ""
    """Comma-separated namespaces whose Releases and EndpointSlices are read; empty: all."""
    drain_wait_s: Annotated[float, Field(ge=0, le=3_600)] = 10.0
    """Time from the failed health check until nobody sends new users any more, seconds: endpoint
    lists and the rules made from them lag by a few seconds, load balancers by more."""
    drain_cap_s: Annotated[float, Field(ge=0, le=3_600)] = 40.0
    """Longest drain in all, seconds; keep the pod's ``terminationGracePeriodSeconds`` above it. Ten
    seconds of waiting leave a request the 30 s that a release's timeout is by default."""
    log_level: str = "info"
    """Least level of the agent's log."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.port is None) == (self.uds is None):
            raise ValueError("set one of port and uds")
        socket = str(self.layout.admin_socket)
        if len(socket.encode()) > MAX_SOCKET_PATH:
            raise ValueError(
                f"config_dir is too long for a unix socket ({len(socket)} bytes of at most"
                f" {MAX_SOCKET_PATH}): {socket}"
            )
        return self

    @property
    def layout(self) -> Layout:
        """Where the files lie."""
        return Layout(root=self.config_dir)

    @property
    def listen(self) -> Listen:
        """Where users connect."""
        return Listen(
            host=self.traffic_host, port=self.traffic_port, max_connections=self.max_connections
        )

    @property
    def limits(self) -> RouterLimits:
        """What the router allows."""
        return RouterLimits(
            max_requests=self.max_requests,
            mirror_requests=self.mirror_requests,
            mirror_timeout_ms=self.mirror_timeout_ms,
            connect_timeout_ms=self.connect_timeout_ms,
            upstream_idle_ms=self.upstream_idle_ms,
            capture=CaptureLimits(body_bytes=self.capture_body_bytes, per_s=self.capture_per_s),
        )
