"""The prediction log and feedback: bounded, sampled, upserted, never in the way."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.unit.model_api.support import TRIP, client, infer_body, linear_bundle, parts, taxi_bundle

from sluice_model_api.parts import Parts
from sluice_model_api.predictions.log import PredictionLog
from sluice_model_api.predictions.rows import COLUMNS, features_hash
from sluice_model_api.predictions.stores import StoreError, open_store

INFER = "/v2/models/tiny/infer"


def stored(made: Parts, path: Path) -> list[dict[str, Any]]:
    made.close()
    with sqlite3.connect(path) as database:
        rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM predictions ORDER BY 1")  # noqa: S608
        found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    database.close()
    return found


async def test_every_prediction_is_written_with_its_request(tmp_path: Path) -> None:
    made = parts(taxi_bundle(tmp_path / "b"), predictions_url=f"sqlite:{tmp_path}/p.db")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with client(made) as http:
        answer = await http.post(
            "/predict",
            json=TRIP | {"prediction_id": "mine", "entity_id": "ride-7"},
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        )
        assert answer.headers["x-request-id"] == trace
        other = (await http.post("/predict", json=TRIP)).json()
    rows = stored(made, tmp_path / "p.db")
    assert {row["prediction_id"] for row in rows} == {"mine", other["prediction_id"]}
    mine = next(row for row in rows if row["prediction_id"] == "mine")
    assert (mine["entity_id"], mine["request_id"], mine["route"]) == ("ride-7", trace, "web")
    assert orjson.loads(mine["y"]) == {"duration": 3.2}
    assert len({row["features_hash"] for row in rows}) == 1


async def test_rows_of_one_request_have_ids_of_their_own(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"), predictions_url=f"sqlite:{tmp_path}/p.db")
    async with client(made) as http:
        await http.post(INFER, json=infer_body([[1, 2, 3, 4], [0, 0, 0, 8]], id="a"))
        await http.post(INFER, json=infer_body(id="b"))
    rows = stored(made, tmp_path / "p.db")
    assert [row["prediction_id"] for row in rows] == ["a:0", "a:1", "b"]
    assert [orjson.loads(row["y"])["y"] for row in rows] == [1.0, 2.0, 1.0]


async def test_a_mirrored_copy_writes_nothing(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"), predictions_url=f"sqlite:{tmp_path}/p.db")
    async with client(made) as http:
        answer = await http.post(INFER, json=infer_body(), headers={"x-sluice-shadow": "1"})
        assert answer.status_code == 200
        await http.post("/predict", json={"x": [1, 2, 3, 4]}, headers={"x-sluice-shadow": "1"})
    assert stored(made, tmp_path / "p.db") == []


class SlowStore:
    """Takes nothing until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.rows: list[Any] = []

    def write(self, rows: Sequence[Any]) -> None:
        self.release.wait(10)
        self.rows += rows

    def feedback(self, prediction_id: str, outcome: object, ts_ms: int) -> None: ...

    def close(self) -> None: ...


def offer(log: PredictionLog, made: Parts, number: int) -> None:
    log.offer(
        prediction_id=f"id-{number}",
        rows=1,
        model=made.repository.model("tiny"),
        route="web",
        columns={"x": np.zeros((1, 4), np.float32)},
        outputs={"y": np.zeros((1, 1), np.float32)},
        request_id="",
    )


def test_what_the_log_has_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"))
    store = SlowStore()
    log = PredictionLog(store, sample=1.0, room=10)
    for number in range(50):
        offer(log, made, number)
    assert log.dropped == 40
    store.release.set()
    log.close()
    assert log.written == len(store.rows) == 10


@pytest.mark.parametrize(("waiting", "most"), [(200, 30), (4_000, 200)])
def test_what_waits_is_written_a_few_rows_at_a_time(
    tmp_path: Path, waiting: int, most: int
) -> None:
    class Counting(SlowStore):
        sizes: list[int] = []  # noqa: RUF012  # one store per test

        def write(self, rows: Sequence[Any]) -> None:
            super().write(rows)
            self.sizes.append(len(rows))

    made = parts(linear_bundle(tmp_path / "b"))
    store = Counting()
    log = PredictionLog(store, sample=1.0, room=10_000)
    for number in range(waiting):
        offer(log, made, number)
    store.release.set()
    log.close()
    assert log.written == waiting
    assert max(store.sizes) <= most


def test_sampling_keeps_the_same_ids_on_every_replica(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"))
    kept = []
    for _ in range(2):
        store = SlowStore()
        store.release.set()
        log = PredictionLog(store, sample=0.2, room=10_000)
        for number in range(2_000):
            offer(log, made, number)
        log.close()
        kept.append([row[0] for row in store.rows])
    assert kept[0] == kept[1]
    assert 320 <= len(kept[0]) <= 480


def test_a_store_that_fails_costs_rows_and_not_the_server(tmp_path: Path) -> None:
    class Broken(SlowStore):
        def write(self, rows: Sequence[Any]) -> None:
            raise StoreError("no disk")

    made = parts(linear_bundle(tmp_path / "b"))
    log = PredictionLog(Broken(), sample=1.0, room=10)
    offer(log, made, 1)
    log.close()
    assert (log.written, log.dropped) == (0, 1)


@pytest.mark.parametrize("url", ["mysql://x", "jsonl:", "p.db", "sqlite:/nowhere/at/all.db"])
def test_a_store_that_cannot_be_opened_is_one_line(url: str) -> None:
    with pytest.raises(StoreError):
        open_store(url)


async def test_feedback_may_come_late_and_again(tmp_path: Path) -> None:
    made = parts(
        linear_bundle(tmp_path / "b"),
        predictions_url=f"sqlite:{tmp_path}/p.db",
        feedback_token="t",  # noqa: S106  # a test
    )
    async with client(made) as http:
        for outcome in (3.5, 4.5):
            answer = await http.post(
                "/feedback",
                json={"prediction_id": "unknown-yet", "outcome": outcome},
                headers={"authorization": "Bearer t"},
            )
            assert answer.status_code == 200
    made.close()
    database = sqlite3.connect(tmp_path / "p.db")
    assert database.execute("SELECT outcome, times FROM feedback").fetchall() == [("4.5", 2)]
    database.close()


def test_the_features_hash_is_of_values_and_names() -> None:
    one = {"a": np.array([1.0, 2.0]), "b": np.array(["x", "y"], dtype=object)}
    assert features_hash(one, 0) == features_hash({"b": one["b"], "a": one["a"]}, 0)
    assert features_hash(one, 0) != features_hash(one, 1)
