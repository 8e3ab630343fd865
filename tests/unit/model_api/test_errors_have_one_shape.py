"""Every route with every kind of bad input: 4xx, and the protocol's one shape of errors."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tests.unit.model_api.support import client, infer_body, linear_bundle, parts, taxi_bundle

TOKEN = "t0ken"  # noqa: S105  # a test
GUARD = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    linear_bundle(tmp_path / "models" / "tiny" / "1")
    linear_bundle(tmp_path / "models" / "tiny" / "2", version="2")
    made = parts(
        tmp_path / "models",
        admin_token=TOKEN,
        feedback_token=TOKEN,
        predictions_url=f"sqlite:{tmp_path}/p.db",
        max_body_bytes=4096,
    )
    async with client(made) as http:
        yield http
    made.close()


def tensor(**change: Any) -> dict[str, Any]:
    good = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    return {"inputs": [{key: value for key, value in (good | change).items() if value is not None}]}


INFER = "/v2/models/tiny/infer"
BINARY = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}


def binary(tail: bytes, **change: Any) -> tuple[bytes, dict[str, str]]:
    head = orjson.dumps({"inputs": [BINARY | change]})
    return head + tail, {"inference-header-content-length": str(len(head))}


BAD_INFER: list[Any] = [
    pytest.param(b"", {}, 400, "empty", id="no-body"),
    pytest.param(b"notjson", {}, 400, "not JSON", id="not-json"),
    pytest.param(b"[" * 5000, {}, 413, "larger than", id="too-large"),
    pytest.param(b"[" * 2000, {}, 400, "not JSON", id="deeply-nested"),
    pytest.param(b"\xff\xfe", {}, 400, "not JSON", id="not-utf8"),
    pytest.param(b"[]", {}, 400, "JSON object, got list", id="a-list"),
    pytest.param(b"{}", {}, 400, "inputs must be a list", id="no-inputs"),
    pytest.param({"inputs": []}, {}, 400, "input 'x' is missing", id="empty-inputs"),
    pytest.param({"inputs": [3]}, {}, 400, "must be an object", id="input-a-number"),
    pytest.param({"inputs": [{}]}, {}, 400, "needs a name", id="input-without-name"),
    pytest.param(tensor(name="z"), {}, 400, "'z' is unknown; inputs are x", id="unknown-input"),
    pytest.param({"inputs": tensor()["inputs"] * 2}, {}, 400, "twice", id="input-twice"),
    pytest.param(tensor(datatype="FP64"), {}, 400, "must be FP32, got FP64", id="other-datatype"),
    pytest.param(tensor(datatype="FLOAT"), {}, 400, "one of BOOL", id="unknown-datatype"),
    pytest.param(tensor(datatype=None), {}, 400, "datatype", id="no-datatype"),
    pytest.param(tensor(shape=None), {}, 400, "shape must be a list", id="no-shape"),
    pytest.param(tensor(shape="4"), {}, 400, "shape must be a list", id="shape-a-string"),
    pytest.param(tensor(shape=[1.0, 4]), {}, 400, "shape must be a list", id="shape-of-floats"),
    pytest.param(tensor(shape=[-1, 4]), {}, 400, "shape must be a list", id="negative-shape"),
    pytest.param(tensor(shape=[4]), {}, 400, r"shape must be [-1, 4]", id="wrong-rank"),
    pytest.param(tensor(shape=[1, 5]), {}, 400, r"shape must be [-1, 4]", id="wrong-width"),
    pytest.param(tensor(shape=[0, 4], data=[]), {}, 400, "no rows", id="no-rows"),
    pytest.param(
        tensor(shape=[2, 4]), {}, 400, "needs 8 values, data has 4", id="shape-without-data"
    ),
    pytest.param(tensor(shape=[10**12, 4]), {}, 400, "data has 4", id="huge-shape"),
    pytest.param(tensor(data=[[1, 2], [3, 4]]), {}, 400, "stated shape", id="other-nesting"),
    pytest.param(tensor(data=[[1, 2, 3, [4]]]), {}, 400, "got list", id="nested-too-deep"),
    pytest.param(tensor(data=None), {}, 400, "data is missing", id="no-data"),
    pytest.param(tensor(data="1234"), {}, 400, "data must be a list", id="data-a-string"),
    pytest.param(tensor(data=[1, 2, 3, "4"]), {}, 400, "takes numbers, got string", id="a-string"),
    pytest.param(tensor(data=[1, 2, 3, None]), {}, 400, "takes numbers, got null", id="a-null"),
    pytest.param(tensor(data=[1, 2, 3, True]), {}, 400, "got boolean", id="a-boolean"),
    pytest.param(tensor(data=[1, 2, 3, 1e300]), {}, 400, "does not fit in FP32", id="overflow"),
    pytest.param(
        b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,NaN]}]}',
        {},
        400,
        "not JSON",
        id="nan-literal",
    ),
    pytest.param(
        tensor(data=[3e38, 3e38, -3e38, 0]),
        {},
        400,
        "output 'y' is not finite",
        id="overflow-inside",
    ),
    pytest.param(tensor(parameters=[]), {}, 400, "parameters of input 'x'", id="parameters-a-list"),
    pytest.param(
        infer_body(parameters=1), {}, 400, "parameters of the request", id="request-parameters"
    ),
    pytest.param(infer_body(id=5), {}, 400, "id must be a string", id="id-a-number"),
    pytest.param(infer_body(id="i" * 300), {}, 400, "at most 256", id="id-too-long"),
    pytest.param(infer_body(outputs={}), {}, 400, "outputs must be a list", id="outputs-an-object"),
    pytest.param(infer_body(outputs=["y"]), {}, 400, "object with a name", id="output-a-string"),
    pytest.param(
        infer_body(outputs=[{"name": "z"}]), {}, 400, "outputs are y", id="unknown-output"
    ),
    pytest.param(
        infer_body(outputs=[{"name": "y"}] * 2), {}, 400, "asked for twice", id="output-twice"
    ),
    pytest.param(
        infer_body(outputs=[{"name": "y", "parameters": {"classification": 2}}]),
        {},
        400,
        "classification",
        id="classification",
    ),
    pytest.param(
        tensor(data=None, parameters={"binary_data_size": 16}),
        {},
        400,
        "runs past the body",
        id="binary-without-header",
    ),
    pytest.param(
        b"{}",
        {"inference-header-content-length": "-1"},
        400,
        "number of bytes",
        id="negative-header",
    ),
    pytest.param(
        b"{}", {"inference-header-content-length": "x"}, 400, "number of bytes", id="header-a-word"
    ),
    pytest.param(
        b"{}",
        {"inference-header-content-length": "9" * 30},
        400,
        "number of bytes",
        id="header-huge",
    ),
    pytest.param(
        b"{}",
        {"inference-header-content-length": "3"},
        400,
        "the body has 2 bytes",
        id="header-too-long",
    ),
    pytest.param(*binary(b"\0" * 12), 400, "runs past the body", id="binary-cut-short"),
    pytest.param(*binary(b"\0" * 20), 400, "4 bytes of binary data", id="binary-too-long"),
    pytest.param(*binary(b"\0" * 16, shape=[2, 4]), 400, "needs 32 bytes", id="binary-shape"),
    pytest.param(
        *binary(b"\0" * 16, parameters={"binary_data_size": "16"}),
        400,
        "number of bytes",
        id="binary-size-a-string",
    ),
    pytest.param(
        *binary(b"\0" * 16, parameters={"binary_data_size": -4}),
        400,
        "number of bytes",
        id="binary-size-negative",
    ),
    pytest.param(*binary(b"\0" * 16, data=[1, 2, 3, 4]), 400, "not both", id="binary-and-data"),
    pytest.param(*binary(b"\0\0\xc0\x7f" * 4), 400, "finite", id="binary-nan"),
    pytest.param(b"x", {"content-encoding": "gzip"}, 400, "not valid gzip", id="bad-gzip"),
    pytest.param(
        gzip.compress(b"{}")[:-3],
        {"content-encoding": "gzip"},
        400,
        "cut short",
        id="gzip-cut-short",
    ),
    pytest.param(
        gzip.compress(b"{}") + b"x",
        {"content-encoding": "gzip"},
        400,
        "extra bytes",
        id="gzip-with-a-tail",
    ),
    pytest.param(
        gzip.compress(b"0" * 10**6),
        {"content-encoding": "gzip"},
        413,
        "when decompressed",
        id="gzip-bomb",
    ),
    pytest.param(b"x", {"content-encoding": "deflate"}, 400, "not valid deflate", id="bad-deflate"),
    pytest.param(b"{}", {"content-encoding": "br"}, 415, "identity, gzip or deflate", id="brotli"),
]


def check(response: httpx.Response, status: int, message: str) -> None:
    assert response.status_code == status, response.text
    document = response.json()
    assert isinstance(document["error"], str)
    assert list(document) == ["error"]
    assert message in document["error"]


@pytest.mark.parametrize(("body", "headers", "status", "message"), BAD_INFER)
async def test_a_bad_inference_request_says_what_was_wrong(
    api: httpx.AsyncClient, body: Any, headers: dict[str, str], status: int, message: str
) -> None:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    check(await api.post(INFER, content=content, headers=headers), status, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "not JSON", id="no-body"),
        pytest.param(b"3", "expected an object", id="a-number"),
        pytest.param(b"[]", "no records", id="empty-list"),
        pytest.param(b"[3]", "expected an object", id="list-of-numbers"),
        pytest.param(b"{}", "field 'x' is missing", id="no-fields"),
        pytest.param(b'{"x":[1,2,3]}', "needs 4 values", id="short-list"),
        pytest.param(b'{"x":[1,2,3,"4"]}', "expected a number, got string", id="a-string"),
        pytest.param(b'{"x":[1,2,3,1e999]}', "not JSON", id="infinite"),
        pytest.param(b'{"x":[1,2,3,4],"z":1}', "field 'z' is unknown", id="unknown-field"),
        pytest.param(b'{"x":[1,2,3,4],"prediction_id":7}', "prediction_id must be", id="bad-id"),
        pytest.param(b'[{"x":[1,2,3,4]},{"x":3}]', "record 1", id="second-record"),
    ],
)
async def test_a_bad_record_says_what_was_wrong(
    api: httpx.AsyncClient, body: bytes, message: str
) -> None:
    check(await api.post("/predict", content=body), 400, message)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        pytest.param("GET", "/nope", 404, "no route", id="unknown-path"),
        pytest.param("GET", "/v2/models/other", 404, "models are tiny", id="unknown-model"),
        pytest.param(
            "GET", "/v2/models/tiny/versions/9", 404, "versions are 1, 2", id="unknown-version"
        ),
        pytest.param(
            "GET", "/v2/models/tiny/versions/9/ready", 404, "versions are", id="version-ready"
        ),
        pytest.param(
            "POST", "/v2/models/other/infer", 404, "models are tiny", id="infer-unknown-model"
        ),
        pytest.param(
            "POST",
            "/v2/models/tiny/versions/9/infer",
            404,
            "versions are",
            id="infer-unknown-version",
        ),
        pytest.param("POST", "/predict/other", 404, "models are tiny", id="predict-unknown-model"),
        pytest.param("GET", "/v2/models/tiny/generate", 404, "no route", id="unknown-verb"),
        pytest.param("GET", INFER, 405, "use POST", id="get-infer"),
        pytest.param("POST", "/v2/health/live", 405, "use GET", id="post-live"),
        pytest.param("DELETE", "/metrics", 405, "use GET", id="delete-metrics"),
        pytest.param("POST", "/v2", 405, "use GET", id="post-server"),
        pytest.param("PUT", "/predict", 405, "use POST", id="put-predict"),
        pytest.param("PUT", "/admin/faults", 401, "bearer token", id="admin-without-token"),
        pytest.param("GET", "/admin/faults", 401, "bearer token", id="admin-read-without-token"),
        pytest.param("POST", "/admin/faults", 405, "Method Not Allowed", id="admin-method"),
        pytest.param("POST", "/feedback", 401, "bearer token", id="feedback-without-token"),
    ],
)
async def test_a_wrong_path_method_or_token_answers_in_the_same_shape(
    api: httpx.AsyncClient, method: str, path: str, status: int, message: str
) -> None:
    response = await api.request(method, path, json={})
    check(response, status, message)
    if status == 405:
        assert response.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        pytest.param("PUT", "/admin/faults", b"x", "JSON", id="faults-not-json"),
        pytest.param("PUT", "/admin/faults", b'{"error_rate":2}', "error_rate", id="rate-over-one"),
        pytest.param(
            "PUT", "/admin/faults", b'{"errors":1}', "fault 'errors' is unknown", id="unknown-fault"
        ),
        pytest.param("POST", "/feedback", b"[]", "body", id="feedback-a-list"),
        pytest.param(
            "POST", "/feedback", b'{"outcome":1}', "prediction_id", id="feedback-without-id"
        ),
        pytest.param(
            "POST", "/feedback", b'{"prediction_id":"a"}', "outcome", id="feedback-without-outcome"
        ),
        pytest.param(
            "POST",
            "/feedback",
            b'{"prediction_id":"a","outcome":{"x":36893488147419103232}}',
            "cannot be kept as JSON",
            id="feedback-over-64-bits",
        ),
        pytest.param(
            "POST",
            "/feedback",
            b'{"prediction_id":"a","outcome":NaN}',
            "cannot be kept as JSON",
            id="feedback-nan",
        ),
        pytest.param(
            "POST",
            "/feedback",
            b'{"prediction_id":"\\ud800","outcome":1}',
            "prediction_id",
            id="feedback-half-a-character",
        ),
        pytest.param("POST", "/v2/repository/index", b"[]", "JSON object", id="index-a-list"),
        pytest.param("POST", "/v2/repository/index", b"{", "not JSON", id="index-not-json"),
    ],
)
async def test_bad_input_to_the_other_routes_answers_in_the_same_shape(
    api: httpx.AsyncClient, method: str, path: str, body: bytes, message: str
) -> None:
    check(await api.request(method, path, content=body, headers=GUARD), 400, message)


@pytest.mark.parametrize("route", ["/admin/faults", "/feedback"])
async def test_a_route_without_a_token_set_is_not_there(tmp_path: Path, route: str) -> None:
    made = parts(linear_bundle(tmp_path / "b"))
    async with client(made) as http:
        check(await http.put(route, json={}), 404, "no route")


async def test_one_model_of_several_must_be_named_to_predict(tmp_path: Path) -> None:
    made = parts(f"{linear_bundle(tmp_path / 'b')},{taxi_bundle(tmp_path / 't')}")
    async with client(made) as http:
        check(await http.post("/predict", json={}), 404, "/predict/NAME")
        assert (await http.post("/predict/tiny", json={"x": [1, 2, 3, 4]})).status_code == 200


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "x/y", ""])
async def test_any_content_type_is_accepted(
    api: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await api.post(INFER, content=orjson.dumps(infer_body()), headers=headers)
    assert response.status_code == 200
    changed = await api.put("/admin/faults", content=b"{}", headers=GUARD | headers)
    assert changed.status_code == 200
