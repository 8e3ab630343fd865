"""What the journal in files does when files are not as they should be."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.errors import StateError
from sluice.platforms.local import FileJournal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    files = FileJournal(tmp_path / "journal", log_max_bytes=400)
    yield files
    files.close()


async def test_a_torn_line_loses_only_itself(journal: FileJournal, tmp_path: Path) -> None:
    await journal.append("taxi", {"n": 1})
    with (tmp_path / "journal" / "taxi.jsonl").open("a") as log:
        log.write('{"n": 2, "half')
    assert await journal.entries("taxi") == [{"n": 1}]
    await journal.append("taxi", {"n": 3})
    assert await journal.entries("taxi") == [{"n": 1}, {"n": 3}]


async def test_a_long_log_keeps_its_newest_part(journal: FileJournal, tmp_path: Path) -> None:
    for number in range(200):
        await journal.append("taxi", {"n": number})
    numbers = [entry["n"] for entry in await journal.entries("taxi")]
    assert numbers == list(range(numbers[0], 200))
    assert numbers[0] > 0
    assert sum(path.stat().st_size for path in (tmp_path / "journal").iterdir()) < 2 * 400 + 40


async def test_a_checkpoint_that_cannot_be_read_is_not_passed_over(
    journal: FileJournal, tmp_path: Path
) -> None:
    await journal.checkpoint("taxi", {"step": 1})
    (tmp_path / "journal" / "taxi.json").write_text("{")
    with pytest.raises(StateError, match=r"taxi.json is not a checkpoint"):
        await journal.load()


async def test_a_full_disk_is_a_state_error_and_keeps_the_checkpoint(
    journal: FileJournal, tmp_path: Path
) -> None:
    await journal.checkpoint("taxi", {"step": 1})
    (tmp_path / "journal" / ".taxi.json.tmp").symlink_to("/dev/full")
    with pytest.raises(StateError, match=r"cannot write .*taxi.json: No space left"):
        await journal.checkpoint("taxi", {"step": 2})
    assert await journal.load() == {"taxi": {"step": 1}}
    (tmp_path / "journal" / "bus.jsonl").symlink_to("/dev/full")
    with pytest.raises(StateError, match=r"cannot write .*bus.jsonl: No space left"):
        await journal.append("bus", {"n": 1})


async def test_a_folder_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = FileJournal(tmp_path / "file" / "journal")
    for write in (journal.checkpoint, journal.append):
        with pytest.raises(StateError, match="a file stands where a folder is needed"):
            await write("taxi", {})
    journal.close()


async def test_writes_come_in_the_order_of_the_calls(journal: FileJournal, tmp_path: Path) -> None:
    await asyncio.gather(*(journal.checkpoint("taxi", {"step": n}) for n in range(50)))
    assert await journal.load() == {"taxi": {"step": 49}}
    text = (tmp_path / "journal" / "taxi.json").read_text()
    assert json.loads(text) == {"release": "taxi", "record": {"step": 49}}
