"""What people ask by annotations."""

import json

import pytest
from tests.unit.cluster.world import KEY, STEPS, World, release

from sluice.cluster.asked import asked
from sluice.errors import StateError


async def in_pass(world: World) -> str:
    """Version 2 waits at 20%."""
    await world.stable(strategy=STEPS)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(4)
    status = await world.status()
    assert (status["phase"], status["weight"], status["stage"]) == ("Paused", "20%", "canary 2/5")
    return str(status["candidate"])


async def test_a_verb_is_done_once_and_recorded() -> None:
    world = World()
    await in_pass(world)
    await world.annotate(promote="true")
    await world.seconds(3)
    status = await world.status()
    assert status["weight"] == "50%"
    assert status["consumed"] == {"sluice.dev/promote": "true"}
    assert status["command"]["outcome"] == "done"
    assert status["command"]["message"].startswith("promote: ")


def test_who_asked_is_the_manager_that_wrote_the_annotation_last() -> None:
    def wrote(manager: str, time: str, annotation: str) -> dict[str, object]:
        fields = {"f:metadata": {"f:annotations": {f"f:sluice.dev/{annotation}": {}}}}
        return {"manager": manager, "time": time, "fieldsV1": fields}

    metadata = {
        "annotations": {"sluice.dev/abort": "true"},
        "managedFields": [
            wrote("helm", "2026-01-01T00:00:00Z", "abort"),
            wrote("kubectl-annotate", "2026-01-02T00:00:00Z", "abort"),
            wrote("argocd", "2026-01-03T00:00:00Z", "pause"),
        ],
    }
    (item,) = asked({"metadata": metadata}, {}, None)
    assert item.body.by == "kubectl-annotate"


async def test_a_value_counts_again_after_it_was_taken_away() -> None:
    world = World()
    await in_pass(world)
    await world.annotate(promote="true")
    await world.seconds(3)
    await world.annotate(promote=None)
    assert (await world.status())["consumed"] == {}
    await world.annotate(promote="true")
    await world.seconds(2)
    assert (await world.status())["stage"] == "canary 5/5"


async def test_a_verb_is_not_done_again_by_the_next_controller() -> None:
    world = World()
    await in_pass(world)
    await world.annotate(promote="true")
    await world.crash()
    await world.seconds(3)
    assert (await world.status())["weight"] == "50%"


async def test_a_verb_for_a_revision_counts_only_while_that_is_the_candidate() -> None:
    world = World()
    candidate = await in_pass(world)
    await world.annotate(abort="0123456789")
    await world.seconds(2)
    assert (await world.status())["phase"] == "Paused"
    await world.annotate(abort=candidate)
    assert (await world.status())["phase"] == "Aborted"


async def test_a_verb_that_waits_for_its_revision_is_done_when_that_becomes_the_candidate() -> None:
    world = World()
    candidate = await in_pass(world)
    await world.annotate(promote_full="true")
    await world.until("Promoted", at_most_s=5)
    await world.annotate(promote_full=None)
    await world.apply(release("1", strategy=STEPS))
    await world.annotate(promote_full=candidate)
    await world.seconds(3)
    assert world.shown().candidate not in (None, candidate)
    await world.apply(release("2", strategy=STEPS))
    await world.seconds(2)
    assert world.shown().stable == candidate


async def test_the_other_plain_verbs() -> None:
    world = World()
    candidate = await in_pass(world)
    await world.annotate(pause="true")
    assert (await world.condition("Paused"))["reason"] == "PausedByUser"
    await world.annotate(resume="true")
    await world.annotate(abort="true")
    assert await world.holds("Aborted")
    await world.annotate(retry="true")
    await world.seconds(3)
    assert not await world.holds("Aborted")
    await world.annotate(promote_full="true")
    await world.until("Promoted", at_most_s=5)
    assert world.shown().stable == candidate
    await world.annotate(undo="true")
    assert world.shown().stable != candidate
    assert await world.holds("Aborted")


async def test_a_gate_is_answered_by_its_name() -> None:
    steps = {"canary": {"steps": [{"setWeight": 20}, {"gate": {"name": "ok"}}]}}
    world = World()
    await world.stable(strategy=steps)
    await world.apply(release("2", strategy=steps))
    await world.seconds(3)
    await world.annotate(approve="wrong")
    assert (await world.status())["command"]["outcome"] == "refused"
    await world.annotate(reject="ok")
    assert (await world.condition("Aborted"))["reason"] == "GateRefused"


async def test_a_refused_verb_is_answered_with_the_reason_once() -> None:
    world = World()
    await world.stable()
    await world.annotate(promote="true")
    command = (await world.status())["command"]
    assert command["outcome"] == "refused"
    assert "no pass is running" in command["message"]
    await world.seconds(3)
    refused = [item for item in await world.events() if item["reason"] == "VerbRefused"]
    assert [item["type"] for item in refused] == ["Warning"]


async def test_a_command_is_answered_by_its_id() -> None:
    world = World()
    await in_pass(world)
    words = {"id": "a1", "verb": "promote", "by": "ann", "full": True}
    await world.annotate(command=json.dumps(words))
    assert (await world.status())["command"]["id"] == "a1"
    await world.until("Promoted", at_most_s=5)
    assert any(item.get("by") == "ann" for item in (await world.status())["history"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("{", "makes no sense", id="no-json"),
        pytest.param("[]", "is no JSON object", id="no-object"),
        pytest.param('{"id": "x", "verb": "fly"}', "no verb 'fly'", id="unknown-verb"),
        pytest.param('{"id": "x", "verb": "abort", "wings": 2}', "wings", id="unknown-word"),
        pytest.param('{"id": "x", "verb": "approve"}', "name of a gate", id="missing-word"),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused_once(text: str, reason: str) -> None:
    world = World()
    await in_pass(world)
    await world.annotate(command=text)
    command = (await world.status())["command"]
    assert command["outcome"] == "refused"
    assert reason in command["message"]
    patches = world.lead.book.patches
    await world.settle()
    assert world.lead.book.patches == patches


async def test_an_abort_is_done_while_the_api_server_cannot_be_reached() -> None:
    world = World()
    candidate = await in_pass(world)
    core = world.lead.loop.releases[KEY].core
    await world.annotate(resume="true")
    world.api.unreachable = "connection refused"
    world.bad["2"] = 1.0
    for _ in range(30):
        await world.second()
    assert core.state.phase == "Aborted"
    assert world.plane.weight_bp(KEY, core.state.stable) == 10_000
    assert world.plane.weight_bp(KEY, candidate) == 0
    world.api.unreachable = ""
    await world.seconds(2)
    assert await world.holds("Aborted")
    world.api.unreachable = "again"
    with pytest.raises(StateError):
        await world.lead.journal.checkpoint(KEY, {"decisions": []})
