"""Patches of one status arrive in the order in which they were asked for."""

import asyncio
from typing import Any

import pytest

from sluice.cluster import journal as module
from sluice.cluster.book import Book
from sluice.cluster.journal import StatusJournal
from sluice.errors import StateError, TransientError
from sluice.kube.kinds import RELEASE
from sluice.kube.packed import unpack
from sluice.testing.kube import MemoryApi

KEY = "ml/taxi"


class Rig:
    """A client whose patches hang until they are let go."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.client = self.api.client()
        self.free = asyncio.Event()
        self.free.set()
        self.book = Book(self.client)
        patch = self.client.patch

        async def slow(*given: Any, **named: Any) -> Any:
            await self.free.wait()
            return await patch(*given, **named)

        self.client.patch = slow  # type: ignore[method-assign]  # the same, later

    async def begin(self) -> None:
        await self.client.create(RELEASE.new("taxi", "ml", spec={}))

    async def status(self) -> dict[str, Any]:
        found = await self.client.get(RELEASE, "taxi", "ml")
        assert found is not None
        known: dict[str, Any] = found.get("status", {})
        return known


async def test_an_older_checkpoint_never_arrives_after_a_newer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WRITE_S", 0.05)
    rig = Rig()
    await rig.begin()
    journal = StatusJournal(rig.client, rig.book)
    rig.free.clear()
    for number in (1, 2, 3):
        with pytest.raises(StateError, match=r"has not answered for 0\.05 s"):
            await journal.checkpoint(KEY, {"number": number})
    rig.free.set()
    await journal.checkpoint(KEY, {"number": 4})
    assert unpack((await rig.status())["checkpoint"]) == {"number": 4}
    # the one that hung, and one for all that came while it did
    assert rig.book.patches == 2


async def test_what_could_not_be_sent_in_time_goes_with_the_next_write() -> None:
    rig = Rig()
    await rig.begin()
    rig.free.clear()
    hanging = asyncio.create_task(rig.book.write(KEY, {"phase": "Paused"}))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await rig.book.write(KEY, {"message": "held"})
    rig.free.set()
    assert await hanging
    await rig.book.write(KEY, {"stage": "canary 1/2"})
    assert await rig.status() == {"phase": "Paused", "message": "held", "stage": "canary 1/2"}


async def test_a_write_that_fails_lets_the_next_one_through() -> None:
    rig = Rig()
    await rig.begin()
    rig.api.unreachable = "connection refused"
    with pytest.raises(TransientError):
        await rig.book.write(KEY, {"phase": "Paused"})
    rig.api.unreachable = ""
    assert await rig.book.write(KEY, {"phase": "Healthy"})
    assert await rig.status() == {"phase": "Healthy"}
    assert not await rig.book.write(KEY, {"phase": "Healthy"})
