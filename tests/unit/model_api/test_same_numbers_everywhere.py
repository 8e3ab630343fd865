"""The same rows through web JSON, web binary, ``/predict``, batch and stream."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import orjson
import pytest
from tests.unit.model_api.support import client, parts, taxi_bundle

from sluice_model_api.batch import BatchError, run_batch
from sluice_model_api.bundle.archive import read_bundle
from sluice_model_api.cli import main
from sluice_model_api.model import Model
from sluice_model_api.parts import Parts
from sluice_model_api.tensors import to_bytes
from sluice_model_api.training.build import build_task
from sluice_model_api.training.taxi import DURATION
from sluice_model_api.training.trips import Trips, generate_trips

ROWS = 1_000
FIELDS = [spec.name for spec in DURATION.inputs]


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradient boosting model of generated trips: trees show every rounding."""
    out = tmp_path_factory.mktemp("models")
    build_task(DURATION, generate_trips(count=1_500), out, seed=7)
    return out / "taxi-duration" / "2"


@pytest.fixture(scope="module")
def trips() -> Trips:
    made = DURATION.rows(generate_trips(count=1_200, seed=11))
    return made.where(np.arange(len(made)) < ROWS)


def records(trips: Trips) -> list[dict[str, object]]:
    columns = {name: getattr(trips, name).tolist() for name in FIELDS}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


async def web(made: Parts, trips: Trips, *, binary: bool) -> np.ndarray:
    tensors, raw = [], []
    for spec in DURATION.inputs:
        column = getattr(trips, spec.name)
        tensor = {"name": spec.name, "datatype": spec.datatype, "shape": [len(column)]}
        if binary:
            raw.append(to_bytes(column, spec.datatype))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = column.tolist()
        tensors.append(tensor)
    head = orjson.dumps({"inputs": tensors, "parameters": {"binary_data_output": binary}})
    headers = {"inference-header-content-length": str(len(head))} if binary else {}
    async with client(made) as http:
        answer = await http.post(
            "/v2/models/taxi-duration/infer", content=head + b"".join(raw), headers=headers
        )
    assert answer.status_code == 200, answer.text
    if binary:
        start = int(answer.headers["inference-header-content-length"])
        return np.frombuffer(answer.content[start:], dtype="<f4")
    return np.array(answer.json()["outputs"][0]["data"], dtype=np.float64)


@pytest.mark.slow
async def test_a_thousand_rows_give_the_same_numbers_on_every_path(
    boosted: Path, trips: Trips, tmp_path: Path
) -> None:
    made = parts(boosted)
    by_json = await web(made, trips, binary=False)
    by_binary = await web(made, trips, binary=True)
    async with client(made) as http:
        answers = (await http.post("/predict", json=records(trips))).json()
        one_by_one = [
            (await http.post("/predict", json=record)).json()["prediction"]
            for record in records(trips)[:100]
        ]
    by_predict = [answer["prediction"] for answer in answers]

    source = tmp_path / "trips.csv"
    lines = [",".join(FIELDS), *(",".join(map(str, r.values())) for r in records(trips))]
    source.write_text("\n".join(lines))
    result = run_batch(boosted, source, tmp_path / "out.parquet", chunk=300)
    assert (result.rows, result.scored, result.quarantined) == (ROWS, ROWS, 0)
    table = duckdb.read_parquet(str(tmp_path / "out.parquet"))
    by_batch = [row[0] for row in table.project("duration").fetchall()]

    stream = subprocess.run(  # noqa: ASYNC221  # nothing else runs in this loop
        [sys.executable, "-m", "sluice_model_api", "stream", "--bundle", str(boosted)],
        input=b"\n".join(map(orjson.dumps, records(trips))),
        capture_output=True,
        check=True,
    )
    by_stream = [
        orjson.loads(line)["prediction"]["duration"] for line in stream.stdout.splitlines()
    ]

    assert len(by_json) == ROWS
    for other in (by_binary, by_predict, by_batch, by_stream):
        np.testing.assert_allclose(other, by_json, rtol=1e-6)
    np.testing.assert_allclose(one_by_one, by_json[:100], rtol=1e-6)


def test_tlc_column_names_are_understood_and_bad_rows_are_set_aside(tmp_path: Path) -> None:
    bundle = taxi_bundle(tmp_path / "b")
    source = tmp_path / "trips.csv"
    source.write_text(
        "lpep_pickup_datetime,PULocationID,DOLocationID,trip_distance,tip\n"
        "2019-03-25 08:30:00,141,233,1.6,1\n"
        "2019-03-25 08:31:00,141,233,0,1\n"
        "2019-03-25 08:32:00,,233,2,1\n"
        "2019-03-25 08:33:00,141,999,2,1\n"
        "2019-03-25 08:34:00,141.0,233,2,1\n"
    )
    result = run_batch(
        bundle, source, tmp_path / "out.csv", quarantine=tmp_path / "bad.jsonl", chunk=2
    )
    assert (result.rows, result.scored, result.quarantined) == (5, 2, 3)
    bad = [orjson.loads(line) for line in (tmp_path / "bad.jsonl").read_bytes().splitlines()]
    assert [row["reason"] for row in bad] == [
        "field 'trip_distance': expected a number > 0 and <= 500, got 0.0",
        "field 'PULocationID' is missing",
        "field 'DOLocationID': expected an integer >= 1 and <= 265, got 999",
    ]
    assert bad[0]["row"]["tip"] == 1
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_a_rerun_gives_the_same_rows_with_the_same_ids(tmp_path: Path) -> None:
    bundle = taxi_bundle(tmp_path / "b")
    source = tmp_path / "t.csv"
    source.write_text(
        "entity_id,pickup_datetime,PULocationID,DOLocationID,trip_distance\n"
        "ride-7,2019-03-25T08:30:00,141,233,1.6\n,2019-03-25T08:31:00,1,2,3\n"
    )
    run_batch(bundle, source, tmp_path / "a.csv")
    run_batch(bundle, source, tmp_path / "b.csv", chunk=1)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert ",ride-7,taxi-duration,1,3.2" in (tmp_path / "a.csv").read_text()


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        pytest.param("none.csv", "o.csv", "none.csv", id="no-such-file"),
        pytest.param("t.txt", "o.csv", "tables end in", id="source-format"),
        pytest.param("t.csv", "o.xlsx", "tables end in", id="target-format"),
    ],
)
def test_a_table_that_cannot_be_read_or_written_is_one_line(
    tmp_path: Path, source: str, target: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(BatchError, match=message):
        run_batch(taxi_bundle(tmp_path / "b"), tmp_path / source, tmp_path / target)


def test_a_stream_answers_every_line_in_order_bad_ones_too(tmp_path: Path) -> None:
    from sluice_model_api.stream import run_stream

    model = Model(read_bundle(taxi_bundle(tmp_path / "b")))
    good = (
        b'{"entity_id":"r1","pickup_datetime":"2019-03-25T08:30:00","PULocationID":141,'
        b'"DOLocationID":233,"trip_distance":1.6,"more":1}'
    )
    read, write = os.pipe()
    os.write(write, good + b"\nnot json\n[]\n\n{}\n" + good)
    os.close(write)
    with (tmp_path / "out").open("wb") as out:
        assert run_stream(model, read, out.fileno()) == (2, 3)
    os.close(read)
    answers = [orjson.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert answers[0]["prediction"] == {"duration": 3.2}
    assert answers[0]["entity_id"] == "r1"
    assert "not JSON" in answers[1]["error"]
    assert "got list" in answers[2]["error"]
    assert "is missing" in answers[3]["error"]
    assert answers[4] == answers[0]


def test_the_command_line_scores_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "t.csv"
    source.write_text(
        "pickup_datetime,PULocationID,DOLocationID,trip_distance\n2019-03-25T08:30:00,1,2,3\n"
    )
    bundle = str(taxi_bundle(tmp_path / "b"))
    arguments = ["--bundle", bundle, "--input", str(source), "--output", f"{tmp_path}/o.csv"]
    assert main(["batch", *arguments]) == 0
    assert "1 rows: 1 scored, 0 set aside" in capsys.readouterr().err
    assert main(["batch", *arguments, "--digest", "sha256:" + "0" * 64]) == 1
    assert "expected sha256:000" in capsys.readouterr().err
