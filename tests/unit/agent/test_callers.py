from pathlib import Path

import pytest
from tests.unit.agent.fakes import Now

from sluice.agent.callers import Callers
from sluice.agent.sink import Conflict
from sluice.errors import SpecError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "epoch"


def test_a_lower_epoch_than_the_highest_is_refused_and_an_equal_one_is_not(path: Path) -> None:
    callers = Callers(path, Now())
    callers.admit("3")
    callers.admit("3")
    callers.admit("5")
    with pytest.raises(Conflict, match="epoch 4 is over"):
        callers.admit("4")


def test_the_highest_epoch_outlives_the_agent(path: Path) -> None:
    Callers(path, Now()).admit("5")
    with pytest.raises(Conflict):
        Callers(path, Now()).admit("4")


def test_without_an_epoch_nobody_is_fenced_off(path: Path) -> None:
    callers = Callers(path, Now())
    callers.admit("5")
    callers.admit(None)


@pytest.mark.parametrize("shown", ["", "x", "-1", "1.5", "٣", "9" * 30])
def test_an_epoch_that_is_no_whole_number_is_refused(path: Path, shown: str) -> None:
    with pytest.raises(SpecError):
        Callers(path, Now()).admit(shown)


def test_a_disk_that_cannot_be_written_stops_no_change(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    callers = Callers(tmp_path / "state" / "epoch", Now())
    callers.admit("5")
    assert callers.epoch == 5


def test_silence_begins_with_the_last_request(path: Path) -> None:
    now = Now()
    callers = Callers(path, now)
    assert callers.silent_s == float("inf")
    callers.heard()
    now.seconds += 4.0
    assert callers.silent_s == 4.0
