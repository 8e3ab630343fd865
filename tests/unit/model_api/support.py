"""Small bundles made by hand, and the whole application without a network."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from onnx import TensorProto, helper, numpy_helper

from sluice_model_api.bundle.archive import sha256
from sluice_model_api.bundle.manifest import (
    MANIFEST,
    FeatureRef,
    InputSpec,
    Manifest,
    Parity,
    TensorSpec,
    manifest_bytes,
)
from sluice_model_api.faults import Faults
from sluice_model_api.features import feature_digest
from sluice_model_api.parts import Parts
from sluice_model_api.settings import Settings

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
SAMPLES: Mapping[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65_535],
    "UINT32": [0, 4_294_967_295],
    "UINT64": [0, 18_446_744_073_709_551_615],
    "INT8": [-128, 127],
    "INT16": [-32_768, 32_767],
    "INT32": [-2_147_483_648, 2_147_483_647],
    "INT64": [-9_223_372_036_854_775_808, 9_223_372_036_854_775_807],
    "FP16": [0.5, -2.25],
    "FP32": [0.1, -1e30],
    "FP64": [0.1, 1e300],
    "BYTES": ["", "Åsgard"],
}
WEIGHTS = np.array([[2.0], [0.5], [-1.0], [0.25]], dtype=np.float32)


def _model(nodes: Sequence[Any], inputs: Any, outputs: Any, weights: Sequence[Any] = ()) -> bytes:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def linear_onnx() -> bytes:
    """``y = x · WEIGHTS``, x FP32 (rows, 4)."""
    return _model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )


def echo_onnx(datatypes: Sequence[str]) -> bytes:
    """Every input ``in_X`` comes out as ``out_X``."""
    return _model(
        [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in datatypes],
        [
            helper.make_tensor_value_info(f"in_{kind}", ONNX_TYPES[kind], [None])
            for kind in datatypes
        ],
        [
            helper.make_tensor_value_info(f"out_{kind}", ONNX_TYPES[kind], [None])
            for kind in datatypes
        ],
    )


def write_bundle(
    folder: Path,
    model: bytes,
    inputs: Sequence[InputSpec],
    outputs: Sequence[TensorSpec],
    parity: Mapping[str, Any],
    *,
    name: str = "tiny",
    version: str = "1",
    feature_function: str = "identity/1",
) -> Path:
    """Write a bundle as the server reads it; returns its folder."""
    manifest = Manifest(
        name=name,
        version=version,
        platform="onnx_onnxv1",
        model_file="model.onnx",
        files={"model.onnx": sha256(model)},
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        features=FeatureRef(id=feature_function, sha256=feature_digest(feature_function)),
        parity=Parity(**parity),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / MANIFEST).write_bytes(manifest_bytes(manifest))
    return folder


def linear_bundle(folder: Path, *, name: str = "tiny", version: str = "1") -> Path:
    """A bundle of :func:`linear_onnx`; every version answers the same."""
    return write_bundle(
        folder,
        linear_onnx(),
        [InputSpec(name="x", datatype="FP32", shape=(-1, 4))],
        [TensorSpec(name="y", datatype="FP32", shape=(-1, 1))],
        {"inputs": {"x": [1, 2, 3, 4]}, "outputs": {"y": [1.0]}, "rows": 1},
        name=name,
        version=version,
    )


def echo_bundle(folder: Path, datatypes: Sequence[str] = tuple(ONNX_TYPES)) -> Path:
    """A bundle whose outputs are its inputs, one of each datatype."""
    return write_bundle(
        folder,
        echo_onnx(datatypes),
        [InputSpec(name=f"in_{kind}", datatype=kind, shape=(-1,)) for kind in datatypes],
        [TensorSpec(name=f"out_{kind}", datatype=kind, shape=(-1,)) for kind in datatypes],
        {
            "inputs": {f"in_{kind}": SAMPLES[kind] for kind in datatypes},
            "outputs": {f"out_{kind}": SAMPLES[kind] for kind in datatypes},
            "rows": 2,
        },
        name="echo",
    )


def taxi_bundle(folder: Path, *, version: str = "1") -> Path:
    """The taxi fields and feature function over a model that answers the distance, doubled."""
    width = 12
    weights = np.zeros((width, 1), dtype=np.float32)
    weights[0] = 2.0
    model = _model(
        [helper.make_node("MatMul", ["features", "w"], ["duration"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("duration", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    from sluice_model_api.training.taxi import DURATION

    return write_bundle(
        folder,
        model,
        DURATION.inputs,
        [TensorSpec(name="duration", datatype="FP32", shape=(-1, 1))],
        {
            "inputs": {name: [value] for name, value in TRIP.items()},
            "outputs": {"duration": [3.2]},
            "rows": 1,
        },
        name="taxi-duration",
        version=version,
        feature_function="taxi.trip/1",
    )


TRIP = {
    "pickup_datetime": "2019-03-25T08:30:00",
    "PULocationID": 141,
    "DOLocationID": 233,
    "trip_distance": 1.6,
}
"""A trip that every taxi bundle takes; :func:`taxi_bundle` answers 3.2."""


def settings(bundle: Path | str, **given: Any) -> Settings:
    """Settings from arguments alone."""
    return Settings.checked({"bundle": str(bundle), **given})


def parts(bundle: Path | str, *, faults: Faults | None = None, **given: Any) -> Parts:
    """Everything of a process, loaded."""
    made = Parts(settings(bundle, **given), faults or Faults())
    made.load()
    return made


def client(made: Parts) -> httpx.AsyncClient:
    """A client that calls the application directly."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(made.service), base_url="http://model", timeout=5
    )


def infer_body(rows: Sequence[Sequence[float]] = ((1, 2, 3, 4),), **more: Any) -> dict[str, Any]:
    """A V2 request for :func:`linear_bundle`."""
    flat = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), 4], "datatype": "FP32", "data": flat}
    return {"inputs": [tensor], **more}


class RunningServer:
    """``model-api serve`` as a process of its own, on a free port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_ready(self, *, timeout_s: float = 90) -> None:
        """Block until readiness says so."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise AssertionError(f"exited {self.process.returncode}: {self.log}")
            with (
                suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=2),  # noqa: S310  # loopback
            ):
                return
            time.sleep(0.02)
        raise AssertionError(f"not ready after {timeout_s} s: {self.log}")


@contextmanager
def running(
    bundle: Path | str, log: Path, *, port: int = 0, ready: bool = True, **variables: str
) -> Iterator[RunningServer]:
    """Start a server, and end it whatever happens.

    Args:
        bundle: What ``MODEL_API_BUNDLE`` names.
        log: File for what it logs.
        port: Port to listen on; 0 takes a free one.
        ready: Wait until it is ready.
        variables: More environment, such as ``MODEL_API_FAULT_ERROR_RATE``.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MODEL_API_")
    }
    environment |= {
        "MODEL_API_BUNDLE": str(bundle),
        "MODEL_API_PORT": str(port),
        "MODEL_API_DRAIN_DELAY_S": "0.3",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sluice_model_api", "serve"], env=environment, stderr=output
        )
    try:
        server = RunningServer(process, port or _listening_port(process, log), log)
        if ready:
            server.wait_ready()
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening_port(process: subprocess.Popen[bytes], log: Path) -> int:
    give_up = time.monotonic() + 90
    while time.monotonic() < give_up and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"server.listening"' in line:
                return int(orjson.loads(line)["port"])
        time.sleep(0.02)
    raise AssertionError(f"never listened: {log.read_text()}")
