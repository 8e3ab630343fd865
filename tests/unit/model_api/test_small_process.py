"""What a replica does not load before it is ready: each costs its start or its memory."""

import sys
from pathlib import Path

import pytest
from tests.unit.model_api.support import linear_bundle, running

HEAVY = {
    "pydantic": "/pydantic_core/",
    "numpy.random": "/numpy/random/",
    "scikit-learn": "/sklearn/",
    "sqlite3": "/_sqlite3",
    "duckdb": "/duckdb/",
    "onnx": "/onnx/",
    "grpc": "/grpc/",
}
"""What the path of a library holds whose shared object a process has mapped, by package."""


def mapped(maps: str) -> set[str]:
    """Packages of :data:`HEAVY` that a process has loaded."""
    return {package for package, piece in HEAVY.items() if piece in maps}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_ready_replica_has_loaded_nothing_that_only_other_commands_need(tmp_path: Path) -> None:
    with running(
        linear_bundle(tmp_path / "b"),
        tmp_path / "log",
        MODEL_API_PREDICTIONS_URL=f"jsonl:{tmp_path / 'predictions.jsonl'}",
    ) as server:
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert mapped(maps) == set()
    assert "onnxruntime" in maps


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_library_that_is_loaded_is_seen(tmp_path: Path) -> None:
    with running(
        linear_bundle(tmp_path / "b"),
        tmp_path / "log",
        MODEL_API_PREDICTIONS_URL=f"sqlite:{tmp_path / 'predictions.db'}",
        MODEL_API_FEEDBACK_TOKEN="token",  # noqa: S106  # for this test; brings FastAPI, which brings pydantic
        MODEL_API_FAULT_WRONG_NOISE="1",
    ) as server:
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert mapped(maps) == {"pydantic", "numpy.random", "sqlite3"}
