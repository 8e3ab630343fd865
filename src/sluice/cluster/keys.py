"""How a release of a cluster is called: ``namespace/name`` in loop, agents and counters."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
"""An object of the API server, as plain data."""


def key_of(obj: Object) -> str:
    """The key of a Release."""
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def split(key: str) -> tuple[str, str]:
    """Namespace and name of a key."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def stamp(at_ms: int) -> str:
    """A time as the API server writes it: RFC 3339 in whole seconds."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp_us(at_ms: int) -> str:
    """A time with fractions, as leases and events have it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
