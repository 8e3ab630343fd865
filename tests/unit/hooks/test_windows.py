from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.hooks.windows import DAYS, frozen_until
from sluice.nouns import FreezeWindow

BERLIN = "Europe/Berlin"
NIGHTS = FreezeWindow(days=(0, 1, 2, 3), from_minute=1_320, to_minute=360, time_zone=BERLIN)
WEEKEND = (
    FreezeWindow(days=(4,), from_minute=960, to_minute=1_440, time_zone=BERLIN),
    FreezeWindow(days=(5, 6), from_minute=0, to_minute=1_440, time_zone=BERLIN),
)
ALWAYS = FreezeWindow(days=tuple(range(7)), from_minute=0, to_minute=1_440, time_zone="UTC")


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        pytest.param("2026-11-23T21:59:59", "", id="before"),
        pytest.param("2026-11-23T22:00", "Tue 2026-11-24 06:00 Europe/Berlin", id="begin"),
        pytest.param("2026-11-24T05:59:59", "Tue 2026-11-24 06:00 Europe/Berlin", id="morning"),
        pytest.param("2026-11-24T06:00", "", id="end"),
        pytest.param("2026-11-27T05:00", "Fri 2026-11-27 06:00 Europe/Berlin", id="of-thursday"),
        pytest.param("2026-11-27T23:00", "", id="no-friday-night"),
        pytest.param("2026-11-23T02:00", "", id="no-sunday-night"),
    ],
)
def test_window_over_midnight_belongs_to_the_day_on_which_it_begins(
    moment: str, until: str
) -> None:
    assert frozen_until((NIGHTS,), at(moment)) == until


def test_windows_without_a_gap_are_one() -> None:
    assert frozen_until(WEEKEND, at("2026-11-27T17:00")) == "Mon 2026-11-30 00:00 Europe/Berlin"


def test_of_two_open_windows_the_later_end_counts() -> None:
    short = FreezeWindow(days=(0,), from_minute=1_320, to_minute=1_380, time_zone=BERLIN)
    assert "06:00" in frozen_until((short, NIGHTS), at("2026-11-23T22:30"))


def test_window_is_on_the_wall_clock_of_its_zone() -> None:
    assert frozen_until((NIGHTS,), at("2026-07-20T20:00", "UTC")) != ""
    assert frozen_until((NIGHTS,), at("2026-07-20T19:59", "UTC")) == ""
    assert frozen_until((NIGHTS,), at("2026-11-23T20:59", "UTC")) == ""
    assert frozen_until((NIGHTS,), at("2026-11-23T21:00", "UTC")) != ""


@pytest.mark.parametrize(
    ("moment", "zone", "fold", "frozen"),
    [
        # 2026-10-25, 03:00 becomes 02:00: 02:30 comes twice.
        pytest.param("2026-10-25T02:15", BERLIN, 0, True, id="repeated-hour-first"),
        pytest.param("2026-10-25T02:45", BERLIN, 0, True, id="end-comes-twice"),
        pytest.param("2026-10-25T02:45", BERLIN, 1, False, id="after-the-second"),
        # 2026-03-29, 02:00 becomes 03:00: there is no 02:30.
        pytest.param("2026-03-29T03:15", BERLIN, 0, True, id="skipped-end-is-later"),
        pytest.param("2026-03-29T03:45", BERLIN, 0, False, id="after-the-skipped-end"),
    ],
)
def test_clock_changes_make_a_window_longer(
    moment: str, zone: str, fold: int, frozen: bool
) -> None:
    window = FreezeWindow(days=(6,), from_minute=60, to_minute=150, time_zone=BERLIN)
    assert bool(frozen_until((window,), at(moment, zone, fold))) is frozen


def test_windows_that_never_end_are_frozen_for_more_than_a_week() -> None:
    until = frozen_until((ALWAYS,), at("2026-11-23T12:00", "UTC"))
    assert until == "Wed 2026-12-02 00:00 UTC"


def test_no_windows_freeze_nothing() -> None:
    assert frozen_until((), 0) == ""


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    begin=st.integers(0, 1_439),
    end=st.integers(1, 1_440),
    minute=st.integers(0, 60 * 24 * 40),
)
def test_without_clock_changes_it_is_plain_arithmetic(
    days: set[int], begin: int, end: int, minute: int
) -> None:
    if begin == end:
        return
    window = FreezeWindow(
        days=tuple(sorted(days)), from_minute=begin, to_minute=end, time_zone="UTC"
    )
    day, inside = divmod(minute, 1_440)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    length = end - begin if end > begin else end + 1_440 - begin
    today = weekday in days and 0 <= inside - begin < length
    night = (weekday - 1) % 7 in days and 0 <= inside + 1_440 - begin < length
    said = frozen_until((window,), minute * 60_000)
    assert bool(said) is (today or night)
    if said:
        name, stamp, clock, _ = said.split()
        until = datetime.fromisoformat(f"{stamp}T{clock}").replace(tzinfo=UTC)
        assert until.timestamp() > minute * 60
        assert DAYS[until.weekday()] == name
