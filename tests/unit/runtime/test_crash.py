"""Killing the controller anywhere and starting another reaches the same end."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runtime.world import NAME, V1, V2, World, plan

from sluice.engine.canary import Pause, SetWeight
from sluice.errors import StateError
from sluice.nouns import Phase, Workload

STEPS = plan(SetWeight(weight_bp=1_000), Pause(duration_ms=3_000), SetWeight(weight_bp=4_000))


class Killed(asyncio.CancelledError):
    """The controller ends here, without a word."""


class Dying:
    """Kills the controller just before the n-th thing it does to the world.

    Just after a thing is just before the next one: nothing but pure code lies between.
    """

    def __init__(self, world: World, at: int) -> None:
        self.left = at
        self.dead = False
        for owner, name in (
            (world.journal, "checkpoint"),
            (world.journal, "append"),
            (world.plane, "apply"),
            (world.platform, "scale"),
        ):
            setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, call):  # type: ignore[no-untyped-def]
        async def wrapped(*words):  # type: ignore[no-untyped-def]
            self.left -= 1
            if self.left != 0:
                return await call(*words)
            self.dead = True
            raise Killed

        return wrapped


async def _journey(world: World, what, crashes: set[int]) -> Phase:  # type: ignore[no-untyped-def]
    await world.stable(what)
    await world.deploy(V2, what)
    for second in range(200):
        status = world.status()
        if status.phase in (Phase.HEALTHY, Phase.ABORTED):
            return status.phase
        if second in crashes:
            await world.crash()
        await world.second()
    raise AssertionError(f"no end: {world.status()}")


@pytest.mark.parametrize(
    ("bad", "end"),
    [pytest.param(0.0, Phase.HEALTHY, id="good"), pytest.param(1.0, Phase.ABORTED, id="dead")],
)
@settings(max_examples=8, deadline=None)
@given(crashes=st.sets(st.integers(0, 25), max_size=4), by_hand=st.booleans())
async def test_crashes_between_turns_do_not_change_the_end(
    crashes: set[int], by_hand: bool, bad: float, end: Phase
) -> None:
    world = World(bad={V2: bad})
    assert await _journey(world, STEPS if by_hand else plan(), crashes) is end
    assert world.lost == 0
    assert world.status().pass_number == 2
    assert world.harmed <= 30


@pytest.mark.parametrize("bad", [0.0, 1.0], ids=["good", "dead"])
async def test_crash_at_any_act_of_the_controller_reaches_the_same_end(bad: float) -> None:
    for at in range(1, 40):
        world = World(bad={V2: bad})
        await world.stable(STEPS)
        dying = Dying(world, at)
        with contextlib.suppress(Killed):
            await world.deploy(V2, STEPS)
        for _ in range(100):
            if dying.dead:
                dying.dead = False
                await world.crash()
                # The command that asked may have been cut off: whoever asked asks again.
                await world.deploy(V2, STEPS)
            await world.second(rps=40)
            ended = world.status().phase in (Phase.HEALTHY, Phase.ABORTED)
            if ended and world.status().pass_number == 2 and not dying.dead:
                break
        status = world.status()
        wanted = V1 if bad else V2
        assert status.stable == wanted, f"act {at}: {status}"
        assert world.served_bp(wanted) == 10_000
        assert world.lost == 0
        if dying.left > 0:
            break
    else:
        pytest.fail("the journey has more acts than were tried")


async def test_evidence_survives_a_crash() -> None:
    world = World()
    await world.stable()
    await world.deploy(V2)
    await world.seconds(6)
    before = world.status().verdict
    await world.crash()
    await world.second()
    after = world.status().verdict
    assert before is not None
    assert after is not None
    assert after.requests >= before.requests > 0


async def test_checkpoint_of_a_newer_sluice_is_not_touched() -> None:
    world = World()
    await world.stable()
    record = dict((await world.journal.load())[NAME])
    await world.journal.checkpoint(NAME, {**record, "format": 99})
    with pytest.raises(StateError, match="format 99"):
        await world.crash()


async def test_dead_controller_gives_the_traffic_to_stable_and_a_new_one_takes_it_back() -> None:
    world = World()
    what = plan(SetWeight(weight_bp=4_000), Pause(duration_ms=None))
    await world.stable(what)
    await world.deploy(V2, what)
    await world.seconds(3)
    assert world.served_bp(V2) == 4_000
    await world.clock.advance(11)
    assert world.served_bp(V2) == 0
    await world.crash()
    await world.second()
    assert world.served_bp(V2) == 4_000


async def test_crash_after_an_abort_that_could_not_be_written_harms_nobody() -> None:
    world = World()
    what = plan(SetWeight(weight_bp=4_000), Pause(duration_ms=None))
    await world.stable(what)
    await world.deploy(V2, what)
    await world.seconds(3)
    world.journal.fault = "cannot write taxi.json: No space left on device"
    world.bad[V2] = 1.0
    await world.seconds(2)
    world.journal.fault = None
    harmed = world.harmed
    await world.crash()
    await world.seconds(5)
    # Counters are cumulative: the first poll sees what the lost verdict saw, and decides the same.
    status = world.status()
    assert status.phase is Phase.ABORTED
    assert status.acknowledged == status.generation
    assert status.problems == ()
    assert world.harmed == harmed
    assert world.served_bp(V1) == 10_000


async def test_a_controller_that_has_just_begun_asks_once_more_for_what_runs() -> None:
    world = World()
    await world.stable(STEPS)
    asked: list[tuple[str, int]] = []
    scale = world.platform.scale

    async def noted(workload: Workload, replicas: int) -> None:
        asked.append((workload.revision, replicas))
        await scale(workload, replicas)

    world.platform.scale = noted  # type: ignore[method-assign]  # listens, and does the same
    await world.seconds(3)
    assert asked == [], "it was asked already"
    await world.crash()
    await world.seconds(3)
    assert asked == [(V1, world.status().revisions[0].desired)]
