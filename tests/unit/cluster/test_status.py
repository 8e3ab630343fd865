"""What is written into a status, how often, and how much of it."""

import json
from dataclasses import replace
from typing import Any

from tests.unit.cluster.world import KEY, STEPS, World, release

from sluice.cluster.fitting import merge_patch, packed_checkpoint
from sluice.cluster.keys import stamp
from sluice.dataplanes.codec import decode_routing
from sluice.kube.kinds import RELEASE
from sluice.kube.packed import unpack
from sluice.reports.document import parse
from sluice.reports.model import ReleaseStatus
from sluice.runtime.checkpoint import from_record


async def test_promoted_is_false_from_the_start_of_a_pass_until_its_end() -> None:
    world = World()
    await world.stable()
    first = await world.condition("Promoted")
    await world.second()
    await world.apply(release("2"))
    promoted = await world.condition("Promoted")
    assert (promoted["status"], promoted["observedGeneration"]) == ("False", 2)
    began = stamp(world.clock.now_ms())
    assert promoted["lastTransitionTime"] == began > first["lastTransitionTime"]
    await world.seconds(3)
    assert (await world.condition("Promoted"))["lastTransitionTime"] == began
    await world.until("Promoted")
    status = await world.status()
    assert status["phase"] == "Healthy"
    assert "candidate" not in status
    assert "weight" not in status


async def test_a_bad_candidate_is_aborted_with_a_warning() -> None:
    world = World(bad={"2": 1.0})
    await world.stable()
    await world.apply(release("2"))
    await world.until("Aborted")
    status = await world.status()
    assert (status["phase"], status["verdict"]) == ("Aborted", "failed")
    assert not await world.holds("Promoted")
    aborted = [item for item in await world.events() if item["reason"] == "Aborted"]
    assert [item["type"] for item in aborted] == ["Warning"]
    assert aborted[0]["regarding"]["uid"] == (await world.object())["metadata"]["uid"]
    assert aborted[0]["eventTime"].endswith("Z")


async def test_every_decision_is_one_event_also_over_a_crash() -> None:
    world = World()
    await world.stable(strategy=STEPS)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(4)
    kinds = sorted(item["reason"] for item in await world.events())
    assert kinds == ["PassStarted", "PassStarted", "Promoted", "RungEntered", "RungEntered"]
    await world.crash()
    await world.seconds(2)
    assert sorted(item["reason"] for item in await world.events()) == kinds


async def test_the_view_is_the_status_document_and_the_routing_is_what_agents_read() -> None:
    world = World()
    await world.stable(strategy=STEPS)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(4)
    status = await world.status()
    view = unpack(status["view"])
    shown = parse(ReleaseStatus, json.dumps(view["status"]))
    assert (shown.name, shown.weight_bp) == (KEY, 2_000)
    assert [item["kind"] for item in view["decisions"]][-1] == "RungEntered"
    routing = decode_routing(status["routing"])
    assert routing == world.lead.loop.releases[KEY].core.state.routing


async def test_nothing_is_written_when_nothing_happens() -> None:
    world = World()
    await world.stable()
    await world.seconds(62, rps=0)
    calls, patches = len(world.api.calls), world.lead.book.patches
    await world.seconds(20, rps=0)
    wrote = [call for call in world.api.calls[calls:] if not call.startswith("GET")]
    assert (wrote, world.lead.book.patches) == ([], patches)


async def test_numbers_of_a_pass_are_written_every_two_seconds_and_decisions_at_once() -> None:
    world = World()
    await world.stable(strategy=STEPS)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(4)
    before = world.lead.book.patches
    await world.seconds(20)
    # ten times numbers, and two checkpoints of a running pass
    assert 10 <= world.lead.book.patches - before <= 13
    await world.annotate(abort="true")
    assert (await world.status())["phase"] == "Aborted"


async def test_numbers_of_a_calm_release_are_written_once_a_minute() -> None:
    world = World()
    await world.stable()
    await world.seconds(5)
    before = world.lead.book.patches
    await world.seconds(70)
    assert world.lead.book.patches - before <= 2


async def test_a_status_stays_below_64_kb_and_old_evidence_goes_first() -> None:
    world = World(bad={"2": 0.03})
    await world.stable(strategy=STEPS)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(4)
    tracked = world.lead.loop.releases[KEY]
    heavy = _heavy(tracked.core.decisions[-1], world)
    tracked.core.decisions = [heavy(number) for number in range(50)]
    await world.annotate(pause="true")
    status = await world.status()
    assert len(json.dumps(status)) < 64_000
    decisions = unpack(status["checkpoint"])["decisions"]
    told = [item["verdict"] is not None for item in decisions]
    assert told == sorted(told)
    assert told[-1]
    assert not told[0]
    assert from_record(unpack(status["checkpoint"])).state == tracked.core.state


def _heavy(decision: Any, world: World) -> Any:
    """Decisions with evidence that does not pack: random words."""
    verdict = world.lead.loop.releases[KEY].core.verdict

    def made(number: int) -> Any:
        noise = f"{world.random.getrandbits(16_000):x}"
        return replace(
            decision, at_ms=decision.at_ms + number, verdict=replace(verdict, reason=noise)
        )

    return made


def test_a_checkpoint_that_fits_is_left_alone() -> None:
    record = {"state": {}, "decisions": [{"verdict": {"kind": "passed"}}]}
    assert unpack(packed_checkpoint(record)) == record


def test_a_patch_names_only_what_differs_and_takes_away_what_is_gone() -> None:
    before = {"a": 1, "b": {"x": 1, "y": 2}, "c": [1], "d": 4}
    after = {"a": 1, "b": {"x": 1}, "c": [2], "d": None}
    assert merge_patch(before, after) == {"b": {"y": None}, "c": [2], "d": None}
    assert merge_patch(before, {"a": 1}) == {}


async def test_an_unreadable_checkpoint_stops_its_release_alone() -> None:
    world = World()
    await world.stable()
    other = release("1", name="bus")
    await world.apply(other)
    await world.seconds(3)
    await world.client.patch(
        RELEASE, "bus", "ml", {"status": {"checkpoint": "AAAA"}}, subresource="status"
    )
    await world.crash()
    accepted = await world.condition("Accepted", "bus")
    assert (accepted["status"], accepted["reason"]) == ("False", "StateUnreadable")
    assert "remove it to begin anew" in accepted["message"]
    assert (await world.condition("Accepted"))["status"] == "True"


async def test_a_problem_is_said_and_is_one_event() -> None:
    world = World()
    await world.stable()
    world.plane.reachable = False
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(6)
    degraded = await world.condition("Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "Problem")
    problems = [item for item in await world.events() if item["reason"] == "Problem"]
    assert len(problems) == 1
    world.plane.reachable = True
    await world.seconds(3)
    assert (await world.condition("Degraded"))["status"] == "False"


async def test_a_new_controller_says_nothing_of_what_it_has_not_looked_at() -> None:
    world = World()
    await world.stable()
    before = await world.status()
    world.lead = world._leadership()
    await world.lead.loop.load()
    await world.lead.list_all()
    await world.lead.presenter.look()
    after = await world.status()
    assert after["conditions"] == before["conditions"]
    assert after["observedGeneration"] == before["observedGeneration"]
    await world.client.create(release("1", name="bus"))
    await world.lead.list_all()
    await world.lead.presenter.look()
    assert await world.status("bus") == {}


async def test_a_verb_for_a_release_that_never_ran_names_no_other_release() -> None:
    world = World()
    await world.stable()
    await world.apply(release("1", name="bus", policyRef={"name": "nobody"}))
    body = {"metadata": {"annotations": {"sluice.dev/abort": "true"}}}
    await world.client.patch(RELEASE, "bus", "ml", body)
    await world.settle()
    command = (await world.status("bus"))["command"]
    assert command["outcome"] == "refused"
    assert "taxi" not in command["message"]
