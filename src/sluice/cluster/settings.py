"""Settings of the controller: environment variables ``SLUICE_CONTROLLER_…``."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """Everything that can be set at a controller; built once in ``main`` and passed down."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_CONTROLLER_",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    name: str = "controller-0"
    """Name of this controller in the Lease and in Events; the pod's name in a cluster."""
    namespace: str = "sluice-system"
    """Namespace of the Lease and of the routers; the pod's own in a cluster."""
    token: SecretStr
    """Bearer token that the routers' agents ask for. No default: the agents have none either."""
    watch_namespaces: str = ""
    """Comma-separated namespaces whose Releases are looked after; empty: all."""
    data_plane: Literal["envoy", "gateway"] = "envoy"
    """Where weights live: Sluice's own routers, or HTTPRoutes of a Gateway that is there."""
    gateways: str = ""
    """With `data_plane` gateway: comma-separated Gateways that serve every release, each
    `NAMESPACE/NAME` or `NAMESPACE/NAME:LISTENER`."""
    gateway_acknowledge: Literal["status", "written"] = "status"
    """When a route counts as served: `status`, when every Gateway says that it accepted it;
    `written`, when the API server has it, for Gateways that write no status."""
    gateway_version_header: bool = False
    """Whether answers carry `x-sluice-version`: not every Gateway can add headers for a backend."""
    router_selector: str = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=router"
    """Label selector of the router pods."""
    agent_port: Port = 9_901
    """Port of the agents in the router pods."""
    router_url: str = ""
    """Where checks of a candidate reach the routers; empty: `http://sluice-router` in the
    controller's namespace."""
    lease_seconds: Annotated[float, Field(ge=3, le=300)] = 15.0
    """After so long without a renewal another controller leads, seconds. A controller that is
    stopped gives the lease back at once."""
    qps: Annotated[float, Field(ge=1, le=1_000)] = 20.0
    """Calls a second to the API server for objects in the long run; twice as many may come at once.
    Status and lease have budgets of their own, so that no abort waits behind a new release."""
    journal_dir: Path | None = None
    """Folder for a log of every decision and poll, one file per release; unset: the newest fifty
    decisions are in the Release's status, and polls are forgotten."""
    host: str = "0.0.0.0"  # noqa: S104  # probes come from outside of the pod
    """Address of `/healthz`, `/readyz` and `/metrics`."""
    port: Port = 8_081
    """Port of them."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""

    @model_validator(mode="after")
    def _gateways_are_named(self) -> Self:
        if (self.data_plane == "gateway") != bool(self.gateways):
            raise ValueError("data_plane gateway and gateways go together: set both or neither")
        return self

    @property
    def namespaces(self) -> tuple[str | None, ...]:
        """Watched namespaces; (None,) for all."""
        names = [name.strip() for name in self.watch_namespaces.split(",")]
        return tuple(dict.fromkeys(name for name in names if name)) or (None,)

    @property
    def routers(self) -> str:
        """Where users reach the routers inside the cluster."""
        return self.router_url or f"http://sluice-router.{self.namespace}.svc.cluster.local"
