"""The agent's HTTP API. Reference: ``docs/reference/agent-api.md``."""

import math
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sluice.agent.callers import Callers
from sluice.agent.captures import Captures
from sluice.agent.core import Agent
from sluice.agent.drain import drain
from sluice.agent.exposition import exposition
from sluice.agent.problems import from_error, problem
from sluice.agent.sampler import Sampler
from sluice.dataplanes.agents import EPOCH_HEADER
from sluice.dataplanes.codec import (
    MAX_BYTES,
    decode_fragment,
    decode_releases,
    encode_ack,
    encode_acks,
)
from sluice.dataplanes.envoyadmin import EnvoyAdmin
from sluice.errors import Fault, SluiceError, SpecError, TransientError
from sluice.metrics.codec import encode_snapshots
from sluice.metrics.pairs_codec import encode_pairs

Handler = Callable[[Request], Awaitable[Response]]
JSON = "application/json"
MAX_DRAIN_S = 3_600.0


def build_api(
    agent: Agent,
    sampler: Sampler,
    admin: EnvoyAdmin,
    captures: Captures,
    callers: Callers,
    *,
    token: str,
    waiting_for: Callable[[], str] = lambda: "",
) -> Starlette:
    """The application of one router; every path below ``/v1`` needs the token.

    Args:
        agent: What is served.
        sampler: What is counted.
        admin: The Envoy beside it.
        captures: Answers to mirrored requests.
        callers: Who may change something.
        token: What callers must show.
        waiting_for: Returns what the router must still learn before it is ready; empty: nothing.
    """
    api = _Api(agent, sampler, admin, captures, waiting_for)
    expected = f"Bearer {token}".encode()

    def guarded(handler: Handler) -> Handler:
        async def check(request: Request) -> Response:
            shown = request.headers.get("authorization", "").encode()
            if not secrets.compare_digest(shown, expected):
                return problem(
                    HTTPStatus.UNAUTHORIZED,
                    "show the router's token: Authorization: Bearer …",
                    headers={"www-authenticate": "Bearer"},
                )
            callers.heard()
            if request.method != "GET":
                callers.admit(request.headers.get(EPOCH_HEADER))
            return await handler(request)

        return check

    routes = [
        Route("/v1/releases/{release:path}/pairs", guarded(api.pairs), methods=["GET"]),
        Route("/v1/releases/{release:path}", guarded(api.put), methods=["PUT"]),
        Route("/v1/releases/{release:path}", guarded(api.delete), methods=["DELETE"]),
        Route("/v1/leases", guarded(api.renew), methods=["POST"]),
        Route("/v1/acks", guarded(api.acks), methods=["GET"]),
        Route("/v1/counters", guarded(api.counters), methods=["GET"]),
        Route("/v1/drain", guarded(api.drain), methods=["POST"]),
        Route("/metrics", api.metrics, methods=["GET"]),
        Route("/healthz", api.alive, methods=["GET"]),
        Route("/readyz", api.ready, methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            SluiceError: from_error,
            HTTPException: _from_http,
            Exception: from_error,
        },
    )


async def _from_http(_: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else None
    status = status or HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, status.description or status.phrase)


class _Api:
    def __init__(
        self,
        agent: Agent,
        sampler: Sampler,
        admin: EnvoyAdmin,
        captures: Captures,
        waiting_for: Callable[[], str],
    ) -> None:
        self._waiting_for = waiting_for
        self._captures = captures
        self._agent = agent
        self._sampler = sampler
        self._admin = admin

    async def put(self, request: Request) -> Response:
        fragment = decode_fragment(await _body(request))
        release = request.path_params["release"]
        if fragment.routing.release != release:
            reason = f"is {fragment.routing.release}, but the path says {release}"
            raise SpecError([Fault(path="routing.release", reason=reason)])
        return Response(encode_ack(await self._agent.put(fragment)), media_type=JSON)

    async def delete(self, request: Request) -> Response:
        await self._agent.delete(request.path_params["release"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def renew(self, request: Request) -> Response:
        await self._agent.renew(decode_releases(await _body(request)))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def acks(self, _: Request) -> Response:
        return Response(encode_acks(self._agent.acks()), media_type=JSON)

    async def counters(self, _: Request) -> Response:
        snapshots = await self._sampler.snapshots()
        return Response(encode_snapshots(self._agent.name, snapshots), media_type=JSON)

    async def pairs(self, request: Request) -> Response:
        after = request.query_params.get("after")
        batch = self._captures.read(request.path_params["release"], after)
        return Response(encode_pairs(self._agent.name, batch), media_type=JSON)

    async def drain(self, request: Request) -> Response:
        wait_s, cap_s = (
            _seconds(request, name, default) for name, default in (("wait_s", 1.0), ("cap_s", 30.0))
        )
        active = await drain(self._admin, wait_s=wait_s, cap_s=cap_s)
        return Response(orjson.dumps({"active": active}), media_type=JSON)

    async def metrics(self, _: Request) -> Response:
        try:
            arms = await self._sampler.tallies()
        except TransientError:
            arms = {}
        text = exposition(arms, self._agent.acks(), self._agent.fragments)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> Response:
        missing = self._waiting_for()
        if not missing and not await self._admin.ready():
            missing = "Envoy has not accepted clusters and routes yet, or is draining"
        if missing:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, missing)
        return PlainTextResponse("ready\n")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise SpecError([Fault(path="(document)", reason=f"is larger than {MAX_BYTES} bytes")])
    return bytes(body)


def _seconds(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_DRAIN_S:
        reason = f"must be seconds between 0 and {MAX_DRAIN_S:g}"
        raise SpecError([Fault(path=name, reason=reason)])
    return value
