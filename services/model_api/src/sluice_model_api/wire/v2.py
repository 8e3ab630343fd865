"""The inference request and response of the Open Inference Protocol V2, JSON and binary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.errors import RequestError
from sluice_model_api.model import Model
from sluice_model_api.tensors import DTYPES, Array, flatten, from_bytes, from_values, json_name
from sluice_model_api.tensors import to_bytes as tensor_bytes

_MAX_RANK = 8
_MAX_ID = 256
_INT = frozenset((int,))


@dataclass(slots=True, kw_only=True)
class InferRequest:
    """A request that kept the protocol and the model's contract."""

    id: str | None
    """The caller's id, echoed; ``None`` when none was sent."""
    columns: dict[str, Array]
    rows: int
    outputs: list[tuple[str, bool]]
    """Outputs asked for, in order, and whether each is wanted in binary."""


def parse_json(body: bytes | memoryview) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RequestError: not JSON, or not an object.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body:
            raise RequestError("the body is empty; expected a JSON object") from error
        raise RequestError(f"the body is not JSON: {error}") from error
    if type(parsed) is not dict:
        raise RequestError(f"expected a JSON object, got {json_name(parsed)}")
    return parsed


def parse_infer(body: bytes, header_length: str | None, model: Model) -> InferRequest:
    """Parse and check an inference request.

    Args:
        body: Decompressed body: JSON, followed by raw tensors when ``header_length`` is given.
        header_length: ``Inference-Header-Content-Length``, bytes of JSON; ``None`` without.
        model: The version that is asked.

    Raises:
        RequestError: says what was wrong and what is expected.
    """
    if header_length is None:
        return build_request(parse_json(body), model, _Binary(memoryview(b"")))
    if not (header_length.isascii() and header_length.isdigit()) or len(header_length) > 19:
        raise RequestError(
            "Inference-Header-Content-Length must be the number of bytes of JSON, "
            f"got {header_length[:40]!r}"
        )
    length = int(header_length)
    if length > len(body):
        raise RequestError(
            f"Inference-Header-Content-Length is {length}, the body has {len(body)} bytes"
        )
    view = memoryview(body)
    return build_request(parse_json(view[:length]), model, _Binary(view[length:]))


class _Binary:
    """The raw tensors behind the JSON, taken in the order of the inputs."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._offset = 0

    def take(self, size: object, name: str) -> memoryview:
        if type(size) is not int or size < 0:
            raise RequestError(
                f"input '{name}': binary_data_size must be a number of bytes, got {size!r}"
            )
        end = self._offset + size
        if end > len(self._raw):
            raise RequestError(
                f"input '{name}': binary_data_size {size} runs past the body, "
                f"{len(self._raw) - self._offset} bytes are left"
            )
        part = self._raw[self._offset : end]
        self._offset = end
        return part

    def finish(self) -> None:
        left = len(self._raw) - self._offset
        if left:
            raise RequestError(f"{left} bytes of binary data belong to no input")


def build_request(document: dict[str, Any], model: Model, binary: _Binary) -> InferRequest:
    """Turn a parsed document into checked columns and wanted outputs."""
    request_id = document.get("id")
    if request_id is not None and (type(request_id) is not str or len(request_id) > _MAX_ID):
        raise RequestError(f"id must be a string of at most {_MAX_ID} characters")
    binary_all = "parameters" in document and bool(
        _parameters(document, "the request").get("binary_data_output")
    )
    inputs = document.get("inputs")
    if type(inputs) is not list:
        got = "nothing" if inputs is None else json_name(inputs)
        raise RequestError(f"inputs must be a list of tensors, got {got}")
    specs = model.contract.inputs
    columns: dict[str, Array] = {}
    from_json = []
    for entry in inputs:
        name, column = _input(entry, specs, binary)
        if name in columns:
            raise RequestError(f"input '{name}' appears twice")
        columns[name] = column
        if "data" in entry:
            from_json.append(name)
    binary.finish()
    if len(columns) != len(specs):
        missing = [name for name in specs if name not in columns]
        raise RequestError(
            f"input '{missing[0]}' is missing; model {model.name} takes {', '.join(specs)}"
        )
    rows = model.contract.check_columns(columns, finite=from_json)
    outputs = (
        _outputs(document.get("outputs"), model, binary_all)
        if binary_all or "outputs" in document
        else model.json_outputs
    )
    return InferRequest(
        id=request_id,
        columns=columns,
        rows=rows,
        outputs=outputs,
    )


def _parameters(holder: dict[str, Any], whose: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise RequestError(f"parameters of {whose} must be an object, got {json_name(parameters)}")
    return parameters


def _input(entry: object, specs: Mapping[str, InputSpec], binary: _Binary) -> tuple[str, Array]:
    if type(entry) is not dict:
        raise RequestError(f"each input must be an object, got {json_name(entry)}")
    name = entry.get("name")
    if type(name) is not str:
        raise RequestError("each input needs a name, a string")
    spec = specs.get(name)
    if spec is None:
        raise RequestError(f"input {name[:80]!r} is unknown; inputs are {', '.join(specs)}")
    check_tensor(name, entry.get("datatype"), entry.get("shape"), spec)
    shape: list[int] = entry["shape"]
    parameters = _parameters(entry, f"input '{name}'") if "parameters" in entry else {}
    if "binary_data_size" in parameters:
        if "data" in entry:
            raise RequestError(f"input '{name}': send data or binary_data_size, not both")
        raw = binary.take(parameters["binary_data_size"], name)
        return name, from_bytes(raw, shape, spec.datatype, name)
    if "data" not in entry:
        raise RequestError(f"input '{name}': data is missing")
    return name, from_values(flatten(entry["data"], shape, name), shape, spec.datatype, name)


def check_tensor(name: str, datatype: object, shape: object, spec: InputSpec) -> None:
    """Compare what a caller states about a tensor with what the model takes.

    Raises:
        RequestError: another datatype, or a shape that is malformed, empty or does not fit.
    """
    if datatype != spec.datatype:
        if type(datatype) is not str or datatype not in DTYPES:
            raise RequestError(
                f"input '{name}': datatype must be one of {', '.join(DTYPES)}, here {spec.datatype}"
            )
        raise RequestError(f"input '{name}': datatype must be {spec.datatype}, got {datatype}")
    expected = spec.shape
    if type(shape) is list and _INT.issuperset(map(type, shape)) and shape:
        if shape[0] > 0 and tuple(shape[1:]) == expected[1:]:
            return
        well_formed = min(shape) >= 0
    else:
        well_formed = shape == []
    if type(shape) is not list or not well_formed:
        raise RequestError(f"input '{name}': shape must be a list of sizes")
    if len(shape) != len(expected) or any(
        want not in (-1, size) for want, size in zip(expected, shape, strict=True)
    ):
        shown = shape if len(shape) <= _MAX_RANK else f"{len(shape)} dimensions"
        raise RequestError(
            f"input '{name}': shape must be {list(expected)} (-1: any number of rows), got {shown}"
        )
    if shape[0] == 0:
        raise RequestError(f"input '{name}': no rows; send at least one")


def _outputs(wanted: object, model: Model, binary: bool) -> list[tuple[str, bool]]:
    if wanted is None:
        return [(name, binary) for name in model.output_names]
    if type(wanted) is not list:
        raise RequestError(f"outputs must be a list, got {json_name(wanted)}")
    chosen: list[tuple[str, bool]] = []
    for entry in wanted:
        name = entry.get("name") if type(entry) is dict else None
        if type(name) is not str:
            raise RequestError("each output must be an object with a name")
        if name not in model.output_names:
            raise RequestError(
                f"output {name[:80]!r} is unknown; outputs are {', '.join(model.output_names)}"
            )
        if any(name == before for before, _ in chosen):
            raise RequestError(f"output '{name}' is asked for twice")
        parameters = _parameters(entry, f"output '{name}'")
        if parameters.get("classification"):
            raise RequestError(f"output '{name}': the classification extension is not supported")
        chosen.append((name, bool(parameters.get("binary_data", binary))))
    # An empty list asks for nothing in particular: all outputs, as when it is absent.
    return chosen or [(name, binary) for name in model.output_names]


def dump_infer(
    request: InferRequest, model: Model, outputs: Mapping[str, Array]
) -> tuple[bytes, int | None]:
    """The response body, and the length of its JSON when raw tensors follow (else ``None``)."""
    tensors: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for name, binary in request.outputs:
        array = outputs[name]
        datatype = model.datatype(name)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
        if binary:
            content = tensor_bytes(array, datatype)
            tensor["parameters"] = {"binary_data_size": len(content)}
            raw.append(content)
        else:
            tensor["data"] = json_values(array)
        tensors.append(tensor)
    document: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        document["id"] = request.id
    document["outputs"] = tensors
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((head, *raw)), len(head)) if raw else (head, None)


def json_values(array: Array) -> Any:
    """Row-major values that orjson writes: numbers straight from numpy, at their own precision."""
    if array.dtype.kind in "OUS":
        return array.ravel().tolist()
    return array.ravel()
