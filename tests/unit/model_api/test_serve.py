"""The process: how it starts, refuses to, tells its health, and counts."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.model_api.support import (
    client,
    echo_bundle,
    infer_body,
    linear_bundle,
    parts,
    running,
)

from sluice.nouns import LATENCY_GRID_MS
from sluice_model_api.cli import main
from sluice_model_api.metrics import GRID_MS

INFER = "/v2/models/tiny/infer"


def serve(bundle: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sluice_model_api", "serve"],
        env={"MODEL_API_BUNDLE": str(bundle), "MODEL_API_PORT": "0", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_bundle_with_a_wrong_digest_refuses_to_start_with_one_line(tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "b")
    with (bundle / "model.onnx").open("ab") as file:
        file.write(b"x")
    done = serve(bundle)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("model-api: ")
    assert "model.onnx has digest sha256:" in line


def test_a_model_that_fails_its_parity_sample_ends_the_process(tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "b")
    document = orjson.loads((bundle / "manifest.json").read_bytes())
    document["parity"]["outputs"]["y"] = [7.0]
    (bundle / "manifest.json").write_bytes(orjson.dumps(document))
    done = serve(bundle)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "parity failed" in line]


def test_a_taken_port_and_a_bad_setting_are_one_line_each(tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "b")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve(bundle, MODEL_API_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 64
    assert "cannot listen on 127.0.0.1" in done.stderr.splitlines()[-1]
    done = serve(bundle, MODEL_API_INLINE_ROWS="many")
    assert (done.returncode, len(done.stderr.splitlines())) == (64, 1)
    assert "MODEL_API_INLINE_ROWS" in done.stderr


def test_it_is_alive_but_not_ready_while_the_model_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(
        linear_bundle(tmp_path / "b"),
        tmp_path / "log",
        ready=False,
        MODEL_API_FAULT_SLOW_START_S="2",
    ) as server:

        def ask(path: str, body: bytes | None = None) -> int:
            request = urllib.request.Request(server.url + path, data=body)  # noqa: S310  # loopback
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                with refused:
                    return refused.code if b'"error"' in refused.read() else 0

        found = {path: ask(path) for path in ("/v2/health/live", "/v2/health/ready", "/v2")}
        early = ask(INFER, orjson.dumps(infer_body()))
        assert found["/v2/health/live"] == found["/v2"] == 200
        assert found["/v2/health/ready"] == early == 503
        monkeypatch.setenv("MODEL_API_PORT", str(server.port))
        assert main(["healthcheck"]) == 1
        assert main(["healthcheck", "--live"]) == 0
        server.wait_ready()
        assert main(["healthcheck"]) == 0
    assert main(["healthcheck"]) == 1


def test_sigterm_ends_a_slow_start_at_once(tmp_path: Path) -> None:
    with running(
        linear_bundle(tmp_path / "b"),
        tmp_path / "log",
        ready=False,
        MODEL_API_FAULT_SLOW_START_S="600",
    ) as server:
        server.process.terminate()
        assert server.process.wait(60) == 0


def test_the_health_check_takes_a_service_link_for_no_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_API_PORT", "tcp://10.96.0.7:80")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    assert main(["healthcheck"]) == 1
    assert f"port {port}" in capsys.readouterr().err


async def test_requests_are_counted_by_model_version_route_and_code(tmp_path: Path) -> None:
    linear_bundle(tmp_path / "tiny" / "1")
    linear_bundle(tmp_path / "tiny" / "2", version="2")
    made = parts(tmp_path, slo_latency_ms="7, 42")
    async with client(made) as http:
        for path in (INFER, INFER, "/v2/models/tiny/versions/1/infer", "/v2/models/made-up/infer"):
            await http.post(path, json=infer_body())
        await http.post(INFER, json={})
        await http.post("/predict", json={"x": [1, 2, 3, 4]})
        text = (await http.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counted = {
        tuple(sample.labels[name] for name in ("model", "version", "route", "code")): sample.value
        for sample in families["model_api_requests"].samples
    }
    assert counted == {
        ("tiny", "2", "infer", "200"): 2,
        ("tiny", "1", "infer", "200"): 1,
        ("tiny", "2", "infer", "400"): 1,
        ("tiny", "2", "predict", "200"): 1,
        # What a caller made up never becomes a label.
        ("", "", "infer", "404"): 1,
    }
    buckets = [
        sample
        for sample in families["model_api_request_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["version"] == "1"
    ]
    bounds = [sample.labels["le"] for sample in buckets]
    assert {"0.007", "0.042", "+Inf"} <= set(bounds)
    values = [sample.value for sample in buckets]
    assert values == sorted(values)
    assert values[-1] == 1
    info = families["model_api_model_info"].samples
    assert {sample.labels["version"] for sample in info} == {"1", "2"}
    assert families["model_api_requests_in_flight"].samples[0].value == 1
    assert families["process_resident_memory_bytes"].samples[0].value > 1e7


def test_latency_buckets_lie_where_releases_are_judged() -> None:
    assert GRID_MS == LATENCY_GRID_MS


async def test_several_outputs_are_answered_by_name(tmp_path: Path) -> None:
    async with client(parts(echo_bundle(tmp_path / "b", ["BYTES", "INT64"]))) as http:
        one = await http.post("/predict", json={"in_BYTES": "å", "in_INT64": 7})
        assert one.json()["prediction"] == {"out_BYTES": "å", "out_INT64": 7}
        two = await http.post(
            "/predict", json=[{"in_BYTES": text, "in_INT64": 2} for text in ("a", "b")]
        )
    assert [row["prediction"]["out_BYTES"] for row in two.json()] == ["a", "b"]


async def test_large_answers_are_compressed_for_who_accepts_it(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"))
    rows = [[1, 2, 3, 4]] * 400
    async with client(made) as http:
        for accepted, expected in (("gzip", "gzip"), ("deflate", "deflate"), ("identity", None)):
            answer = await http.post(
                INFER, json=infer_body(rows), headers={"accept-encoding": accepted}
            )
            assert answer.headers.get("content-encoding") == expected
            assert answer.headers["vary"] == "accept-encoding"
            assert len(answer.json()["outputs"][0]["data"]) == 400
        small = await http.post(INFER, json=infer_body(), headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in small.headers


async def test_the_openapi_page_describes_every_model(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"))
    async with client(made) as http:
        assert "swagger" in (await http.get("/docs")).text
        document = (await http.get("/openapi.json")).json()
        example = document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]
        answer = await http.post(INFER, json=example["schema"]["example"])
    assert answer.status_code == 200
    assert {"/predict", "/v2/health/ready", "/metrics"} <= set(document["paths"])


async def test_every_documented_error_is_one_that_is_answered(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"), admin_token="t", feedback_token="t")  # noqa: S106  # a test
    async with client(made) as http:
        document = (await http.get("/openapi.json")).json()
    codes = {
        code
        for operations in document["paths"].values()
        for operation in operations.values()
        for code in operation["responses"]
    }
    assert codes == {"200", "400", "401", "413", "415", "503"}


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
async def test_both_spellings_of_the_server_route_answer(tmp_path: Path, path: str) -> None:
    async with client(parts(linear_bundle(tmp_path / "b"))) as http:
        assert (await http.get(path)).json()["name"] == "sluice-model-api"
        head = await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
