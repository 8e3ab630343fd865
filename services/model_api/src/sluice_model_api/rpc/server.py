"""gRPC V2: the same models, contract, faults and counters behind ``GRPCInferenceService``."""

import asyncio
from collections.abc import Awaitable, Callable
from math import prod
from time import perf_counter
from typing import Any, Final

import grpc
import grpc.aio

from sluice_model_api import __version__
from sluice_model_api.errors import ModelApiError, RequestError
from sluice_model_api.http.exchange import new_id
from sluice_model_api.http.protocol import EXTENSIONS, LONGEST_ID, SHADOW
from sluice_model_api.parts import Parts
from sluice_model_api.rpc.messages import message_classes
from sluice_model_api.settings import SettingsError
from sluice_model_api.tensors import Array, from_bytes, from_values, to_bytes
from sluice_model_api.wire.v2 import check_tensor

SERVICE: Final = "inference.GRPCInferenceService"
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}
_CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Field of typed values per datatype; FP16 has none and must be sent raw."""

Method = Callable[[Any, Any], Awaitable[Any]]


class RpcServer:
    """The gRPC service of one process, in the event loop of the HTTP one.

    Args:
        parts: What HTTP serves with.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.

    Raises:
        SettingsError: the port is taken.
    """

    def __init__(self, parts: Parts, *, host: str, port: int) -> None:
        self._parts = parts
        self._messages = message_classes()
        limit = parts.settings.max_body_bytes
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        methods: dict[str, Method] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
            "RepositoryIndex": self._index,
        }
        handlers = {name: self._handler(name, method) for name, method in methods.items()}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, handlers),)
        )
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise SettingsError(f"gRPC cannot listen on {host}:{port}") from error

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and wait for those in flight."""
        await self._server.stop(grace_s)

    def _handler(self, name: str, method: Method) -> Any:
        request = self._messages[f"{name}Request"]

        async def call(message: Any, context: Any) -> Any:
            started = perf_counter()
            code, model, version = 200, "", ""
            self._parts.metrics.in_flight += 1
            try:
                if name == "ModelInfer":
                    model, version = message.model_name, message.model_version
                return await method(message, context)
            except ModelApiError as error:
                code = error.status
                await context.abort(_CODES.get(code, grpc.StatusCode.INTERNAL), str(error))
            finally:
                self._parts.metrics.in_flight -= 1
                names = self._parts.protocol.names(model, version) if model else ("", "")
                key = (*names, f"grpc_{name}", code)
                self._parts.metrics.observe(key, perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    async def _live(self, _request: Any, _context: Any) -> Any:
        return self._messages["ServerLiveResponse"](live=True)

    async def _ready(self, _request: Any, _context: Any) -> Any:
        ready = self._parts.repository.ready and not self._parts.service.draining
        return self._messages["ServerReadyResponse"](ready=ready)

    async def _model_ready(self, request: Any, _context: Any) -> Any:
        entry = self._parts.repository.entry(request.name, request.version)
        ready = entry.model is not None and not self._parts.service.draining
        return self._messages["ModelReadyResponse"](ready=ready)

    async def _server_metadata(self, _request: Any, _context: Any) -> Any:
        return self._messages["ServerMetadataResponse"](
            name="sluice-model-api", version=__version__, extensions=EXTENSIONS
        )

    async def _model_metadata(self, request: Any, _context: Any) -> Any:
        manifest = self._parts.repository.entry(request.name, request.version).manifest
        return self._messages["ModelMetadataResponse"](
            name=manifest.name,
            versions=self._parts.repository.versions(request.name),
            platform=manifest.platform,
            inputs=[_tensor(spec) for spec in manifest.inputs],
            outputs=[_tensor(spec) for spec in manifest.outputs],
        )

    async def _index(self, request: Any, _context: Any) -> Any:
        rows = [
            {
                "name": entry.manifest.name,
                "version": entry.manifest.version,
                "state": entry.state.value,
            }
            for entry in self._parts.repository.entries()
            if entry.model is not None or not request.ready
        ]
        return self._messages["RepositoryIndexResponse"](models=rows)

    async def _infer(self, request: Any, context: Any) -> Any:
        injector = self._parts.injector
        if injector.on_requests:
            await injector.before(_never_gone)
        model = self._parts.repository.model(request.model_name, request.model_version)
        columns = self._columns(request, model.contract.inputs)
        rows = model.contract.check_columns(columns)
        wanted = [output.name for output in request.outputs] or list(model.output_names)
        for name in wanted:
            if name not in model.output_names:
                known = ", ".join(model.output_names)
                raise RequestError(f"output {name[:80]!r} is unknown; outputs are {known}")
        outputs = await self._parts.protocol.score(model, columns, rows)
        metadata = dict(context.invocation_metadata() or ())
        if self._parts.log is not None and SHADOW.decode() not in metadata:
            user_id = metadata.get(self._parts.settings.user_header, "")
            self._parts.log.offer(
                prediction_id=request.id or new_id(),
                rows=rows,
                model=model,
                route="web",
                columns=columns,
                outputs=outputs,
                request_id=request.id,
                user_id=user_id if isinstance(user_id, str) and len(user_id) <= LONGEST_ID else "",
            )
        return self._messages["ModelInferResponse"](
            model_name=model.name,
            model_version=model.version,
            id=request.id,
            outputs=[
                {
                    "name": name,
                    "datatype": model.datatype(name),
                    "shape": outputs[name].shape,
                }
                for name in wanted
            ],
            raw_output_contents=[to_bytes(outputs[name], model.datatype(name)) for name in wanted],
        )

    def _columns(self, request: Any, specs: Any) -> dict[str, Array]:
        raw = request.raw_input_contents
        if raw and len(raw) != len(request.inputs):
            raise RequestError(
                f"raw_input_contents has {len(raw)} tensors, inputs names {len(request.inputs)}"
            )
        columns: dict[str, Array] = {}
        for index, tensor in enumerate(request.inputs):
            spec = specs.get(tensor.name)
            if spec is None or tensor.name in columns:
                why = "appears twice" if spec else f"is unknown; inputs are {', '.join(specs)}"
                raise RequestError(f"input {tensor.name[:80]!r} {why}")
            shape = list(tensor.shape)
            check_tensor(tensor.name, tensor.datatype, shape, spec)
            columns[tensor.name] = (
                from_bytes(raw[index], shape, spec.datatype, tensor.name)
                if raw
                else _typed(tensor, shape, spec.datatype)
            )
        missing = [name for name in specs if name not in columns]
        if missing:
            raise RequestError(f"input '{missing[0]}' is missing; inputs are {', '.join(specs)}")
        return columns


def _typed(tensor: Any, shape: list[int], datatype: str) -> Array:
    field = _CONTENTS.get(datatype)
    if field is None:
        raise RequestError(f"input '{tensor.name}': send {datatype} in raw_input_contents")
    values = list(getattr(tensor.contents, field))
    if len(values) != prod(shape):
        raise RequestError(
            f"input '{tensor.name}': shape {shape} needs {prod(shape)} values in {field}, "
            f"got {len(values)}"
        )
    if datatype == "BYTES":
        try:
            values = [value.decode() for value in values]
        except UnicodeDecodeError as error:
            raise RequestError(f"input '{tensor.name}': BYTES must be UTF-8") from error
    return from_values(values, shape, datatype, tensor.name)


def _tensor(spec: Any) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


async def _never_gone() -> None:
    """A gRPC call that its client gave up is cancelled; it need not watch for that."""
    await asyncio.Event().wait()
