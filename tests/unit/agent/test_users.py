"""The agent's reading of bad answers: bounded, once for each user, never in the way."""

from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from sluice.agent import users as reading
from sluice.agent.users import BadUsers
from sluice.nouns import RevisionId

V1, V2 = RevisionId("v1"), RevisionId("v2")


def line(user: object, revision: str = "v2", release: str = "ml/taxi", use: str = "live") -> bytes:
    return orjson.dumps({"cluster": f"{release}/{revision}/{use}", "user": user}) + b"\n"


def write(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bad-answers.log"


@pytest.fixture
def salts() -> dict[str, str]:
    return {"ml/taxi": "taxi:1"}


@pytest.fixture
def users(path: Path, salts: dict[str, str]) -> BadUsers:
    path.touch()
    found = BadUsers(path, lambda: salts)
    found.read()
    return found


def test_each_user_counts_once_where_his_first_bad_answer_came_from(
    users: BadUsers, path: Path
) -> None:
    write(path, line("ann"), line("ann"), line("bob", "v1"), line("ann", "v1"))
    users.read()
    write(path, line("bob", "v2"), line("cleo", "v2", use="shield"))
    users.read()
    assert users.counts("ml/taxi") == {V2: 2, V1: 1}


def test_a_line_that_is_being_written_waits_until_it_is_whole(users: BadUsers, path: Path) -> None:
    whole = line("ann")
    write(path, whole[:10])
    users.read()
    write(path, whole[10:])
    users.read()
    assert users.counts("ml/taxi") == {V2: 1}


def test_what_was_there_before_the_agent_is_not_counted(path: Path, salts: dict[str, str]) -> None:
    write(path, line("ann"))
    users = BadUsers(path, lambda: salts)
    users.read()
    write(path, line("bob"))
    users.read()
    assert users.counts("ml/taxi") == {V2: 1}


def test_a_new_pass_begins_with_everybody(
    users: BadUsers, path: Path, salts: dict[str, str]
) -> None:
    write(path, line("ann"))
    users.read()
    salts["ml/taxi"] = "taxi:2"
    write(path, line("ann"))
    users.read()
    assert users.counts("ml/taxi") == {V2: 2}


def test_a_release_without_sticky_users_has_no_count(users: BadUsers, path: Path) -> None:
    write(path, line("ann", release="other"))
    users.read()
    assert users.counts("other") is None


@pytest.mark.parametrize(
    "bad",
    [b"not json\n", b"[]\n", line(None), line(""), line(7), b'{"cluster": null, "user": "a"}\n',
     b'{"cluster": "nothing", "user": "a"}\n'],
    ids=["no-json", "no-object", "nobody", "empty", "number", "no-cluster", "no-name"],
)  # fmt: skip
def test_a_line_that_names_nobody_is_passed_over(users: BadUsers, path: Path, bad: bytes) -> None:
    write(path, bad, line("ann"))
    users.read()
    assert users.counts("ml/taxi") == {V2: 1}


def test_the_file_is_emptied_when_it_is_large_and_reading_goes_on(
    users: BadUsers, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEPT_BYTES", 100)
    write(path, *(line(f"user-{index}") for index in range(10)))
    users.read()
    assert path.stat().st_size == 0
    write(path, line("another"))
    users.read()
    assert users.counts("ml/taxi") == {V2: 11}


def test_a_backlog_is_passed_over_but_for_its_end(
    users: BadUsers, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_BYTES", 250)
    write(path, *(line(f"user-{index:03}") for index in range(100)))
    users.read()
    counts = users.counts("ml/taxi")
    assert counts is not None
    assert 0 < counts[V2] < 6


def test_users_are_remembered_up_to_a_number(
    users: BadUsers, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_USERS", 3)
    write(path, *(line(f"user-{index}") for index in range(10)))
    users.read()
    assert users.counts("ml/taxi") == {V2: 3}


def test_a_file_that_cannot_be_read_is_said_and_costs_nothing(
    path: Path, salts: dict[str, str]
) -> None:
    path.mkdir()
    users = BadUsers(path, lambda: salts)
    with capture_logs() as logs:
        users.read()
    assert [entry["event"] for entry in logs] == ["agent.bad_answers_unreadable"]
    assert users.counts("ml/taxi") == {}


def test_no_file_is_no_bad_answer(tmp_path: Path, salts: dict[str, str]) -> None:
    users = BadUsers(tmp_path / "nothing", lambda: salts)
    with capture_logs() as logs:
        users.read()
    assert logs == []
