"""What every source of outcomes promises."""

import pytest
from tests.contract.outcomes.rigs import Rig

from sluice.nouns import OutcomeRow
from sluice.outcomes import databases

NOW = 1_700_000_000_000
MINUTE = 60_000


async def everything(rig: Rig, cursor: str = "", until: str = "") -> tuple[list[OutcomeRow], str]:
    rows: list[OutcomeRow] = []
    while True:
        page = await rig.source.read(cursor, until=until)
        rows += page.rows
        cursor = page.cursor
        if not page.more:
            return rows, cursor


def known(rows: list[OutcomeRow]) -> dict[str, float | None]:
    """What a reader knows in the end: the newest outcome of each user."""
    found: dict[str, float | None] = {}
    for row in sorted(rows, key=lambda row: row.at_ms or 0):
        assert row.revision == "v2"
        found[row.user] = row.value if row.value is not None else found.get(row.user)
    return found


async def test_a_source_without_rows_is_empty(rig: Rig) -> None:
    assert (await everything(rig))[0] == []


async def test_exposures_and_outcomes_come_with_user_time_and_revision(rig: Rig) -> None:
    rig.exposed("anna", NOW)
    rig.exposed("berta", NOW + 1)
    rig.outcome("anna", 1.0, NOW + 5)
    rows, _ = await everything(rig)
    assert known(rows) == {"anna": 1.0, "berta": None}
    assert {row.at_ms for row in rows} >= {NOW + 1, NOW + 5}


async def test_a_cursor_goes_on_where_the_last_read_ended(rig: Rig) -> None:
    rig.exposed("anna", NOW)
    _, cursor = await everything(rig)
    rig.exposed("berta", NOW + MINUTE)
    rig.outcome("anna", 0.0, NOW + MINUTE)
    rows, cursor = await everything(rig, cursor)
    assert {row.user: row.value for row in rows if row.at_ms != NOW} == {"anna": 0.0, "berta": None}
    rig.exposed("carla", NOW + 2 * MINUTE)
    rows, _ = await everything(rig, cursor)
    assert "carla" in {row.user for row in rows}


async def test_an_outcome_that_is_said_again_comes_again(rig: Rig) -> None:
    rig.exposed("anna", NOW)
    rig.outcome("anna", 0.0, NOW + 1)
    first, cursor = await everything(rig)
    rig.outcome("anna", 1.0, NOW + MINUTE)
    rows, _ = await everything(rig, cursor)
    assert known([*first, *rows]) == {"anna": 1.0}


async def test_many_rows_come_in_pages_and_none_is_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "PAGE", 7)
    for index in range(40):
        # Several rows of one moment, so that a page ends between them.
        rig.exposed(f"u{index}", NOW + index // 5)
        rig.outcome(f"u{index}", float(index), NOW + 50 + index // 5)
    rows, _ = await everything(rig)
    assert known(rows) == {f"u{index}": float(index) for index in range(40)}


async def test_what_was_known_at_a_cursor_can_be_read_again(rig: Rig) -> None:
    rig.exposed("anna", NOW)
    rig.outcome("anna", 1.0, NOW + 1)
    _, cursor = await everything(rig)
    rig.exposed("berta", NOW + MINUTE)
    rows, _ = await everything(rig, until=cursor)
    assert known(rows) == {"anna": 1.0}
