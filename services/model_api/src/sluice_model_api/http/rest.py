"""The routes that FastAPI serves: documentation, faults on demand and feedback."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from msgspec.structs import asdict
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException

from sluice_model_api import __version__
from sluice_model_api.environment import Secret, UnusableError
from sluice_model_api.errors import ModelApiError, RequestError
from sluice_model_api.faults import FaultInjector, Faults
from sluice_model_api.http.openapi import hot_paths, with_our_errors
from sluice_model_api.predictions.stores import Store
from sluice_model_api.repository import Repository
from sluice_model_api.settings import Settings


class Feedback(BaseModel):
    """What really happened, for a prediction made before."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prediction_id: Annotated[str, Field(min_length=1, max_length=256)]
    """Id that the prediction was answered with, or the caller's own."""
    outcome: float | str | bool | dict[str, Any]
    """The true value, or values by name; sent again, the last one counts."""

    @model_validator(mode="after")
    def _writable(self) -> "Feedback":
        """Refuse what no store could give back as it was sent."""
        try:
            json.dumps(self.outcome, allow_nan=False)
            orjson.dumps((self.prediction_id, self.outcome))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"cannot be kept as JSON: {error}") from error
        return self


def make_rest(
    paths: frozenset[str],
    settings: Settings,
    repository: Repository,
    injector: FaultInjector,
    store: Store | None,
) -> FastAPI:
    """The FastAPI application behind the hot routes; what is not in ``paths`` is not there."""
    app = FastAPI(
        title="sluice model API",
        version=__version__,
        description="Open Inference Protocol V2, and the models' own fields at /predict.",
        redoc_url=None,
        strict_content_type=False,
    )
    if "/admin/faults" in paths:
        _add_admin(app, settings.admin_token, injector)
    if "/feedback" in paths:
        _add_feedback(app, settings.feedback_token, store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ModelApiError, _own_error)
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            document["paths"] = {**hot_paths(repository), **with_our_errors(document["paths"])}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _bearer(token: Secret) -> Callable[[Request], Awaitable[None]]:
    expected = f"Bearer {token.get_secret_value()}".encode()

    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not secrets.compare_digest(given, expected):
            raise RequestError("a bearer token is needed (Authorization: Bearer …)", status=401)

    return check


def _add_admin(app: FastAPI, token: Secret, injector: FaultInjector) -> None:
    guard = [Depends(_bearer(token))]

    @app.get("/admin/faults", dependencies=guard, summary="Faults that are on")
    async def read() -> dict[str, Any]:
        return asdict(injector.faults)

    @app.put("/admin/faults", dependencies=guard, summary="Replace all faults")
    async def replace(faults: dict[str, Any]) -> dict[str, Any]:
        injector.set(_faults(faults))
        return asdict(injector.faults)


def _faults(document: dict[str, Any]) -> Faults:
    known = Faults.__struct_fields__
    unknown = [name for name in document if name not in known]
    if unknown:
        raise RequestError(f"fault {unknown[0][:80]!r} is unknown; faults are {', '.join(known)}")
    try:
        return Faults.checked(document)
    except UnusableError as error:
        raise RequestError(str(error)) from error


def _add_feedback(app: FastAPI, token: Secret, store: Store | None) -> None:
    @app.post(
        "/feedback",
        dependencies=[Depends(_bearer(token))],
        summary="Tell what really happened",
        status_code=200,
    )
    async def feedback(body: Feedback) -> dict[str, str]:
        if store is None:
            raise RequestError("no store for feedback: set MODEL_API_PREDICTIONS_URL", status=404)
        now_ms = time.time_ns() // 1_000_000
        await asyncio.to_thread(store.feedback, body.prediction_id, body.outcome, now_ms)
        return {"prediction_id": body.prediction_id, "stored": "yes"}


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it alone
    return JSONResponse({"error": _text(error.errors())}, status_code=400)


def _text(faults: Sequence[Any]) -> str:
    return "; ".join(f"{_where(fault['loc'])}: {fault['msg']}" for fault in faults)


def _where(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it alone
    return JSONResponse(
        {"error": str(error.detail)}, status_code=error.status_code, headers=error.headers
    )


async def _own_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ModelApiError)  # noqa: S101  # registered for it alone
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)
