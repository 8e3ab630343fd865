"""The supervisor's HTTP API, on a unix socket that only this user can open.

Errors are RFC 9457 problem documents; the client turns them into the CLI's one line and exit code.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sluice.errors import (
    Fault,
    InvariantError,
    RefusedError,
    RoutingRefused,
    SluiceError,
    SpecError,
    StateError,
    TransientError,
    UnknownRelease,
)
from sluice.laptop.deploy import Deployer
from sluice.laptop.logs import read_logs
from sluice.nouns import RevisionId
from sluice.platforms.local.folder import StateFolder
from sluice.reports.document import dump_json
from sluice.runtime.loop import Loop
from sluice.runtime.verbs import VerbBody, event_of

Handler = Callable[[Request], Awaitable[Response]]

STATUS: Mapping[type[SluiceError], HTTPStatus] = {
    SpecError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusedError: HTTPStatus.CONFLICT,
    RoutingRefused: HTTPStatus.CONFLICT,
    UnknownRelease: HTTPStatus.NOT_FOUND,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    StateError: HTTPStatus.INSUFFICIENT_STORAGE,
    InvariantError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


T = TypeVar("T", bound=BaseModel)


class _File(_Body):
    name: str
    text: str


class _Apply(_Body):
    files: list[_File]
    by: str = ""


class _Down(_Body):
    drain: bool = True


def build_api(
    *,
    loop: Loop,
    deployer: Deployer,
    folder: StateFolder,
    about: Callable[[], Mapping[str, Any]],
    stop: Callable[[bool], None],
) -> Starlette:
    """The application of one supervisor.

    Args:
        loop: Its releases.
        deployer: Takes documents.
        folder: Where its logs lie.
        about: What ``/v1/healthz`` says.
        stop: Ends the supervisor; True: finish requests under way first.
    """

    async def health(_: Request) -> Response:
        return _json(about())

    async def every(_: Request) -> Response:
        return _json(loop.statuses())

    async def one(request: Request) -> Response:
        return _json(loop.status(request.path_params["name"]))

    async def history(request: Request) -> Response:
        return _json(await loop.history(request.path_params["name"]))

    async def polls(request: Request) -> Response:
        loop.status(request.path_params["name"])
        return _json(await loop.polls(request.path_params["name"]))

    async def kept(request: Request) -> Response:
        loop.status(request.path_params["name"])
        number = request.query_params.get("pass", "")
        if not number.isdecimal():
            raise RefusedError(f"pass must be the number of a pass, not {number!r}")
        return _json(await loop.kept(request.path_params["name"], int(number)))

    async def logs(request: Request) -> Response:
        status = loop.status(request.path_params["name"])
        asked = request.query_params
        revision = asked.get("revision")
        tail = asked.get("tail", "100")
        if not tail.isdecimal():
            raise RefusedError(f"tail must be a number of lines, not {tail!r}")
        lines, cursor = read_logs(
            folder.logs / status.name,
            revision=RevisionId(revision) if revision else None,
            tail=int(tail),
            since=asked.get("since"),
        )
        return _json({"lines": lines, "cursor": cursor})

    async def apply(request: Request) -> Response:
        body = await _read(request, _Apply)
        files = [(item.name, item.text) for item in body.files]
        return _json(asdict(await deployer.apply(files)))

    async def verb(request: Request) -> Response:
        name, word = request.path_params["name"], request.path_params["verb"]
        body = await _read(request, VerbBody)
        if word == "delete":
            status = await loop.delete(name, by=body.by)
            deployer.forget(name)
        else:
            status = await loop.command(name, event_of(word, body))
        return _json({"message": status.message, "status": status})

    async def down(request: Request) -> Response:
        body = await _read(request, _Down)
        stop(body.drain)
        return _json({"stopping": True}, HTTPStatus.ACCEPTED)

    return Starlette(
        routes=[
            Route("/v1/healthz", health),
            Route("/v1/releases", every),
            Route("/v1/releases/{name}", one),
            Route("/v1/releases/{name}/history", history),
            Route("/v1/releases/{name}/polls", polls),
            Route("/v1/releases/{name}/kept", kept),
            Route("/v1/releases/{name}/logs", logs),
            Route("/v1/apply", apply, methods=["POST"]),
            Route("/v1/releases/{name}/{verb}", verb, methods=["POST"]),
            Route("/v1/down", down, methods=["POST"]),
        ],
        exception_handlers={
            SluiceError: _problem,
            HTTPException: _problem,
            Exception: _problem,
        },
    )


async def _read(request: Request, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise SpecError(
            [
                Fault(path=".".join(map(str, item["loc"])) or "(body)", reason=item["msg"])
                for item in error.errors(include_url=False)
            ]
        ) from error


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(dump_json(value), status_code=status, media_type="application/json")


async def _problem(_: Request, error: Exception) -> Response:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = f"{type(error).__name__}: {error}"
    extra: dict[str, object] = {}
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        detail = status.description or status.phrase
    elif isinstance(error, SluiceError):
        status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
        detail = str(error)
    if isinstance(error, SpecError):
        extra["faults"] = [asdict(fault) for fault in error.faults]
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        **extra,
    }
    return Response(dump_json(body), status_code=status, media_type="application/problem+json")
