"""Bad answers to sticky users, one line each: what comparing users needs, and nothing of the rest.

Envoy writes a line only for an answer of 500 and above, or none, on a route that says where its
users are named. The code is asked first, so that a good answer costs one comparison.
"""

from pathlib import Path
from typing import Final

import orjson

from sluice.dataplanes.names import ClusterName
from sluice.dataplanes.resources import Resource, typed

USER_METADATA: Final = "sluice.users"
"""Metadata of routes to sticky users."""
USER_BYTES: Final = 256
"""Longest user that is written down; longer ones are cut."""

_ROUTE = f"xds.route_metadata.filter_metadata['{USER_METADATA}']"
# As the hash policy has it: the header where it is there, then the cookie.
_USER = (
    f"{_ROUTE}['header'] in request.headers ? request.headers[{_ROUTE}['header']] : "
    f"re.extract(request.headers['cookie'], {_ROUTE}['cookie'], '\\\\1')"
)


def user_metadata(*, header: str = "", cookie_pattern: str = "") -> Resource:
    """Metadata of a route: where its users are named.

    Args:
        header: Request header; empty: none.
        cookie_pattern: Regular expression on the header ``cookie``, the user is its first group.
    """
    return {"filter_metadata": {USER_METADATA: {"header": header, "cookie": cookie_pattern}}}


def bad_answer_log(path: Path) -> Resource:
    """The access log of a router's listener."""
    code = {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "unused"}}}
    cel = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    sticky = typed(cel, expression=f"'{USER_METADATA}' in xds.route_metadata.filter_metadata")
    bad = [{"status_code_filter": code}, {"response_flag_filter": {"flags": ["DC"]}}]
    extension = {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel",
                                      "typed_config": sticky}}  # fmt: skip
    return {
        "name": "envoy.access_loggers.file",
        "filter": {"and_filter": {"filters": [{"or_filter": {"filters": bad}}, extension]}},
        "typed_config": typed(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=str(path),
            log_format={
                "json_format": {
                    "cluster": "%UPSTREAM_CLUSTER_RAW%",
                    "user": f"%CEL({_USER}):{USER_BYTES}%",
                }
            },
        ),
    }


def parse_bad_answer(line: bytes) -> tuple[ClusterName, str] | None:
    """(cluster that was chosen, user) of a line; None when it names none."""
    try:
        document = orjson.loads(line)
        cluster, user = document["cluster"], document["user"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if not isinstance(cluster, str) or not isinstance(user, str) or not user:
        return None
    name = ClusterName.parse(cluster)
    return None if name is None else (name, user)
