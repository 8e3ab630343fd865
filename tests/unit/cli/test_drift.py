"""``sluice drift`` on files as the model API writes them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.unit.cli.conftest import Run

from sluice.cli.exits import ExitCode


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    edges = [0.0, 1.0, 2.0, 3.0, 4.0]
    manifest = {
        "reference": {
            "prediction.duration": {"edges": edges, "counts": [500] * 4},
            "distance": {"edges": edges, "counts": [500] * 4},
        }
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def predictions(low: float, high: float, n: int = 2_000, version: str = "2") -> list[object]:
    random = Random(1)
    return [
        {
            "prediction_id": str(k),
            "version": version,
            "y": {"duration": [random.uniform(low, high)]},
        }
        for k in range(n)
    ]


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_predictions_like_those_in_training_do_not_drift(
    sluice: Run, bundle: Path, tmp_path: Path
) -> None:
    rows = [*predictions(0, 4), {"prediction_id": "1", "outcome": 3.0, "ts_ms": 1}]
    log = write(tmp_path / "log.jsonl", rows)
    ran = sluice("drift", "--bundle", str(bundle), "--log", str(log), "--strict")
    assert ran.code == ExitCode.DONE
    assert "no drift in 20 batches" in ran.out
    assert "within what chance gives" in ran.out


def test_drift_is_said_and_fails_only_when_strict(
    sluice: Run, bundle: Path, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.jsonl", [*predictions(0, 4), *predictions(1.5, 4)])
    asked = ("drift", "--bundle", str(bundle / "manifest.json"), "--log", str(log))
    ran = sluice(*asked)
    assert ran.code == ExitCode.DONE
    assert "drift: alarm at batch 2" in ran.out
    assert sluice(*asked, "--strict").code == ExitCode.FAILED
    (found,) = json.loads(sluice(*asked, "-o", "json").out)
    assert 20 < found["alarmed"] <= 25


def test_a_sqlite_store_is_read_and_one_version_chosen(
    sluice: Run, bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("CREATE TABLE predictions (prediction_id TEXT, version TEXT, y TEXT, ts_ms)")
        for version, low in (("1", 0.0), ("2", 3.0)):
            for k, row in enumerate(predictions(low, 4, version=version)):
                assert isinstance(row, dict)
                values = (row["prediction_id"], version, json.dumps(row["y"]), k)
                store.execute("INSERT INTO predictions VALUES (?, ?, ?, ?)", values)
    asked = ("drift", "--bundle", str(bundle), "--log", str(path))
    assert "no drift" in sluice(*asked, "--version", "1").out
    assert "drift: alarm" in sluice(*asked, "--version", "2").out
    assert sluice(*asked, "--version", "3").code == ExitCode.USAGE


def test_what_cannot_be_read_is_named(sluice: Run, bundle: Path, tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", predictions(0, 4, n=3))
    cases = (
        (("--bundle", str(tmp_path / "none"), "--log", str(log)), "cannot be read"),
        (("--bundle", str(log), "--log", str(log)), "is no manifest"),
        (("--bundle", str(bundle), "--log", str(tmp_path / "none")), "is not there"),
    )
    for asked, word in cases:
        ran = sluice("drift", *asked)
        assert (ran.code, word in ran.err) == (ExitCode.USAGE, True)
    log.write_text("{]\n")
    ran = sluice("drift", "--bundle", str(bundle), "--log", str(log))
    assert (ran.code, "line 1: no JSON" in ran.err) == (ExitCode.NOTHING_THERE, True)
    (tmp_path / "log.db").write_text("nothing of SQLite")
    ran = sluice("drift", "--bundle", str(bundle), "--log", str(tmp_path / "log.db"))
    assert (ran.code, "is no store" in ran.err) == (ExitCode.NOTHING_THERE, True)
    few = {"reference": {"prediction.x": {"edges": [0, 1, 2], "counts": [1, 1]}}}
    (bundle / "manifest.json").write_text(json.dumps(few))
    ran = sluice("drift", "--bundle", str(bundle), "--log", str(log))
    assert (ran.code, "needs 1,000 rows" in ran.err) == (ExitCode.USAGE, True)
    (bundle / "manifest.json").write_text("{}")
    ran = sluice("drift", "--bundle", str(bundle), "--log", str(log))
    assert (ran.code, "no histogram of predictions" in ran.err) == (ExitCode.USAGE, True)
