"""What is particular to one kind of source: its faults, and files that change."""

import json
from pathlib import Path

import pytest
from tests.contract.outcomes.rigs import SqliteRig, StoreJsonlRig

from sluice.errors import SpecError, TransientError
from sluice.outcomes.databases import PostgresDatabase
from sluice.outcomes.sources import open_outcomes

NOW = 1_700_000_000_000


def csv_of(folder: Path, *lines: str) -> Path:
    path = folder / "outcomes.csv"
    path.write_text("".join(line + "\n" for line in lines))
    return path


async def faults_of(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        await open_outcomes(str(path)).read("")
    return str(caught.value).splitlines()


# --- files ---


async def test_a_csv_may_leave_out_and_name_columns_as_it_likes(tmp_path: Path) -> None:
    path = csv_of(
        tmp_path,
        "\ufeffoutcome,user,at,trips,goal",
        'true,"anna, the first",2023-11-14T22:13:20Z,7,bought',
        "",
        "0,berta,1700000000000,,",
        ",carla,2023-11-14T23:13:20+01:00,,",
    )
    rows = (await open_outcomes(str(path)).read("")).rows
    assert [(row.user, row.value, row.goal, row.covariates) for row in rows] == [
        ("anna, the first", 1.0, "bought", (("trips", 7.0),)),
        ("berta", 0.0, "", ()),
        ("carla", None, "", ()),
    ]
    assert {row.at_ms for row in rows} == {NOW}


async def test_every_bad_row_of_a_csv_is_named_with_its_line(tmp_path: Path) -> None:
    path = csv_of(
        tmp_path,
        "user,outcome,at,age",
        "anna,1,,",
        ",1,,",
        "berta,many,soon,",
        "carla,1",
        "dora,inf,,old",
    )
    assert await faults_of(path) == [
        f"{path}:3: user: no user: every row says whose it is",
        f"{path}:4: outcome: not a number, true or false: 'many'",
        f"{path}:4: at: neither UTC milliseconds nor an ISO 8601 time: 'soon'",
        f"{path}:5: record: has 2 fields, the heading 4",
        f"{path}:6: outcome: not a finite number: inf",
        f"{path}:6: age: not a number, true or false: 'old'",
    ]


async def test_a_csv_without_the_columns_it_takes_is_refused_whole(tmp_path: Path) -> None:
    (fault,) = await faults_of(csv_of(tmp_path, "user,result", "anna,1"))
    assert fault.endswith("the heading names no column outcome; it names user, result")


async def test_every_bad_line_of_json_lines_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_text('{"user": "a", "outcome": true}\n{"user"\n[1]\n{"user": 7, "outcome": []}\n')
    faults = await faults_of(path)
    assert [fault.partition(": ")[0] for fault in faults] == [f"{path}:{n}" for n in (2, 3, 4)]
    assert "is not JSON" in faults[0]
    assert faults[2].endswith("outcome: not a number, true or false: list")


async def test_a_line_that_is_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "user,outcome", "anna,1")
    source = open_outcomes(str(path))
    with path.open("a") as file:
        file.write("berta,")
    page = await source.read("")
    assert [row.user for row in page.rows] == ["anna"]
    with path.open("a") as file:
        file.write("0\n")
    assert [row.user for row in (await source.read(page.cursor)).rows] == ["berta"]


async def test_a_file_that_was_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "user,outcome", "anna,1")
    source = open_outcomes(str(path))
    cursor = (await source.read("")).cursor
    csv_of(tmp_path, "outcome,user", "1,carla", "0,anna")
    assert [row.user for row in (await source.read(cursor)).rows] == ["carla", "anna"]
    csv_of(tmp_path, "outcome,user")
    assert (await source.read(cursor)).rows == ()


@pytest.mark.parametrize("where", ["gone.csv", "jsonl:gone.log", "sqlite:gone.db"])
async def test_a_source_that_is_not_there_may_come(tmp_path: Path, where: str) -> None:
    source = open_outcomes(where, folder=tmp_path)
    with pytest.raises(TransientError, match="gone"):
        await source.read("")


async def test_a_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(b"user,outcome\n\xff\xfe,1\n")
    with pytest.raises(TransientError, match="not UTF-8"):
        await open_outcomes(str(path)).read("")


@pytest.mark.parametrize("where", ["", "outcomes.parquet", "http://x/y", "sqlite:"])
def test_what_is_no_source_is_refused_with_what_there_is(where: str) -> None:
    with pytest.raises(SpecError, match=r"ends with \.csv.*postgresql"):
        open_outcomes(where)


# --- prediction stores ---


async def test_feedback_is_joined_whichever_comes_first(tmp_path: Path) -> None:
    rig = StoreJsonlRig(tmp_path)
    rig.outcome("anna", 1.0, NOW)
    page = await rig.source.read("")
    assert page.rows == ()
    rig.exposed("anna", NOW + 1)
    rows = (await rig.source.read(page.cursor)).rows
    assert [(row.user, row.value) for row in rows] == [("anna", None), ("anna", 1.0)]


async def test_after_a_restart_late_feedback_still_finds_its_prediction(tmp_path: Path) -> None:
    rig = StoreJsonlRig(tmp_path)
    rig.exposed("anna", NOW)
    cursor = (await rig.source.read("")).cursor
    rig.outcome("anna", 1.0, NOW + 1)
    again = open_outcomes(f"jsonl:{rig.path}")
    rows = (await again.read(cursor)).rows
    assert [(row.user, row.value) for row in rows] == [("anna", 1.0)]


async def test_predictions_without_a_user_are_left_out_and_counted(tmp_path: Path) -> None:
    for rig in (StoreJsonlRig(tmp_path), SqliteRig(tmp_path)):
        rig.exposed("", NOW)
        rig.exposed("anna", NOW)
        page = await rig.source.read("")
        assert [row.user for row in page.rows] == ["anna"]
        assert page.nameless == 1


async def test_an_outcome_of_several_goals_is_one_row_each(tmp_path: Path) -> None:
    rig = StoreJsonlRig(tmp_path)
    rig.exposed("anna", NOW)
    rig.line(prediction_id="p-anna", ts_ms=NOW, outcome={"tip": 2.5, "paid": True, "by": "card"})
    rows = (await rig.source.read("")).rows[1:]
    assert [(row.goal, row.value) for row in rows] == [("tip", 2.5), ("paid", 1.0)]
    assert dict(rows[0].covariates) == {"tip": 2.5, "paid": 1.0}


async def test_a_row_that_is_written_a_little_late_is_not_lost(tmp_path: Path) -> None:
    rig = SqliteRig(tmp_path)
    rig.exposed("anna", NOW)
    cursor = (await rig.source.read("")).cursor
    rig.exposed("late", NOW - 3_000)
    assert "late" in {row.user for row in (await rig.source.read(cursor)).rows}


async def test_a_log_with_a_line_that_is_no_row_is_said_with_its_line(tmp_path: Path) -> None:
    rig = StoreJsonlRig(tmp_path)
    rig.exposed("anna", NOW)
    with rig.path.open("a") as file:
        file.write("nonsense\n" + json.dumps({"ts_ms": 1}) + "\n")
    with pytest.raises(SpecError) as caught:
        await rig.source.read("")
    assert [fault.line for fault in caught.value.faults] == [2, 3]


async def test_a_store_of_an_older_model_api_says_what_it_lacks(tmp_path: Path) -> None:
    rig = SqliteRig(tmp_path)
    rig.run("ALTER TABLE predictions DROP COLUMN user_id")
    with pytest.raises(TransientError, match="older model API"):
        await rig.source.read("")


async def test_a_postgres_that_is_away_may_come_back() -> None:
    database = PostgresDatabase("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError, match="postgresql:"):
        database.select("SELECT 1", ())
