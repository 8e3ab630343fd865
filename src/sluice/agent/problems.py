"""Errors over HTTP: RFC 9457 problem details, one shape for every endpoint."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sluice.agent.sink import Conflict
from sluice.errors import (
    RoutingRefused,
    SluiceError,
    SpecError,
    StateError,
    TransientError,
    UnknownRelease,
)

MEDIA_TYPE = "application/problem+json"


def problem(
    status: HTTPStatus,
    detail: str,
    *,
    faults: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document; ``faults`` lists what is wrong, by path."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    if faults is not None:
        body["faults"] = faults
    return Response(
        orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


async def from_error(_: Request, error: Exception) -> Response:
    """The problem that says what a caller can do about an error of ours."""
    match error:
        case SpecError():
            faults = [{"path": fault.path, "reason": fault.reason} for fault in error.faults]
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), faults=faults)
        case Conflict():
            return problem(HTTPStatus.CONFLICT, str(error))
        case RoutingRefused():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case UnknownRelease():
            return problem(HTTPStatus.NOT_FOUND, str(error))
        case TransientError():
            seconds = str(max(1, round(error.retry_after_s)))
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"retry-after": seconds}
            )
        case StateError():
            return problem(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        case _:
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug of ours; the log has it")


HANDLED = SluiceError
