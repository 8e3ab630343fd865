"""Every route of the protocol and ``/predict``, as functions from request to reply."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson

from sluice_model_api import __version__
from sluice_model_api.errors import RequestError
from sluice_model_api.faults import FaultInjector
from sluice_model_api.http.exchange import JSON, OCTETS, Reply, Request, json_reply, new_id
from sluice_model_api.metrics import Metrics
from sluice_model_api.model import Model
from sluice_model_api.predictions.log import PredictionLog
from sluice_model_api.repository import Entry, Repository
from sluice_model_api.settings import Settings
from sluice_model_api.tensors import Array, cell, json_name
from sluice_model_api.wire.v2 import dump_infer, parse_infer

Handler = Callable[[Request, str, str], Awaitable[Reply]]
"""Request, model name and version (each may be empty) to reply."""

EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
ID_FIELDS: Final = ("prediction_id", "entity_id")
"""Keys of a `/predict` record that are not fields of the model."""
SHADOW: Final = b"x-sluice-shadow"
"""Header of a mirrored copy: nobody's request, so it must not write."""
LONGEST_ID = 256
METRICS_TYPE: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Protocol:
    """Handlers of the routes; one object per process."""

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        metrics: Metrics,
        injector: FaultInjector,
        log: PredictionLog | None,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._metrics = metrics
        self._injector = injector
        self._log = log
        # One thread: slow models hold the interpreter, more would only take turns.
        self._slow = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")
        self._user_header = settings.user_header.encode()
        self.draining = False

    # --- probes and metadata -------------------------------------------------------------------

    async def live(self, _request: Request, _name: str, _version: str) -> Reply:
        return json_reply({"live": True})

    async def ready(self, _request: Request, _name: str, _version: str) -> Reply:
        if self.draining or not self._repository.ready:
            why = "draining" if self.draining else "loading"
            return json_reply({"ready": False, "live": True, "error": why}, status=503)
        return json_reply({"ready": True, "live": True})

    async def model_ready(self, _request: Request, name: str, version: str) -> Reply:
        entry = self._repository.entry(name, version)
        ready = entry.model is not None and not self.draining
        document: dict[str, Any] = {"name": name, "ready": ready}
        if not ready:
            document["error"] = "draining" if self.draining else f"model '{name}' is loading"
        return json_reply(document, status=200 if ready else 503)

    async def server(self, _request: Request, _name: str, _version: str) -> Reply:
        return json_reply(
            {"name": "sluice-model-api", "version": __version__, "extensions": EXTENSIONS}
        )

    async def models(self, _request: Request, _name: str, _version: str) -> Reply:
        return json_reply({"models": list(self._repository.names)})

    async def metadata(self, _request: Request, name: str, version: str) -> Reply:
        entry = self._repository.entry(name, version)
        manifest = entry.manifest
        return json_reply(
            {
                "name": manifest.name,
                "versions": self._repository.versions(name),
                "platform": manifest.platform,
                "inputs": [_tensor(spec) for spec in manifest.inputs],
                "outputs": [_tensor(spec) for spec in manifest.outputs],
                "parameters": {
                    "version": manifest.version,
                    "digest": entry.digest,
                    "feature_function": manifest.features.id,
                },
            }
        )

    async def index(self, request: Request, _name: str, _version: str) -> Reply:
        body = await request.body(limit=self._settings.max_body_bytes)
        only_ready = False
        if body.strip():
            try:
                asked = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise RequestError(f"the body is not JSON: {error}") from error
            if type(asked) is not dict:
                raise RequestError(f"expected a JSON object, got {json_name(asked)}")
            only_ready = asked.get("ready") is True
        return json_reply(
            [
                _index_row(entry)
                for entry in self._repository.entries()
                if entry.model is not None or not only_ready
            ]
        )

    async def metrics(self, _request: Request, _name: str, _version: str) -> Reply:
        return Reply(200, self._metrics.render(), [METRICS_TYPE])

    # --- inference -----------------------------------------------------------------------------

    async def infer(self, request: Request, name: str, version: str) -> Reply:
        model = self._repository.model(name, version)
        body = await request.body(limit=self._settings.max_body_bytes)
        length = request.headers.get(b"inference-header-content-length")
        parsed = parse_infer(body, None if length is None else length.decode("latin-1"), model)
        outputs = await self.score(model, parsed.columns, parsed.rows)
        prediction_id = parsed.id or new_id()
        if self._log is not None and SHADOW not in request.headers:
            self._log.offer(
                prediction_id=prediction_id,
                rows=parsed.rows,
                model=model,
                route="web",
                columns=parsed.columns,
                outputs=outputs,
                request_id=request.request_id,
                user_id=self._user_id(request),
            )
        content, head = dump_infer(parsed, model, outputs)
        reply = Reply(200, content, [JSON if head is None else OCTETS, version_header(model)])
        if head is not None:
            reply.headers.append((b"inference-header-content-length", b"%d" % head))
        reply.headers.append((b"x-prediction-id", _header_value(prediction_id)))
        return reply

    async def predict(self, request: Request, name: str, version: str) -> Reply:
        model = self._repository.model(name or self._only_name(), version)
        body = await request.body(limit=self._settings.max_body_bytes)
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RequestError(f"the body is not JSON: {error}") from error
        records = parsed if type(parsed) is list else [parsed]
        if not records:
            raise RequestError("no records; send an object or a list of objects")
        ids, entities = _take_ids(records)
        columns = model.contract.columns_of(records)
        outputs = await self.score(model, columns, len(records))
        if self._log is not None and SHADOW not in request.headers:
            user_id = self._user_id(request)
            for row, (prediction_id, entity_id) in enumerate(zip(ids, entities, strict=True)):
                self._log.offer(
                    prediction_id=prediction_id,
                    rows=1,
                    model=model,
                    route="web",
                    columns={key: value[row : row + 1] for key, value in columns.items()},
                    outputs={key: value[row : row + 1] for key, value in outputs.items()},
                    request_id=request.request_id,
                    entity_id=entity_id,
                    user_id=user_id,
                )
        answers = [
            {"prediction": prediction, "model": model.name, "version": model.version,
             "prediction_id": prediction_id}
            for prediction, prediction_id in zip(_predictions(model, outputs), ids, strict=True)
        ]  # fmt: skip
        reply = json_reply(answers if type(parsed) is list else answers[0])
        reply.headers.append(version_header(model))
        if len(ids) == 1:
            reply.headers.append((b"x-prediction-id", _header_value(ids[0])))
        return reply

    def _user_id(self, request: Request) -> str:
        """Who asks; empty when nobody said, or at a length that is no id."""
        given = request.headers.get(self._user_header)
        if given is not None:
            # Routers draw by the bytes, and outcomes name users in UTF-8.
            found = given.decode("utf-8", "replace")
        elif b"cookie" in request.headers:
            found = request.cookie(self._settings.user_cookie)
        else:
            return ""
        return found if len(found) <= LONGEST_ID else ""

    async def score(self, model: Model, columns: dict[str, Array], rows: int) -> dict[str, Array]:
        """Score checked columns where it disturbs other requests least.

        Raises:
            RequestError: the inputs lead the model to NaN or infinity.
        """
        if model.fast and rows <= self._settings.inline_rows:
            outputs = model.score(columns)
        else:
            loop = asyncio.get_running_loop()
            outputs = await loop.run_in_executor(self._slow, model.score, columns)
        return self._injector.outputs(outputs) if self._injector.on_outputs else outputs

    def _only_name(self) -> str:
        names = self._repository.names
        if len(names) != 1:
            raise RequestError(
                f"several models are served; use /predict/NAME with one of {', '.join(names)}",
                status=404,
            )
        return names[0]

    def names(self, name: str, version: str) -> tuple[str, str]:
        """Name and version that a request for these was answered by, for metrics."""
        names = self._repository.names
        if not name and len(names) == 1:
            name = names[0]
        entry = self._repository.find(name, version)
        return ("", "") if entry is None else (entry.manifest.name, entry.manifest.version)

    def close(self) -> None:
        """Let the thread go."""
        self._slow.shutdown(wait=False, cancel_futures=True)


def version_header(model: Model) -> tuple[bytes, bytes]:
    """Says which version answered."""
    return b"x-model-version", model.version.encode()


def _tensor(spec: Any) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _index_row(entry: Entry) -> dict[str, str]:
    manifest = entry.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "state": entry.state.value,
        "reason": "" if entry.model else "loading",
    }


def _header_value(text: str) -> bytes:
    """An id as a header: what cannot be in one (line breaks, non-ASCII) becomes ``?``."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return bytes(ord(char) if " " <= char <= "~" else ord("?") for char in text)


def _take_ids(records: list[Any]) -> tuple[list[str], list[str]]:
    """Prediction and entity ids of records, which lose those keys."""
    ids, entities = [], []
    for record in records:
        if type(record) is not dict:
            raise RequestError(
                f"expected an object with the model's fields, got {json_name(record)}"
            )
        found = []
        for field in ID_FIELDS:
            value = record.pop(field, "")
            if type(value) is not str or len(value) > LONGEST_ID:
                raise RequestError(f"{field} must be a string of at most {LONGEST_ID} characters")
            found.append(value)
        ids.append(found[0] or new_id())
        entities.append(found[1])
    return ids, entities


def _predictions(model: Model, outputs: dict[str, Array]) -> list[Any]:
    """One answer a row: the bare value, or values by output name where there are several."""
    if model.single:
        (array,) = outputs.values()
        return [cell(value) for value in array]
    rows = len(next(iter(outputs.values())))
    return [{name: cell(array[row]) for name, array in outputs.items()} for row in range(rows)]
