"""What every store of predictions keeps: JSON lines, SQLite and a real PostgreSQL alike."""

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from tests.support.postgres import MISSING, programs, running_postgres
from tests.unit.model_api.support import TRIP, client, parts, taxi_bundle

from sluice_model_api.predictions.rows import COLUMNS
from sluice_model_api.predictions.stores import Store, StoreError, open_store

ROW = ("id1", "e1", "tiny", "1", "web", "f00d", '{"y":1.5}', "r1", 1, "ann", "a1b2")
DATABASES = ["sqlite", "postgresql"]
OLD_TABLE = (
    "CREATE TABLE predictions (prediction_id TEXT, entity_id TEXT, model TEXT, version TEXT, "
    "route TEXT, features_hash TEXT, y TEXT, request_id TEXT, ts_ms BIGINT, "
    "PRIMARY KEY (prediction_id, model, version))"
)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A store, and what a reader finds in it."""

    url: str

    def open(self) -> Store:
        return open_store(self.url)

    def predictions(self) -> list[dict[str, Any]]:
        """Rows by prediction id, the last word for each."""
        return self._read("predictions", COLUMNS)

    def feedback(self) -> list[dict[str, Any]]:
        """Outcomes by prediction id, the last word for each."""
        return self._read("feedback", ("prediction_id", "outcome", "ts_ms"))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows that a database gives for a statement."""
        if self.url.startswith("postgresql"):
            with psycopg.connect(self.url) as database:
                cursor = database.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        database = sqlite3.connect(self.url.removeprefix("sqlite:"))
        with database:
            rows = database.execute(statement).fetchall()
        database.close()
        return rows

    def _read(self, table: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
        if not self.url.startswith("jsonl"):
            found = self.execute(
                f"SELECT {', '.join(columns)} FROM {table} ORDER BY prediction_id"  # noqa: S608
            )
            rows = [dict(zip(columns, row, strict=True)) for row in found]
            for row in rows:
                for name in ("y", "outcome"):
                    if name in row:
                        row[name] = orjson.loads(row[name])
            return rows
        lines = Path(self.url.removeprefix("jsonl:")).read_bytes().splitlines()
        rows = [row for row in map(orjson.loads, lines) if set(row) == set(columns)]
        last = {row["prediction_id"]: row for row in rows}
        return [last[key] for key in sorted(last)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if programs() is None:
        pytest.skip(MISSING)
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["jsonl", *DATABASES])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param != "postgresql":
        return Kept(url=f"{request.param}:{tmp_path}/store")
    made = Kept(url=request.getfixturevalue("server"))
    made.execute("DROP TABLE IF EXISTS predictions, feedback")
    return made


def test_a_prediction_is_kept_with_every_column(kept: Kept) -> None:
    store = kept.open()
    store.write([ROW])
    store.close()
    expected = dict(zip(COLUMNS, ROW, strict=True)) | {"y": {"y": 1.5}}
    assert kept.predictions() == [expected]


def test_the_same_prediction_again_replaces_the_first(kept: Kept) -> None:
    store = kept.open()
    store.write([ROW, (*ROW[:6], '{"y":2.5}', *ROW[7:])])
    store.write([(*ROW[:6], '{"y":3.5}', *ROW[7:])])
    store.close()
    assert [row["y"] for row in kept.predictions()] == [{"y": 3.5}]


def test_feedback_comes_before_the_prediction_late_and_again(kept: Kept) -> None:
    store = kept.open()
    store.feedback("id1", 9.0, 2)
    store.write([ROW])
    store.feedback("id1", {"late": True, "text": 'a "b" \n'}, 3)
    store.feedback("other", False, 4)
    store.close()
    assert kept.feedback() == [
        {"prediction_id": "id1", "outcome": {"late": True, "text": 'a "b" \n'}, "ts_ms": 3},
        {"prediction_id": "other", "outcome": False, "ts_ms": 4},
    ]
    assert len(kept.predictions()) == 1


def test_how_often_an_outcome_was_told_is_counted(kept: Kept) -> None:
    store = kept.open()
    for ts_ms in (2, 3, 4):
        store.feedback("id1", 9.0, ts_ms)
    store.close()
    if kept.url.startswith("jsonl"):
        assert len(Path(kept.url.removeprefix("jsonl:")).read_bytes().splitlines()) == 3
    else:
        assert kept.execute("SELECT times FROM feedback") == [(3,)]


def test_a_store_opened_again_still_has_what_it_had(kept: Kept) -> None:
    for number in range(2):
        store = kept.open()
        store.write([(f"id{number}", *ROW[1:])])
        store.close()
    assert [row["prediction_id"] for row in kept.predictions()] == ["id0", "id1"]


def test_text_that_a_caller_made_up_costs_no_other_row(kept: Kept) -> None:
    ids = ["a'; DROP TABLE predictions; --", "b\0c", "d\u2028é\U0001f695", 'e"%s?']
    store = kept.open()
    store.write([(name, *ROW[1:]) for name in ids])
    store.feedback("b\0c", "x\0y", 5)
    store.close()
    found = [
        row["prediction_id"].replace("\N{REPLACEMENT CHARACTER}", "\0")
        for row in kept.predictions()
    ]
    assert sorted(found) == sorted(ids)
    (told,) = kept.feedback()
    assert told["outcome"] == "x\0y"


def test_two_threads_write_at_once(kept: Kept) -> None:
    store = kept.open()

    def write(who: int) -> None:
        for number in range(40):
            store.write([(f"{who}-{number}", *ROW[1:])])
            store.feedback(f"{who}-{number}", number, number)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert len(kept.predictions()) == len(kept.feedback()) == 80


@pytest.mark.parametrize("kept", DATABASES, indirect=True)
def test_a_table_of_an_earlier_version_gets_the_new_columns(kept: Kept) -> None:
    kept.execute(OLD_TABLE)
    kept.execute(
        "INSERT INTO predictions (prediction_id, model, version, y) VALUES ('o','m','1','{}')"
    )
    store = kept.open()
    store.write([ROW])
    store.close()
    assert [(row["user_id"], row["revision"]) for row in kept.predictions()] == [
        ("ann", "a1b2"),
        (None, None),
    ]


@pytest.mark.parametrize("kept", DATABASES, indirect=True)
def test_rows_of_a_batch_are_kept_all_or_none(kept: Kept) -> None:
    store = kept.open()
    with pytest.raises(StoreError):
        store.write([ROW, ("id2", *ROW[1:8], object(), *ROW[9:])])
    store.write([("id3", *ROW[1:])])
    store.close()
    assert [row["prediction_id"] for row in kept.predictions()] == ["id3"]


async def test_who_asked_and_what_answered_are_written_with_the_prediction(
    kept: Kept, tmp_path: Path
) -> None:
    made = parts(taxi_bundle(tmp_path / "b"), predictions_url=kept.url, revision="a1b2")
    async with client(made) as http:
        asking: dict[str, dict[str, str | bytes]] = {
            "header": {"x-user-id": "ann", "cookie": "sluice_uid=cid"},
            "umlaut": {"x-user-id": "jürgen".encode()},
            "cookie": {"cookie": "a=b; sluice_uid=bob; c=d"},
            "nobody": {},
            "endless": {"x-user-id": "u" * 300},
        }
        for name, headers in asking.items():
            answer = await http.post(
                "/predict", json=TRIP | {"prediction_id": name}, headers=headers
            )
            assert answer.status_code == 200
    made.close()
    found = {row["prediction_id"]: (row["user_id"], row["revision"]) for row in kept.predictions()}
    assert found == {
        "header": ("ann", "a1b2"),
        "umlaut": ("jürgen", "a1b2"),
        "cookie": ("bob", "a1b2"),
        "nobody": ("", "a1b2"),
        "endless": ("", "a1b2"),
    }


def test_a_connection_that_was_cut_is_made_again(server: str) -> None:
    kept = Kept(url=server)
    kept.execute("DROP TABLE IF EXISTS predictions, feedback")
    store = kept.open()
    kept.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    with pytest.raises(StoreError, match="postgresql: "):
        store.write([ROW])
    store.write([ROW])
    store.close()
    assert len(kept.predictions()) == 1


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="postgresql: ") as error:
        open_store(f"postgresql://sluice@/postgres?host={tmp_path}")
    assert "\n" not in str(error.value)
