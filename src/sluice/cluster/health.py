"""``/healthz``, ``/readyz`` and ``/metrics`` of a controller."""

import contextlib
from collections.abc import Callable
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def build_app(
    *, alive: Callable[[], str], ready: Callable[[], str], metrics: Callable[[], bytes]
) -> Starlette:
    """The application.

    Args:
        alive: Why the process should be started anew; empty: it need not.
        ready: Why it is not ready; empty: it is. A stand-by is ready: an update of the Deployment
            must not wait until it leads.
        metrics: The text that Prometheus reads.
    """

    def answer(why: Callable[[], str]) -> Callable[[Request], Response]:
        def handler(_: Request) -> Response:
            reason = why()
            code = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
            return PlainTextResponse(f"{reason or 'ok'}\n", status_code=code)

        return handler

    def scrape(_: Request) -> Response:
        return Response(metrics(), media_type=TEXT)

    return Starlette(
        routes=[
            Route("/healthz", answer(alive)),
            Route("/readyz", answer(ready)),
            Route("/metrics", scrape),
        ]
    )


class Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: stopping is the controller's business."""

    def __init__(self, app: Starlette, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield
