"""The application: hot routes in plain ASGI, everything else in FastAPI behind them."""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple

import structlog

from sluice_model_api.errors import ModelApiError, RequestError
from sluice_model_api.faults import FaultInjector
from sluice_model_api.http.exchange import (
    ClientGone,
    Header,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    error_reply,
    json_reply,
)
from sluice_model_api.http.protocol import Handler, Protocol
from sluice_model_api.metrics import Metrics
from sluice_model_api.settings import Settings
from sluice_model_api.wire.compression import choose, compress

log = structlog.get_logger()

CLIENT_GONE: Final = 499
"""Code under which a request is counted whose client closed the connection."""
_FAULTED: Final = frozenset(("infer", "predict"))
_OF_MODEL: Final = _FAULTED | {"metadata", "model_ready"}

Route = tuple[str, Handler]


class Found(NamedTuple):
    """Where a request goes."""

    route: str
    """Name for metrics."""
    handler: Handler | None
    """``None``: FastAPI has it."""
    model: str
    version: str
    """As the path names them; empty where it does not."""
    labels: tuple[str, str]
    """Model and version that serve it, for metrics: never what a caller made up."""
    faulted: bool
    """Faults on demand happen here."""


_NOWHERE: Final = Found("other", None, "", "", ("", ""), faulted=False)
_REST: Final = Found("rest", None, "", "", ("", ""), faulted=False)


class Service:
    """ASGI application of one process.

    Args:
        settings: As read from the environment.
        protocol: Handlers of the hot routes.
        metrics: Counted into for every request.
        injector: Faults on demand.
        rest: ASGI application of all other routes; made when first needed, because importing
            FastAPI costs a process 10 MB and half a second (decision 0050).
    """

    def __init__(
        self,
        settings: Settings,
        protocol: Protocol,
        metrics: Metrics,
        injector: FaultInjector,
        rest: "Rest",
    ) -> None:
        self._settings = settings
        self._protocol = protocol
        self._metrics = metrics
        self._injector = injector
        self._rest = rest
        self.draining = False
        self._log_all = settings.log_requests == "all"
        self._log_none = settings.log_requests == "off"
        self._found: dict[tuple[str, str], Found] = {}
        self._exact: Mapping[str, Mapping[str, Route]] = {
            "/v2/health/live": {"GET": ("live", protocol.live)},
            "/v2/health/ready": {"GET": ("ready", protocol.ready)},
            "/v2": {"GET": ("server", protocol.server)},
            "/v2/": {"GET": ("server", protocol.server)},
            "/v2/models": {"GET": ("models", protocol.models)},
            "/v2/repository/index": {"POST": ("index", protocol.index)},
            "/metrics": {"GET": ("metrics", protocol.metrics)},
            "/predict": {"POST": ("predict", protocol.predict)},
        }
        self._of_model: Mapping[str, Mapping[str, Route]] = {
            "": {"GET": ("metadata", protocol.metadata)},
            "ready": {"GET": ("model_ready", protocol.model_ready)},
            "infer": {"POST": ("infer", protocol.infer)},
        }

    def drain(self) -> None:
        """Not ready from now on; every answer tells its client to connect elsewhere."""
        self.draining = self._protocol.draining = self._metrics.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        started = perf_counter()
        metrics = self._metrics
        metrics.in_flight += 1
        request = Request(scope, receive)
        found, code = _NOWHERE, CLIENT_GONE
        try:
            try:
                found = self._found.get((request.method, request.path)) or self._find(request)
                if found.handler is None:
                    code = await self._rest.answer(scope, receive, send)
                    return
                if self._injector.on_requests and (found.faulted or self._injector.faults.probes):
                    await self._injector.before(request.gone)
                reply = await found.handler(request, found.model, found.version)
            except ModelApiError as error:
                reply = error_reply(error)
                if error.status == 405:
                    reply.headers.append((b"allow", self._allowed(request.path)))
            except ClientGone:
                return
            except Exception:
                log.exception("request.crashed", path=request.path, request_id=request.request_id)
                reply = json_reply({"error": "internal error; see the log"}, status=500)
            code = reply.status
            await self._send(request, reply, send)
        finally:
            metrics.in_flight -= 1
            seconds = perf_counter() - started
            metrics.observe((*found.labels, found.route, code), seconds)
            if code >= 500 or self._log_all:
                self._log(request, found.route, code, seconds)

    async def _send(self, request: Request, reply: Reply, send: Send) -> None:
        headers: list[Header] = reply.headers
        body = reply.body
        if len(body) >= self._settings.compress_min_bytes:
            accepted = request.headers.get(b"accept-encoding")
            encoding = choose(accepted.decode("latin-1")) if accepted else ""
            headers.append((b"vary", b"accept-encoding"))
            if encoding:
                body = compress(body, encoding)
                headers.append((b"content-encoding", encoding.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        if request.names_itself:
            headers.append((b"x-request-id", request.request_id.encode()))
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if request.method == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    def _find(self, request: Request) -> Found:
        """The route of a request; remembered once its model has been found.

        Raises:
            RequestError: no such path (404) or method (405).
        """
        routes, model, version = self._routes(request.path)
        if routes is None:
            return _REST
        method = "GET" if request.method == "HEAD" else request.method
        if method not in routes:
            raise RequestError(
                f"{request.method} is not possible here; use {', '.join(routes)}", status=405
            )
        route, handler = routes[method]
        of_model = route in _OF_MODEL
        labels = self._protocol.names(model, version) if of_model else ("", "")
        found = Found(route, handler, model, version, labels, route in _FAULTED)
        if labels[0] or not of_model:
            # As many as there are paths of models that exist: callers cannot make it grow.
            self._found[(request.method, request.path)] = found
        return found

    def _routes(self, path: str) -> tuple[Mapping[str, Route] | None, str, str]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, "", ""
        match path.split("/"):
            case ["", "v2", "models", name, "versions", version] if version:
                return self._of_model[""], name, version
            case ["", "v2", "models", name, "versions", version, verb] if (
                version and verb in self._of_model
            ):
                return self._of_model[verb], name, version
            case ["", "v2", "models", name]:
                return self._of_model[""], name, ""
            case ["", "v2", "models", name, verb] if verb in self._of_model:
                return self._of_model[verb], name, ""
            case ["", "predict", name] | ["", "predict", name, ""]:
                return self._exact["/predict"], name, ""
            case ["", "predict", name, version]:
                return self._exact["/predict"], name, version
        if self._rest.has(path):
            return None, "", ""
        raise RequestError(f"no route {path[:200]!r}; the list of routes is at /docs", status=404)

    def _allowed(self, path: str) -> bytes:
        routes, _, _ = self._routes(path)
        return ", ".join(routes or ()).encode()

    def _log(self, request: Request, route: str, code: int, seconds: float) -> None:
        if not self._log_none:
            log.info(
                "request.answered",
                method=request.method,
                path=request.path,
                route=route,
                code=code,
                duration_ms=round(seconds * 1000, 3),
                request_id=request.request_id,
            )


class Rest:
    """The routes that FastAPI serves: documentation, feedback and faults.

    Args:
        make: Builds the application; called once, when first needed or by :meth:`warm`.
        paths: Paths that it has; nothing else reaches it.
    """

    def __init__(self, make: Any, paths: frozenset[str]) -> None:
        self._make = make
        self._paths = paths
        self._app: Any = None
        self._making = asyncio.Lock()

    def has(self, path: str) -> bool:
        """This path is FastAPI's."""
        return path in self._paths

    def warm(self) -> None:
        """Build the application now, so that no request waits for the import."""
        self._app = self._app or self._make()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Let FastAPI answer; returns the code that it answered with."""
        async with self._making:
            if self._app is None:
                self._app = await asyncio.to_thread(self._make)
        # These routes take JSON only, and `curl -d` calls whatever it sends a form.
        scope["headers"] = [
            *(header for header in scope["headers"] if header[0] != b"content-type"),
            (b"content-type", b"application/json"),
        ]
        code = 0

        async def watch(message: Any) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            # Starlette answers 500 by itself and raises all the same, for the log.
            if not code:
                raise
            log.exception("request.crashed", route="rest")
        return code
