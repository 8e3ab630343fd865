"""The reference client of the protocol, over HTTP and over gRPC, against a real process."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tests.unit.model_api.support import (
    ONNX_TYPES,
    SAMPLES,
    RunningServer,
    echo_bundle,
    linear_bundle,
    running,
)
from tritonclient.utils import InferenceServerException

ROWS = np.array([[1, 2, 3, 4], [0, 0, 0, 8]], dtype=np.float32)
EXPECTED = [[1.0], [2.0]]
NUMPY = {
    "BOOL": bool,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": object,
} | {
    f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}").type
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("triton")
    for version in ("v1", "v2"):
        linear_bundle(root / "models" / "tiny" / version, version=version)
    echo_bundle(root / "models" / "echo" / "1")
    with running(root / "models", root / "log") as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as made:
        yield made


def tensor(*, binary: bool, rows: np.ndarray = ROWS) -> list[triton.InferInput]:
    made = triton.InferInput("x", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows, binary_data=binary)
    return [made]


def json_output() -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput("y", binary_data=False)]


def test_live_and_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()


def test_a_model_and_each_of_its_versions_are_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "v1")
    assert not client.is_model_ready("tiny", "v9")


def test_server_metadata_names_the_extensions(client: triton.InferenceServerClient) -> None:
    metadata = client.get_server_metadata()
    assert set(metadata) == {"name", "version", "extensions"}
    assert "binary_tensor_data" in metadata["extensions"]


def test_model_metadata_is_filled_from_the_bundle(client: triton.InferenceServerClient) -> None:
    metadata = client.get_model_metadata("tiny")
    assert metadata["versions"] == ["v1", "v2"]
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert metadata["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]
    assert metadata["platform"] == "onnx_onnxv1"


def test_repository_index_lists_every_version(client: triton.InferenceServerClient) -> None:
    index = client.get_model_repository_index()
    assert [(row["name"], row["version"], row["state"]) for row in index] == [
        ("echo", "1", "READY"),
        ("tiny", "v1", "READY"),
        ("tiny", "v2", "READY"),
    ]


@pytest.mark.parametrize("model", ["other", "tiny/versions"])
def test_metadata_of_an_unknown_model_is_an_error_the_client_can_read(
    client: triton.InferenceServerClient, model: str
) -> None:
    with pytest.raises(InferenceServerException, match=r"models are|no route"):
        client.get_model_metadata(model)


def test_json_in_json_out(client: triton.InferenceServerClient) -> None:
    result = client.infer("tiny", tensor(binary=False), outputs=json_output(), request_id="42")
    response = result.get_response()
    assert response["id"] == "42"
    assert response["model_name"] == "tiny"
    assert response["outputs"][0]["data"] == [1.0, 2.0]
    assert result.as_numpy("y").tolist() == EXPECTED


def test_json_in_default_out_is_binary(client: triton.InferenceServerClient) -> None:
    result = client.infer("tiny", tensor(binary=False))
    assert result.get_response()["outputs"][0]["parameters"]["binary_data_size"] == 8
    assert result.as_numpy("y").tolist() == EXPECTED


def test_binary_in_default_out(client: triton.InferenceServerClient) -> None:
    assert client.infer("tiny", tensor(binary=True)).as_numpy("y").tolist() == EXPECTED


def test_binary_in_json_out(client: triton.InferenceServerClient) -> None:
    result = client.infer("tiny", tensor(binary=True), outputs=json_output())
    assert result.get_response()["outputs"][0]["data"] == [1.0, 2.0]


def test_without_an_id_none_is_made_up(client: triton.InferenceServerClient) -> None:
    response = client.infer("tiny", tensor(binary=True)).get_response()
    assert "id" not in response


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_named_version_answers(client: triton.InferenceServerClient, version: str) -> None:
    result = client.infer("tiny", tensor(binary=True), model_version=version)
    assert result.get_response()["model_version"] == version


def test_no_version_means_the_highest(client: triton.InferenceServerClient) -> None:
    assert client.infer("tiny", tensor(binary=True)).get_response()["model_version"] == "v2"


def test_infer_of_an_unknown_model_is_an_error_the_client_can_read(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="models are echo, tiny"):
        client.infer("other", tensor(binary=True))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_a_compressed_request_is_read(client: triton.InferenceServerClient, algorithm: str) -> None:
    for binary in (True, False):
        result = client.infer(
            "tiny", tensor(binary=binary), request_compression_algorithm=algorithm
        )
        assert result.as_numpy("y").tolist() == EXPECTED


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [2, 2_000])
def test_a_compressed_response_is_sent_when_it_is_worth_it(
    client: triton.InferenceServerClient, algorithm: str, rows: int
) -> None:
    many = np.tile(ROWS, (rows // 2, 1))
    for outputs in (None, json_output()):
        result = client.infer(
            "tiny",
            tensor(binary=True, rows=many),
            outputs=outputs,
            response_compression_algorithm=algorithm,
        )
        assert result.as_numpy("y").tolist() == EXPECTED * (rows // 2)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_every_datatype_comes_back_as_it_was_sent(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    inputs, outputs = [], []
    for kind in ONNX_TYPES:
        made = triton.InferInput(f"in_{kind}", [2], kind)
        # tritonclient refuses to write FP16 as JSON: it goes in binary beside the others.
        in_json = not binary and kind != "FP16"
        values = np.array(SAMPLES[kind], dtype=NUMPY[kind])
        made.set_data_from_numpy(values, binary_data=not in_json)
        inputs.append(made)
        outputs.append(triton.InferRequestedOutput(f"out_{kind}", binary_data=not in_json))
    result = client.infer("echo", inputs, outputs=outputs)
    for kind in ONNX_TYPES:
        found = result.as_numpy(f"out_{kind}")
        if kind == "BYTES":
            texts = [item.decode() if isinstance(item, bytes) else item for item in found.tolist()]
            assert texts == SAMPLES[kind]
        else:
            assert found.tolist() == np.array(SAMPLES[kind], dtype=NUMPY[kind]).tolist()


def test_only_the_outputs_asked_for_come_back(client: triton.InferenceServerClient) -> None:
    inputs = []
    for kind in ONNX_TYPES:
        made = triton.InferInput(f"in_{kind}", [2], kind)
        made.set_data_from_numpy(np.array(SAMPLES[kind], dtype=NUMPY[kind]))
        inputs.append(made)
    wanted = [triton.InferRequestedOutput("out_INT8"), triton.InferRequestedOutput("out_BOOL")]
    response = client.infer("echo", inputs, outputs=wanted).get_response()
    assert [output["name"] for output in response["outputs"]] == ["out_INT8", "out_BOOL"]
