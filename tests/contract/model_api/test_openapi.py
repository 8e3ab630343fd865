"""The server answers its own OpenAPI page, whatever is drawn from it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks import fuzz_api
from benchmarks.fuzz_api import MAX_GROWTH, TOKEN, Fuzzed, UnexpectedError, check, fuzz
from tests.unit.model_api.support import linear_bundle, running, taxi_bundle


def rss_mb(pid: int) -> float:
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) / 1024


@pytest.mark.slow
def test_requests_drawn_from_the_description_are_answered_as_it_says(tmp_path: Path) -> None:
    bundles = f"{linear_bundle(tmp_path / 'a')},{taxi_bundle(tmp_path / 'b')}"
    with running(
        bundles,
        tmp_path / "log",
        MODEL_API_FEEDBACK_TOKEN=TOKEN,
        MODEL_API_ADMIN_TOKEN="not-given",  # noqa: S106  # a test
        MODEL_API_PREDICTIONS_URL=f"sqlite:{tmp_path}/p.db",
    ) as server:
        found = fuzz(server.url, examples=4, rounds=2, rss_mb=lambda: rss_mb(server.process.pid))
    codes = {name.split(" ", 1)[1] for name in found.codes}
    # Neither all refused nor all taken: both kinds reach the routes that have bodies.
    for route in ("/predict/tiny", "/predict/taxi-duration", "/feedback"):
        assert {f"{route} 200", f"{route} 400"} <= codes, found.codes
    assert "/admin/faults 401" in codes
    assert found.growth <= MAX_GROWTH


def answered(code: int, content: bytes, document: Any) -> None:
    case = SimpleNamespace(
        method="POST",
        path="/x",
        as_curl_command=lambda: "curl",
        operation=SimpleNamespace(
            definition=SimpleNamespace(raw={"responses": {"200": {}, "400": {}}})
        ),
        validate_response=lambda *_, **__: None,
    )
    check(case, SimpleNamespace(status_code=code, content=content, json=lambda: document))


@pytest.mark.parametrize(
    ("code", "document", "message"),
    [
        pytest.param(500, {"error": "x"}, "not described", id="our-fault"),
        pytest.param(422, {"error": "x"}, "not described", id="code-not-in-the-page"),
        pytest.param(400, {"detail": []}, "another shape", id="another-shape"),
        pytest.param(400, {"error": "", "x": 1}, "another shape", id="more-than-an-error"),
    ],
)
def test_an_answer_that_must_not_be_is_noticed(code: int, document: Any, message: str) -> None:
    answered(400, b"", {"error": "what was wrong"})
    with pytest.raises(UnexpectedError, match=message):
        answered(code, b"", document)


def test_a_server_that_grows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Fuzzed(codes=fuzz_api.Counter(), rss_mb=[90, 95, 96, 96, 96, 97])
    assert flat.growth <= MAX_GROWTH
    assert replace(flat, rss_mb=[90, 95, 100, 105, 110, 115]).growth > MAX_GROWTH
