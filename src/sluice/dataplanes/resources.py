"""Words of Envoy's configuration that several resources use."""

from typing import Any

Resource = dict[str, Any]
"""One xDS resource, as the JSON that Envoy reads."""

TYPE = "type.googleapis.com/"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def typed(type_name: str, **fields: Any) -> Resource:  # the schema is Envoy's
    """A message with its type, as xDS wants it."""
    return {"@type": TYPE + type_name, **fields}


def seconds(milliseconds: int) -> str:
    """A duration as Envoy writes it."""
    return f"{milliseconds / 1000:.3f}s"


def breakers(limit: int) -> Resource:
    """Circuit breakers with one limit for everything."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, limit)]}


def file_source(path: str) -> Resource:
    """A file as xDS source.

    Without ``watched_directory``: a rename is seen anyway, and a watched folder makes every
    subscription in it read again on any rename.
    """
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}


def set_header(key: str, value: str) -> Resource:
    """A header that replaces what is there."""
    return {
        "header": {"key": key, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
