"""What an agent writes to, and what it may answer."""

from typing import Protocol

from sluice.dataplanes.envoyfiles import XdsConfig
from sluice.errors import RoutingRefused


class Conflict(RoutingRefused):
    """The fragment contradicts what the router already serves: an older one, or a taken host."""


class ConfigSink(Protocol):
    """Where configurations go: Envoy's files."""

    @property
    def current(self) -> XdsConfig:
        """What is served now."""
        ...

    def prepare(self, config: XdsConfig) -> None:
        """Write everything before Envoy starts."""
        ...

    async def push(self, config: XdsConfig, *, whole: bool = False) -> None:
        """Serve a configuration; see ``EnvoyFiles.push`` for the errors."""
        ...
