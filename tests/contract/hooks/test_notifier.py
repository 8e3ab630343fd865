"""What every notifier promises: it takes what it is told at once, and never fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sluice.hooks.memory import MemoryNotifier
from sluice.hooks.outbox import Outbox
from sluice.nouns import Notice, Notify
from sluice.ports import Notifier
from sluice.testing.clock import VirtualClock

NOTICE = Notice(
    id="taxi-1-1-Promoted",
    release="taxi",
    at_ms=1,
    kind="Promoted",
    reason="Promoted",
    message="v2 is stable",
    by="",
    data={},
)
NOWHERE = (
    Notify(kind="webhook", url="http://127.0.0.1:9"),
    Notify(kind="webhook", url="http://["),
    Notify(kind="slack", url_env="NOT_SET"),
)


@pytest_asyncio.fixture(params=["memory", "outbox"])
async def notifier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Notifier]:
    if request.param == "memory":
        yield MemoryNotifier()
        return
    outbox = Outbox(VirtualClock(), kept=tmp_path / "outbox.json")
    yield outbox
    await outbox.close()


@pytest.mark.parametrize("receivers", [(), NOWHERE, NOWHERE[:1] * 2])
async def test_telling_returns_at_once_whoever_is_away(
    notifier: Notifier, receivers: tuple[Notify, ...]
) -> None:
    for _ in range(20):
        notifier.tell(NOTICE, receivers)
    assert all(isinstance(line, str) for line in notifier.problems(receivers))


async def test_nothing_is_wrong_with_receivers_that_were_told_nothing(notifier: Notifier) -> None:
    assert tuple(notifier.problems(NOWHERE)) == ()
