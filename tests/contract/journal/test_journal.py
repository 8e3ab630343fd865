"""What every journal keeps."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice.cluster.book import Book
from sluice.cluster.journal import StatusJournal
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict
from sluice.kube.kinds import RELEASE
from sluice.platforms.local import FileJournal
from sluice.ports import Journal
from sluice.testing.journal import MemoryJournal
from sluice.testing.kube import MemoryApi


class ClusterJournal(StatusJournal):
    """The journal of a cluster, in which every release has its object."""

    def __init__(self, client: KubeClient, files: FileJournal) -> None:
        super().__init__(client, Book(client), files=files, check=lambda _: None)
        self._api = client

    async def load(self) -> Mapping[str, Mapping[str, Any]]:
        return {key.removeprefix("ml/"): item for key, item in (await super().load()).items()}

    async def checkpoint(self, release: str, record: Mapping[str, Any]) -> None:
        with contextlib.suppress(Conflict):
            await self._api.create(RELEASE.new(release, "ml", spec={}))
        await super().checkpoint(f"ml/{release}", record)

    async def forget(self, release: str) -> None:
        await super().forget(f"ml/{release}")


@pytest.fixture(params=["memory", "files", "cluster"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    files = FileJournal(tmp_path / "journal")
    if request.param == "files":
        yield files
    else:
        yield ClusterJournal(MemoryApi().client(), files)
    files.close()


async def test_nothing_is_known_at_first(journal: Journal) -> None:
    assert await journal.load() == {}
    assert await journal.entries("taxi") == []


async def test_the_last_checkpoint_of_each_release_is_kept(journal: Journal) -> None:
    await journal.checkpoint("taxi", {"step": 1})
    await journal.checkpoint("bus", {"step": 7, "weights": [1, 2], "name": "Łódź"})
    await journal.checkpoint("taxi", {"step": 2})
    assert await journal.load() == {
        "taxi": {"step": 2},
        "bus": {"step": 7, "weights": [1, 2], "name": "Łódź"},
    }


async def test_what_was_given_can_be_changed_without_changing_the_journal(journal: Journal) -> None:
    record, entry = {"step": 1}, {"event": "begun"}
    await journal.checkpoint("taxi", record)
    await journal.append("taxi", entry)
    record["step"] = 2
    entry["event"] = "forged"
    assert await journal.load() == {"taxi": {"step": 1}}
    assert await journal.entries("taxi") == [{"event": "begun"}]


async def test_entries_come_back_oldest_first_and_by_release(journal: Journal) -> None:
    for number in range(5):
        await journal.append("taxi", {"n": number, "text": "two\nlines"})
    await journal.append("bus", {"n": 9})
    assert [entry["n"] for entry in await journal.entries("taxi")] == [0, 1, 2, 3, 4]
    assert (await journal.entries("taxi"))[0]["text"] == "two\nlines"


async def test_forgetting_drops_the_checkpoint_and_keeps_the_log(journal: Journal) -> None:
    await journal.checkpoint("taxi", {"step": 1})
    await journal.append("taxi", {"n": 1})
    await journal.forget("taxi")
    await journal.forget("taxi")
    assert await journal.load() == {}
    assert await journal.entries("taxi") == [{"n": 1}]


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "ml.taxi", "a" * 60])
async def test_any_name_is_kept_as_it_is(journal: Journal, name: str) -> None:
    if isinstance(journal, ClusterJournal) and not name.isalnum():
        pytest.skip("the API server has no object of this name")
    await journal.checkpoint(name, {"step": 1})
    await journal.append(name, {"n": 1})
    assert await journal.load() == {name: {"step": 1}}
    assert await journal.entries(name) == [{"n": 1}]
