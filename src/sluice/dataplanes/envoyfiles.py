"""Envoy's configuration as files, written in the order and with the proofs that lose no request.

Endpoints first, then clusters, then routes, each acknowledged before the next; what no route names
any more goes last. A refusal restores what was there.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from sluice.dataplanes.bootstrap import STAT_PREFIX, Layout
from sluice.dataplanes.clusters import placeholder_cluster
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.dataplanes.names import ClusterName
from sluice.dataplanes.refusal import why_refused
from sluice.dataplanes.resources import Resource
from sluice.dataplanes.routes import ROUTE_CONFIG, route_table
from sluice.errors import RoutingRefused, StateError, TransientError

_CDS = "cluster_manager.cds"
_RDS = f"http.{STAT_PREFIX}.rds.{ROUTE_CONFIG}"
_FIRST_POLL_S = 0.0005
_LAST_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsConfig:
    """All that a router serves: what its files say."""

    clusters: Mapping[ClusterName, Resource] = field(default_factory=dict)
    endpoints: Mapping[ClusterName, Resource] = field(default_factory=dict)
    """One assignment per cluster that has endpoints of its own."""
    routes: Resource = field(default_factory=lambda: route_table(()))


@dataclass(frozen=True, slots=True)
class _Subscription:
    """What Envoy says of one kind of resource."""

    version: str
    refusals: int


class EnvoyFiles:
    """The files of one Envoy, and the proof that it serves them.

    Not for use by two tasks at once: the agent holds a lock.
    """

    def __init__(self, layout: Layout, admin: EnvoyAdmin, *, ack_timeout_s: float = 5.0) -> None:
        self._layout = layout
        self._admin = admin
        self._timeout_s = ack_timeout_s
        self._current = read_config(layout)
        self._session = f"{time.time_ns():x}"
        self._pushes = 0
        self._refusals: dict[tuple[str, str], int] = {}

    @property
    def current(self) -> XdsConfig:
        """What the files say."""
        return self._current

    def prepare(self, config: XdsConfig) -> None:
        """Write everything at once, for an Envoy that has not started yet.

        Raises:
            StateError: the files cannot be written.
        """
        write_config(self._layout, config, version=self._next_version())
        self._delete_endpoints(self._current, config)
        self._current = config

    async def push(self, config: XdsConfig, *, whole: bool = False) -> None:
        """Serve ``config``; returns once Envoy has accepted every part that changed.

        Args:
            config: What to serve from now on.
            whole: Write clusters and routes even where the files already say the same.

        Raises:
            RoutingRefused: Envoy refused it, in its own words; the old configuration is restored.
            TransientError: Envoy does not answer or did not acknowledge in time; the same.
            StateError: the files cannot be written.
        """
        before = self._current
        try:
            await self._advance(before, config, whole=whole)
        except RoutingRefused:
            reason = await why_refused(config.clusters, config.routes)
            await self._restore(before, config)
            raise RoutingRefused(f"Envoy refused the configuration: {reason}") from None
        except TransientError:
            await self._restore(before, config)
            raise

    async def _advance(self, before: XdsConfig, after: XdsConfig, *, whole: bool) -> None:
        version = self._next_version()
        changed = {
            name: value
            for name, value in after.endpoints.items()
            if before.endpoints.get(name) != value
        }
        known = [name for name in changed if name in before.clusters]
        seen = await self._endpoint_updates(known)
        _write_endpoints(self._layout, changed, version)
        both = {**before.clusters, **after.clusters}
        if whole or both != before.clusters:
            await self._acknowledged(
                _CDS, version, lambda: _write_clusters(self._layout, both, version)
            )
            await self._warmed()
        await self._endpoints_acknowledged(known, seen)
        if whole or after.routes != before.routes:
            await self._acknowledged(
                _RDS, version, lambda: _write_routes(self._layout, after.routes, version)
            )
        if both != after.clusters:
            last = self._next_version()
            await self._acknowledged(
                _CDS, last, lambda: _write_clusters(self._layout, after.clusters, last)
            )
        self._delete_endpoints(before, after)
        self._current = after

    async def _restore(self, before: XdsConfig, after: XdsConfig) -> None:
        """Put the files back as they were, and wait for Envoy where it can still be reached."""
        version = self._next_version()
        _write_endpoints(self._layout, before.endpoints, version)
        _write_routes(self._layout, before.routes, version)
        _write_clusters(self._layout, before.clusters, version)
        try:
            await self._reached(_RDS, version)
            await self._reached(_CDS, version)
        except (TransientError, RoutingRefused):
            # The files are right; Envoy reads them when it comes back.
            return
        finally:
            self._delete_endpoints(after, before)

    # --- proofs --------------------------------------------------------------------------------

    async def _subscription(self, prefix: str) -> _Subscription:
        pattern = rf"^{re.escape(prefix)}\.(version_text|update_rejected|update_failure)$"
        found = await self._admin.stats(pattern)
        refusals = sum(
            int(found.get(f"{prefix}.{name}", "0"))
            for name in ("update_rejected", "update_failure")
        )
        return _Subscription(found.get(f"{prefix}.version_text", ""), refusals)

    async def _acknowledged(self, prefix: str, version: str, write: Callable[[], None]) -> None:
        # Refusals grow only by our own writes, so that an abort need not ask before it writes.
        # A new Envoy begins at zero.
        epoch = self._admin.epoch()
        if (prefix, epoch) not in self._refusals:
            self._refusals = {key: n for key, n in self._refusals.items() if key[1] == epoch}
            self._refusals[prefix, epoch] = (await self._subscription(prefix)).refusals
        write()
        await self._reached(prefix, version, refusals=self._refusals[prefix, epoch])

    async def _reached(self, prefix: str, version: str, *, refusals: int | None = None) -> None:
        async for _ in self._polls(f"{prefix} did not reach version {version}"):
            now = await self._subscription(prefix)
            if now.version == version:
                return
            if refusals is not None and now.refusals > refusals:
                self._refusals.clear()
                raise RoutingRefused(prefix)

    async def _warmed(self) -> None:
        async for _ in self._polls("clusters did not become ready"):
            if not (await self._admin.numbers("^cluster_manager.warming_clusters$")).get(
                "cluster_manager.warming_clusters"
            ):
                return

    async def _endpoint_updates(
        self, names: list[ClusterName]
    ) -> dict[ClusterName, tuple[int, int]]:
        """(accepted, refused) updates of each cluster's endpoints so far."""
        if not names:
            return {}
        any_of = "|".join(re.escape(str(name)) for name in names)
        found = await self._admin.numbers(
            rf"^cluster\.({any_of})\.update_(success|rejected|failure)$"
        )
        return {
            name: (
                found.get(f"cluster.{name}.update_success", 0),
                found.get(f"cluster.{name}.update_rejected", 0)
                + found.get(f"cluster.{name}.update_failure", 0),
            )
            for name in names
        }

    async def _endpoints_acknowledged(
        self, names: list[ClusterName], seen: Mapping[ClusterName, tuple[int, int]]
    ) -> None:
        if not names:
            return
        async for _ in self._polls("endpoints were not acknowledged"):
            now = await self._endpoint_updates(names)
            if any(now[name][1] > seen[name][1] for name in names):
                raise RoutingRefused("endpoints")
            if all(now[name][0] > seen[name][0] for name in names):
                return

    async def _polls(self, what: str) -> AsyncIterator[None]:
        """Go round until the caller is content, or time is up."""
        deadline = time.monotonic() + self._timeout_s
        pause = _FIRST_POLL_S
        while True:
            yield
            if time.monotonic() > deadline:
                raise TransientError(f"Envoy: {what} within {self._timeout_s:g} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_POLL_S)

    # --- files ---------------------------------------------------------------------------------

    def _next_version(self) -> str:
        self._pushes += 1
        return f"{self._session}.{self._pushes}"

    def _delete_endpoints(self, before: XdsConfig, after: XdsConfig) -> None:
        for name in before.endpoints.keys() - after.endpoints.keys():
            (self._layout.endpoints / name.file_name).unlink(missing_ok=True)


def write_config(layout: Layout, config: XdsConfig, *, version: str) -> None:
    """Write all files at once, endpoints first: for an Envoy that does not run.

    Raises:
        StateError: a file cannot be written.
    """
    _write_endpoints(layout, config.endpoints, version)
    _write_clusters(layout, config.clusters, version)
    _write_routes(layout, config.routes, version)


def _write_endpoints(
    layout: Layout, endpoints: Mapping[ClusterName, Resource], version: str
) -> None:
    for name, resource in endpoints.items():
        write_resources(layout.endpoints / name.file_name, [resource], version)


def _write_clusters(layout: Layout, clusters: Mapping[ClusterName, Resource], version: str) -> None:
    write_resources(layout.clusters, [placeholder_cluster(), *clusters.values()], version)


def _write_routes(layout: Layout, routes: Resource, version: str) -> None:
    write_resources(layout.routes, [routes], version)


def write_resources(path: Path, resources: list[Resource], version: str) -> None:
    """Replace an xDS file at once: Envoy sees a rename, and never half a file.

    Raises:
        StateError: the file cannot be written.
    """
    document = {"version_info": version, "resources": resources}
    replace_file(path, orjson.dumps(document))


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put ``content`` at ``path`` by a rename in the same folder.

    Raises:
        StateError: the file cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StateError(f"{path} cannot be written: {error.strerror}") from error


def read_config(layout: Layout) -> XdsConfig:
    """What the files of an earlier agent say; nothing where they are missing or broken."""
    try:
        clusters = {
            name: resource
            for resource in orjson.loads(layout.clusters.read_bytes())["resources"]
            if (name := ClusterName.parse(resource["name"])) is not None
        }
        endpoints = {
            name: orjson.loads(path.read_bytes())["resources"][0]
            for name in clusters
            if (path := layout.endpoints / name.file_name).exists()
        }
        routes = orjson.loads(layout.routes.read_bytes())["resources"][0]
    except (OSError, ValueError, LookupError, TypeError):
        return XdsConfig()
    return XdsConfig(clusters=clusters, endpoints=endpoints, routes=routes)
