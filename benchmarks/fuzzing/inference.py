"""Inference requests: JSON, binary tensors, compressed bodies and the models' own fields.

A target of ``benchmarks.fuzz``: whatever arrives is answered or refused by ``RequestError`` with
a 4xx; anything else would be a 500.
"""

import functools
import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson
from onnx import TensorProto, helper

from sluice_model_api.bundle.archive import Bundle, sha256
from sluice_model_api.bundle.manifest import Manifest
from sluice_model_api.errors import RequestError
from sluice_model_api.features import feature_digest, taxi
from sluice_model_api.features.taxi import TRIP_FEATURES
from sluice_model_api.model import Model
from sluice_model_api.records import score_records
from sluice_model_api.tensors import DTYPES
from sluice_model_api.training.taxi import DURATION
from sluice_model_api.wire.compression import choose, decompress
from sluice_model_api.wire.v2 import dump_infer, parse_infer, parse_json

LIMIT_BYTES = 1 << 16
_JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e38, 1e300, 5e-324,
    float("nan"), float("inf"), "", "x", "é\0", "2019-03-31T02:30:00", "NaN", [], [[]], [1, [2]],
    {}, {"a": 1}, [None], [-1], "\ud800",
)  # fmt: skip
_ONNX = {
    "BOOL": TensorProto.BOOL,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
_VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "INT64": [-(2**63), 2**63 - 1],
    "UINT8": [0, 255],
    "FP32": [0.5, -3e38],
    "FP64": [0.5, -1e300],
    "BYTES": ["", "å"],
}


def check(rng: random.Random) -> None:
    """Make one input and feed it to one parser; raise when it breaks."""
    target: Callable[[random.Random], object] = rng.choice(
        (_infer, _infer, _infer, _predict, _compressed)
    )
    try:
        target(rng)
    except RequestError as error:
        if not 400 <= error.status < 500:
            raise AssertionError(f"refused with {error.status}: {error}") from error
        if len(str(error)) > 2_000:
            raise AssertionError(f"{len(str(error))} characters of error") from error


@functools.cache
def _echo() -> Model:
    """A model with one input and output of every kind of datatype."""
    kinds = list(_ONNX)
    return _model(
        [helper.make_node("Identity", [kind], [f"out_{kind}"]) for kind in kinds],
        [helper.make_tensor_value_info(kind, _ONNX[kind], [None]) for kind in kinds],
        [helper.make_tensor_value_info(f"out_{kind}", _ONNX[kind], [None]) for kind in kinds],
        {
            "name": "echo",
            "inputs": [{"name": kind, "datatype": kind, "shape": [-1]} for kind in kinds],
            "outputs": [{"name": f"out_{kind}", "datatype": kind, "shape": [-1]} for kind in kinds],
            "features": {"id": "identity/1"},
            "parity": {
                "inputs": _VALUES,
                "outputs": {f"out_{kind}": _VALUES[kind] for kind in kinds},
                "rows": 2,
            },
        },
    )


@functools.cache
def _taxi() -> Model:
    """The taxi contract and features over a model that answers with the features."""
    width = len(TRIP_FEATURES)
    trip = {
        "pickup_datetime": ["2019-03-25T00:00:00"],
        "PULocationID": [3],
        "DOLocationID": [4],
        "trip_distance": [1.0],
    }
    features = taxi.trip({name: np.array(value) for name, value in trip.items()})["features"]
    return _model(
        [helper.make_node("Identity", ["features"], ["same"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, [None, width])],
        {
            "name": "taxi",
            "inputs": msgspec.to_builtins(DURATION.inputs),
            "outputs": [{"name": "same", "datatype": "FP32", "shape": [-1, width]}],
            "features": {"id": "taxi.trip/1"},
            "parity": {"inputs": trip, "outputs": {"same": features.ravel().tolist()}, "rows": 1},
        },
    )


def _model(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], described: dict[str, Any]
) -> Model:
    graph = helper.make_graph(nodes, described["name"], inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    content = made.SerializeToString()
    function = described["features"]["id"]
    document = described | {
        "version": "1",
        "platform": "onnx_onnxv1",
        "model_file": "model.onnx",
        "files": {"model.onnx": sha256(content)},
        "features": {"id": function, "sha256": feature_digest(function)},
    }
    manifest = msgspec.convert(document, Manifest)
    return Model(Bundle(origin="", digest="", manifest=manifest, files={"model.onnx": content}))


def _infer(rng: random.Random) -> object:
    model = _echo()
    tensors: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for kind in _ONNX:
        tensor: dict[str, Any] = {"name": kind, "shape": [2], "datatype": kind}
        if rng.random() < 0.3:
            size = rng.choice((0, 2, 2 * max(1, DTYPES[kind].itemsize), rng.randrange(40)))
            raw.append(rng.randbytes(size))
            tensor["parameters"] = {"binary_data_size": size}
        else:
            tensor["data"] = list(_VALUES[kind])
        tensors.append(tensor)
    document: Any = {"id": "a", "inputs": tensors, "outputs": [{"name": "out_FP32"}]}
    for _ in range(rng.randrange(4)):
        document = _mutated(rng, document)
    head = _bytes(rng, document)
    body = head + b"".join(raw)
    length: str | None = str(len(head)) if raw or rng.random() < 0.3 else None
    if rng.random() < 0.1:
        length = rng.choice(("", "-1", "0", "x", str(len(body) + 1), "1e3", "²", "9" * 25))
    request = parse_infer(body, length, model)
    content, _ = dump_infer(request, model, model.score(request.columns))
    return content


def _predict(rng: random.Random) -> object:
    model = _taxi()
    record: Any = {
        "pickup_datetime": "2019-03-10T02:30:00",
        "PULocationID": rng.randrange(-5, 300),
        "DOLocationID": 1,
        "trip_distance": rng.choice((1.5, 0, -1, 1e9)),
    }
    for _ in range(rng.randrange(3)):
        record = _mutated(rng, record)
    parsed = parse_json(_bytes(rng, record))
    columns = model.contract.columns_of([parsed])
    model.contract.check_columns(columns)
    # Batch and stream never refuse: each record gets an answer or its fault.
    (answer,) = score_records(model, [parsed])
    if answer.fault:
        raise AssertionError(f"the web takes what batch sets aside: {answer.fault}")
    return model.score(columns)


def _compressed(rng: random.Random) -> object:
    plain = rng.randbytes(rng.randrange(200)) * rng.choice((1, 1, 1, 2_000))
    body = rng.choice((gzip.compress, zlib.compress, bytes))(plain)
    if rng.random() < 0.5:
        body = _damaged(rng, body)
    choose(rng.choice(("gzip", "gzip;q=0, deflate", ";;,", "*", "\xff" * 9)))
    found = decompress(
        body, rng.choice(("gzip", "deflate", "identity", "br", "GZIP ", "")), limit=LIMIT_BYTES
    )
    if len(found) > max(LIMIT_BYTES, len(body)):
        raise AssertionError(f"{len(found)} bytes past the limit")
    return found


def _mutated(rng: random.Random, value: Any) -> Any:
    """The value with one part of it removed, doubled or replaced."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return rng.choice(_JUNK)
    if isinstance(value, dict):
        key = rng.choice(sorted(value))
        match rng.randrange(5):
            case 0:
                return {name: part for name, part in value.items() if name != key}
            case 1:
                return value | {
                    rng.choice(("parameters", "data", "shape", "zz")): rng.choice(_JUNK)
                }
            case _:
                return value | {key: _mutated(rng, value[key])}
    place = rng.randrange(len(value))
    match rng.randrange(5):
        case 0:
            return value[:place] + value[place + 1 :]
        case 1:
            return [*value, value[place]]
        case _:
            return [*value[:place], _mutated(rng, value[place]), *value[place + 1 :]]


def _bytes(rng: random.Random, document: Any) -> bytes:
    try:
        content = orjson.dumps(document)
    except (orjson.JSONEncodeError, TypeError):
        # Python's own encoder writes NaN, Infinity, huge integers and lone surrogates.
        content = json.dumps(document).encode()
    return _damaged(rng, content) if rng.random() < 0.15 else content


def _damaged(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    match rng.randrange(3):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + rng.randbytes(rng.randrange(1, 5)) + content[place:]
        case _:
            return content[:place] + rng.randbytes(1) + content[place + 1 :]
