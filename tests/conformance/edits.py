"""Documents that change in mid-release."""

from collections.abc import Callable, Mapping
from functools import partial

from tests.conformance.catalog import Scenario
from tests.conformance.story import Story
from tests.conformance.verbs import STEPS

RPS = 40


def _at_a_gate(story: Story) -> None:
    story.given.strategy(canary={"steps": STEPS}).slo(0.9).policy(minBake="1s", warmUp="0s")
    story.given.stable("v1").traffic(RPS)
    story.when.candidate("v2")
    story.then.at("gate").weight(1_000)


def template_change(story: Story) -> None:
    """Another candidate in mid-pass: the running one goes, and its pass begins at step 1."""
    _at_a_gate(story)
    story.when.verb("approve", "ok")
    story.then.at("pause").weight(5_000)
    story.when.candidate("v3")
    story.then.at("gate").weight(1_000).decided("Superseded")
    assert story.status().candidate == story.world.revisions["v3"]
    story.when.verb("promote", "--full")
    story.then.promoted("v3")


def candidate_over_a_paused_one(story: Story) -> None:
    """A pause belongs to the pass that was paused."""
    _at_a_gate(story)
    story.when.verb("pause")
    story.then.held("PausedByUser")
    story.when.candidate("v3")
    story.then.at("gate").weight(1_000)
    story.when.verb("approve", "ok")
    story.then.at("pause").weight(5_000)
    story.ends("new pass, not paused")


def edited_plan(story: Story) -> None:
    """Steps change in mid-pass: taken at the next step."""
    _at_a_gate(story)
    story.when.edited(
        strategy={"canary": {"steps": [*STEPS[:2], {"setWeight": 30}, {"pause": {}}]}}
    )
    story.then.weight(1_000).decided("PlanEdited")
    story.when.verb("approve", "ok")
    story.then.at("pause").weight(3_000)
    story.ends("edit taken at the next step")


def plan_of_fewer_steps(story: Story) -> None:
    """Steps are counted: the third of the edited plan is its last, in which the checks decide."""
    _at_a_gate(story)
    story.when.edited(strategy={"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}})
    story.when.verb("promote")
    story.then.at("bake").weight(2_000)
    story.then.promoted()


def stable_again(story: Story) -> None:
    """The old template is applied again in mid-pass: the candidate is turned back."""
    _at_a_gate(story)
    story.when.deployed("v1")
    story.then.serves("v1").decided("Reverted")
    story.ends("reverted")


def the_same_again(story: Story) -> None:
    """Applying what is applied changes nothing."""
    _at_a_gate(story)
    before = story.status().generation
    story.when.deployed("v2").after(3)
    assert story.status().generation == before
    assert story.status().pass_number == 2
    story.ends("nothing changes")


def turned_back_again(story: Story) -> None:
    """What was turned back is applied again: it stays turned back until `retry`."""
    _at_a_gate(story)
    story.when.verb("abort")
    story.then.aborted("AbortedByUser")
    story.when.deployed("v2").after(3)
    story.then.aborted("AbortedByUser")
    story.ends("stays turned back")


def fixed_version_after_a_bad_one(story: Story) -> None:
    """A bad candidate was turned back; the next one is promoted."""
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="2s", warmUp="0s").stable("v1").traffic(RPS)
    when.candidate("v2", error_rate=1.0)
    then.within(30).aborted()
    when.candidate("v3")
    then.within(60).promoted("v3")


def undo_in_bake(story: Story) -> None:
    """Undo while the checks are content and minBake still runs is abort, and says so."""
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="60s", warmUp="0s").stable("v1").traffic(RPS)
    when.candidate("v2")
    then.says("minBake")
    when.live(2_000).after(10)
    assert "abort" in when.refused("undo")
    when.verb("abort")
    then.aborted("AbortedByUser").serves("v1")


def undo_after_keep_warm(story: Story) -> None:
    """The old stable is cold: undo is a pass of its own."""
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s", warmUp="0s").spec(keepWarm="3s")
    given.stable("v1").traffic(RPS)
    when.candidate("v2")
    then.promoted()
    when.after(6).verb("undo")
    then.progressing()
    then.promoted("v1")


def more_replicas(story: Story) -> None:
    """Sizes follow the spec in mid-pass, and no request is lost."""
    _at_a_gate(story)
    story.when.edited(spec={"replicas": 4})
    story.when.verb("approve", "ok")
    story.then.at("pause").weight(5_000)
    story.when.verb("promote", "--full")
    story.then.promoted()
    story.when.after(3)
    stable = next(item for item in story.status().revisions if item.role == "stable")
    assert (stable.desired, stable.ready) == (4, 4)


def first_revision_that_never_starts(story: Story) -> None:
    """The first revision has no stable to fall back on: a better one takes its place."""
    when, then = story.when, story.then
    story.given.slo(0.9).policy(minBake="1s", warmUp="0s")
    when.candidate("v0", start_s=1_000.0).after(5)
    when.candidate("v1")
    story.world.traffic(0)
    then.promoted("v1")


def delete_while_preparing(story: Story) -> None:
    """Nothing of the candidate or of stable stays."""
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s").stable("v1").traffic(RPS)
    when.candidate("v2", start_s=20.0).after(2)
    when.verb("delete")
    then.gone()


def deploy_after_delete(story: Story) -> None:
    """A deleted release can be made again; it begins with its first revision."""
    given, when, then = story.given, story.when, story.then
    given.slo(0.9).policy(minBake="1s").stable("v1").traffic(RPS)
    when.verb("delete")
    then.gone()
    story.world.traffic(0)
    when.candidate("v1")
    then.promoted("v1")


STORIES: Mapping[str, Callable[[Story], None]] = {
    "template change": template_change,
    "candidate over a paused one": candidate_over_a_paused_one,
    "edited plan": edited_plan,
    "plan of fewer steps": plan_of_fewer_steps,
    "stable again": stable_again,
    "the same again": the_same_again,
    "turned back again": turned_back_again,
    "fixed version after a bad one": fixed_version_after_a_bad_one,
    "undo in bake": undo_in_bake,
    "undo after keepWarm": undo_after_keep_warm,
    "more replicas": more_replicas,
    "first revision that never starts": first_revision_that_never_starts,
    "delete while preparing": delete_while_preparing,
    "deploy after delete": deploy_after_delete,
}
LAPTOP = {"candidate over a paused one", "edited plan", "stable again", "more replicas"}


def _tell(tell: Callable[[Story], None], story: Story) -> None:
    tell(story)
    story.then.harmed(at_most=0).lost(0)


def scenarios() -> list[Scenario]:
    """One scenario an edit."""
    return [
        Scenario(
            group="edits",
            row=name,
            column="",
            tell=partial(_tell, tell),
            laptop=name in LAPTOP,
        )
        for name, tell in STORIES.items()
    ]
