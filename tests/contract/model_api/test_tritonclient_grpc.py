"""The reference client over gRPC, and our messages against the ones it brings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
import tritonclient.grpc as triton
from tests.unit.model_api.support import RunningServer, echo_bundle, linear_bundle, running
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from sluice_model_api.rpc.messages import MESSAGES, message_classes

ROWS = np.array([[1, 2, 3, 4], [0, 0, 0, 8]], dtype=np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("grpc")
    for version in ("v1", "v2"):
        linear_bundle(root / "models" / "tiny" / version, version=version)
    echo_bundle(root / "models" / "echo" / "1", ["BYTES", "INT64"])
    with running(root / "models", root / "log", MODEL_API_GRPC_PORT="0") as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[triton.InferenceServerClient]:
    events = map(orjson.loads, server.log.splitlines())
    port = next(event["port"] for event in events if event["event"] == "server.listening_grpc")
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as made:
        yield made


def tensor(rows: np.ndarray = ROWS) -> list[triton.InferInput]:
    made = triton.InferInput("x", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows)
    return [made]


@pytest.mark.parametrize("name", MESSAGES)
def test_our_messages_have_the_numbers_of_the_reference(name: str) -> None:
    reference = service_pb2
    for part in name.split("."):
        reference = getattr(reference, part)
    ours = message_classes()[name].DESCRIPTOR
    theirs = reference.DESCRIPTOR
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (
            other.number,
            other.type,
            other.is_repeated,
        )


def test_probes_metadata_and_index(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny", "v1")
    assert "binary_tensor_data" in client.get_server_metadata().extensions
    metadata = client.get_model_metadata("tiny")
    assert list(metadata.versions) == ["v1", "v2"]
    assert [(spec.name, list(spec.shape)) for spec in metadata.inputs] == [("x", [-1, 4])]
    assert [row.name for row in client.get_model_repository_index().models] == [
        "echo",
        "tiny",
        "tiny",
    ]


def test_infer_answers_as_over_http(client: triton.InferenceServerClient) -> None:
    result = client.infer("tiny", tensor(), model_version="v1", request_id="42")
    assert result.as_numpy("y").tolist() == [[1.0], [2.0]]
    response = result.get_response()
    assert (response.id, response.model_version) == ("42", "v1")


def test_strings_and_typed_contents_are_understood(client: triton.InferenceServerClient) -> None:
    inputs = [
        triton.InferInput("in_BYTES", [1], "BYTES"),
        triton.InferInput("in_INT64", [1], "INT64"),
    ]
    inputs[0].set_data_from_numpy(np.array(["Åsgard"], dtype=object))
    inputs[1].set_data_from_numpy(np.array([2**60]))
    result = client.infer("echo", inputs)
    assert result.as_numpy("out_BYTES")[0].decode() == "Åsgard"
    assert result.as_numpy("out_INT64").tolist() == [2**60]


@pytest.mark.parametrize(
    ("model", "rows", "message"),
    [
        pytest.param("other", ROWS, r"NOT_FOUND.*models are", id="unknown-model"),
        pytest.param("tiny", ROWS[:, :3], r"INVALID_ARGUMENT.*shape must be", id="wrong-shape"),
        pytest.param("tiny", ROWS * np.nan, r"INVALID_ARGUMENT.*finite", id="nan"),
    ],
)
def test_the_callers_faults_have_the_callers_codes(
    client: triton.InferenceServerClient, model: str, rows: np.ndarray, message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message):
        client.infer(model, tensor(rows))


def test_a_mirrored_call_writes_no_prediction_and_others_say_who_asked(tmp_path: Path) -> None:
    store = tmp_path / "p.jsonl"
    with running(
        linear_bundle(tmp_path / "b"),
        tmp_path / "log",
        MODEL_API_GRPC_PORT="0",
        MODEL_API_PREDICTIONS_URL=f"jsonl:{store}",
        MODEL_API_REVISION="a1b2",
    ) as started:
        events = map(orjson.loads, started.log.splitlines())
        port = next(event["port"] for event in events if event["event"] == "server.listening_grpc")
        with triton.InferenceServerClient(f"127.0.0.1:{port}") as made:
            made.infer("tiny", tensor(), request_id="m", headers={"x-sluice-shadow": "1"})
            made.infer("tiny", tensor(), request_id="u", headers={"x-user-id": "ann"})
            made.infer("tiny", tensor(), request_id="n")
    # What waited was written before the process ended.
    rows = [orjson.loads(line) for line in store.read_bytes().splitlines()]
    assert [(row["prediction_id"], row["user_id"], row["revision"]) for row in rows] == [
        ("u:0", "ann", "a1b2"),
        ("u:1", "ann", "a1b2"),
        ("n:0", "", "a1b2"),
        ("n:1", "", "a1b2"),
    ]


def test_grpc_costs_nothing_when_it_is_off(tmp_path: Path) -> None:
    with running(linear_bundle(tmp_path / "b"), tmp_path / "log") as started:
        maps = Path(f"/proc/{started.process.pid}/maps").read_text()
    assert "grpc" not in maps
    assert "onnxruntime" in maps
