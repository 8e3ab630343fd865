"""Who leads, and until when."""

import asyncio

import pytest

from sluice.cluster.keys import stamp
from sluice.cluster.lease import Elector
from sluice.kube.kinds import LEASE
from sluice.testing.clock import VirtualClock
from sluice.testing.kube import MemoryApi

NAME, NAMESPACE = "sluice-controller", "sluice-system"


class Rig:
    """One API server, any number of electors."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = MemoryApi(now=lambda: stamp(self.clock.now_ms()))

    def elector(self, pod: str) -> Elector:
        return Elector(
            self.api.client(),
            self.clock,
            name=NAME,
            namespace=NAMESPACE,
            pod=pod,
            lease_s=15.0,
        )

    async def lease(self) -> dict[str, object]:
        found = await self.api.client().get(LEASE, NAME, NAMESPACE)
        assert found is not None
        spec: dict[str, object] = found["spec"]
        return spec

    async def seconds_until(self, work: "asyncio.Task[object]", at_most: int = 60) -> int:
        """Seconds that go by until something is done."""
        for second in range(at_most):
            await self.clock.advance(0)
            if work.done():
                return second
            await self.clock.advance(1)
        raise AssertionError("never")


async def test_the_first_leads_and_a_second_waits_until_the_lease_is_over() -> None:
    rig = Rig()
    first, second = rig.elector("a"), rig.elector("b")
    held = await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    took = await rig.seconds_until(waiting)
    assert 15 <= took <= 19
    assert (await waiting).epoch == held.epoch + 1
    assert str((await rig.lease())["holderIdentity"]).startswith("b_")


async def test_a_lease_that_is_renewed_is_not_taken() -> None:
    rig = Rig()
    first, second = rig.elector("a"), rig.elector("b")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    await rig.clock.advance(120)
    assert not waiting.done()
    assert not keeping.done()
    keeping.cancel()
    waiting.cancel()


async def test_a_lease_that_is_given_back_is_taken_at_the_next_look() -> None:
    rig = Rig()
    first, second = rig.elector("a"), rig.elector("b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await rig.clock.advance(1)
    await first.release()
    assert await rig.seconds_until(waiting) <= 3


async def test_a_leader_goes_on_while_the_api_server_cannot_be_reached() -> None:
    rig = Rig()
    first = rig.elector("a")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    rig.api.unreachable = "connection refused"
    await rig.clock.advance(300)
    assert not keeping.done()
    assert "connection refused" in first.problem
    rig.api.unreachable = ""
    await rig.clock.advance(5)
    assert (keeping.done(), first.problem) == (False, "")
    keeping.cancel()


async def test_a_leader_leaves_when_it_sees_another_one() -> None:
    rig = Rig()
    first, second = rig.elector("a"), rig.elector("b")
    await first.acquire()
    await rig.clock.advance(20)
    waiting = asyncio.create_task(second.acquire())
    await rig.seconds_until(waiting)
    keeping = asyncio.create_task(first.keep())
    await rig.seconds_until(keeping)
    assert (await keeping) == second.identity


async def test_a_process_that_was_killed_is_followed_at_once_in_its_own_pod() -> None:
    rig = Rig()
    held = await rig.elector("a").acquire()
    again = await asyncio.wait_for(rig.elector("a").acquire(), 1)
    assert again.epoch == held.epoch + 1


async def test_only_one_of_two_gets_a_lease_that_is_free() -> None:
    rig = Rig()
    electors = [rig.elector("a"), rig.elector("b")]
    waiting = [asyncio.create_task(item.acquire()) for item in electors]
    await rig.clock.advance(1)
    assert [task.done() for task in waiting].count(True) == 1
    for task in waiting:
        task.cancel()


async def test_an_epoch_grows_even_when_somebody_deleted_the_lease() -> None:
    rig = Rig()
    first = rig.elector("a")
    held = await first.acquire()
    await rig.api.client().delete(LEASE, NAME, NAMESPACE)
    await rig.clock.advance(60)
    keeping = asyncio.create_task(first.keep())
    await rig.seconds_until(keeping)
    assert (await keeping) == "nobody"
    assert (await first.acquire()).epoch > held.epoch


async def test_a_renewal_survives_somebody_who_touches_the_lease() -> None:
    rig = Rig()
    first = rig.elector("a")
    await first.acquire()
    labels = {"metadata": {"labels": {"touched": "yes"}}}
    await rig.api.client().patch(LEASE, NAME, NAMESPACE, labels)
    keeping = asyncio.create_task(first.keep())
    await rig.clock.advance(30)
    assert not keeping.done()
    keeping.cancel()


@pytest.mark.parametrize("failing", [1, 3])
async def test_who_waits_survives_a_server_that_fails(failing: int) -> None:
    rig = Rig()
    rig.api.refuse("GET", LEASE, 503, "etcd has no leader", times=failing)
    waiting = asyncio.create_task(rig.elector("a").acquire())
    assert await rig.seconds_until(waiting) == failing * 3
