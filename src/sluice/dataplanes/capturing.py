"""How a router keeps the answers to mirrored requests, and what Envoy tells the agent of each.

A Lua filter on the upstream side of two kinds of cluster (captured live requests, copies) reads an
answer while it passes and hands it to the agent by a call that nobody waits for. Why so, and what
it costs: ``docs/decisions/0035-answers-are-captured-in-the-router.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice.dataplanes.names import ClusterName
from sluice.dataplanes.resources import HTTP_OPTIONS, Resource, breakers, typed
from sluice.nouns import Answer

CAPTURE_CLUSTER = "sluice-capture"
"""Envoy's name for the agent's capture socket."""
CAPTURE_PATH = "/capture"
TEXT_BYTES = 200
"""Longest header value that is handed on."""

_IN_FLIGHT = 64
_TIMEOUT_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLimits:
    """How much a router captures at most."""

    body_bytes: int = 64 << 10
    """Longest body that is kept; a longer one is marked and not compared."""
    per_s: int = 100
    """Requests per second, cluster and worker thread; those beyond pass uncaptured."""


def capture_filters(cluster: str, limits: CaptureLimits) -> list[Resource]:
    """Upstream HTTP filters of a cluster whose answers are captured."""
    lua = "envoy.extensions.filters.http.lua.v3.Lua"
    codec = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
    source = {"inline_string": _script(cluster, limits)}
    return [
        {
            "name": "envoy.filters.http.lua",
            "typed_config": typed(lua, default_source_code=source),
        },
        {"name": "envoy.filters.http.upstream_codec", "typed_config": typed(codec)},
    ]


def capture_cluster(socket: Path) -> Resource:
    """The agent's capture socket. What it cannot take at once is dropped."""
    options = typed(
        HTTP_OPTIONS,
        explicit_http_config={"http_protocol_options": {}},
        # Below the 5 s after which the agent's server closes an idle connection.
        common_http_protocol_options={"idle_timeout": "4s"},
    )
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "name": CAPTURE_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "circuit_breakers": breakers(_IN_FLIGHT),
        "load_assignment": {
            "cluster_name": CAPTURE_CLUSTER,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "typed_extension_protocol_options": {HTTP_OPTIONS: options},
    }


def _script(cluster: str, limits: CaptureLimits) -> str:
    # Chunks are looked at while they pass: body() would hold the answer back until it is whole,
    # and turn one that is larger than Envoy's buffer into an error. A request beyond the rate has
    # no metadata, and its answer is not looked at.
    return f"""\
local KEY, MAX_BODY, PER_SECOND = "{CAPTURE_CLUSTER}", {limits.body_bytes}, {limits.per_s}
local second, spent = "", 0
local function now(handle)
  return handle:timestampString(EnvoyTimestampResolution.MICROSECOND)
end
local function text(headers, name)
  return string.sub(headers:get(name) or "", 1, {TEXT_BYTES})
end
function envoy_on_request(handle)
  local at = now(handle)
  local this = string.sub(at, 1, -7)
  if this ~= second then second, spent = this, 0 end
  if spent >= PER_SECOND then return end
  spent = spent + 1
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(KEY, "id", text(handle:headers(), "x-request-id"))
  metadata:set(KEY, "at", at)
end
function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata():get(KEY)
  if known == nil then return end
  local headers = handle:headers()
  local call = {{
    [":method"] = "POST", [":path"] = "{CAPTURE_PATH}", [":authority"] = "agent",
    ["x-cluster"] = "{cluster}", ["x-id"] = known.id,
    ["x-status"] = text(headers, ":status"),
    ["x-type"] = text(headers, "content-type"),
    ["x-encoding"] = text(headers, "content-encoding"),
    ["x-json-bytes"] = text(headers, "inference-header-content-length"),
  }}
  local parts, size = {{}}, 0
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    size = size + length
    if size > MAX_BODY then parts = {{}}
    elseif length > 0 then parts[#parts + 1] = chunk:getBytes(0, length) end
  end
  call["x-cut"] = size > MAX_BODY and "1" or "0"
  call["x-us"] = tostring(tonumber(now(handle)) - tonumber(known.at))
  handle:httpCall("{CAPTURE_CLUSTER}", call, table.concat(parts), {_TIMEOUT_MS}, true)
end
"""


def parse_capture(
    headers: Mapping[str, str], body: bytes
) -> tuple[ClusterName, str, Answer] | None:
    """(cluster, request id, answer) of one call of the script; None when it makes no sense.

    Args:
        headers: Of the call, names in lower case.
        body: Of the answer.
    """
    cluster = ClusterName.parse(headers.get("x-cluster", ""))
    request_id = headers.get("x-id", "")
    status, spent = headers.get("x-status", ""), headers.get("x-us", "")
    if cluster is None or not request_id or not status.isdecimal():
        return None
    json_bytes = headers.get("x-json-bytes", "")
    answer = Answer(
        status=int(status),
        # The wall clock may be set back between the two readings.
        duration_us=int(spent) if spent.isdecimal() else 0,
        media_type=headers.get("x-type", ""),
        encoding=headers.get("x-encoding", ""),
        json_bytes=int(json_bytes) if json_bytes.isdecimal() else None,
        body=body,
        cut=headers.get("x-cut") == "1",
    )
    return cluster, request_id, answer
