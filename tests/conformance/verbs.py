"""Each verb at each moment of a release: what it does, or why it is refused."""

from collections.abc import Callable, Mapping
from functools import partial

from tests.conformance.catalog import Scenario
from tests.conformance.moments import MOMENTS
from tests.conformance.story import Story

VERBS: Mapping[str, tuple[str, ...]] = {
    "promote": ("promote",),
    "promote --full": ("promote", "--full"),
    "pause": ("pause",),
    "resume": ("resume",),
    "approve": ("approve", "ok"),
    "reject": ("reject", "ok"),
    "abort": ("abort",),
    "retry": ("retry",),
    "undo": ("undo",),
    "delete": ("delete",),
}


GATES: Mapping[str, str] = {"between batches": "ok-1"}
"""Gate that is approved; ``ok`` where nothing is said."""


# --- what comes of a verb ---


def _half(story: Story) -> None:
    story.then.at("pause").weight(5_000)
    story.ends("next step")


def _same(story: Story) -> None:
    weight_bp = story.status().weight_bp
    story.when.after(4)
    assert story.status().weight_bp == weight_bp
    story.ends("nothing changes")


def _stable_again(story: Story) -> None:
    story.then.aborted("AbortedByUser").weight(0)


def _rejected(story: Story) -> None:
    story.then.aborted("GateRefused").weight(0)


def _new_pass(story: Story) -> None:
    story.then.at("gate").weight(1_000)
    story.ends("new pass")


def _waits_at_the_gate(story: Story) -> None:
    story.then.held("Resumed").says("`sluice approve taxi ok`")
    story.ends("waits at the gate")


def _ramps_on(story: Story) -> None:
    story.then.progressing()


def _waits_for_a_person(story: Story) -> None:
    story.then.at("promote")
    story.ends("waits for promote")


def _is_promoted(story: Story) -> None:
    story.then.promoted()


def _is_paused(story: Story) -> None:
    story.then.held("PausedByUser")


def _is_undone(story: Story) -> None:
    story.then.aborted("Undone").serves("v1")


def _is_gone(story: Story) -> None:
    story.then.gone()


def _starts_over_by_approval(story: Story) -> None:
    """Approved while it was prepared: it does not stop at the gate any more."""
    story.then.at("pause").weight(5_000)
    story.ends("passes the gate")


def _approved_but_paused(story: Story) -> None:
    _same(story)
    story.when.verb("resume")
    story.then.at("pause").weight(5_000)
    story.ends("next step after resume")


Comes = Callable[[Story], None] | str
"""What comes of it; a text: refused, and the refusal says this."""

IDLE = "no pass is running"
TURNED = "`retry` starts a new pass"
IN_PASS: Mapping[str, Comes] = {
    "promote": _is_promoted,
    "promote --full": _is_promoted,
    "pause": _is_paused,
    "resume": "cannot resume",
    "approve": "the plan's gates are: none",
    "reject": "the plan's gates are: none",
    "abort": _stable_again,
    "retry": "a pass is running",
    "undo": "`abort` turns the candidate back",
    "delete": _is_gone,
}
"""What most verbs do while a pass runs, whatever the strategy."""

EXPECTED: Mapping[str, Mapping[str, Comes]] = {
    "preparing": {
        "promote": "replicas ready",
        "promote --full": "replicas ready",
        "pause": _is_paused,
        "resume": "cannot resume",
        "approve": _starts_over_by_approval,
        "reject": _rejected,
        "abort": _stable_again,
        "retry": "a pass is running",
        "undo": "`abort` turns the candidate back",
        "delete": _is_gone,
    },
    "at a gate": {
        "promote": _half,
        "promote --full": _is_promoted,
        "pause": _is_paused,
        "resume": "cannot resume",
        "approve": _half,
        "reject": _rejected,
        "abort": _stable_again,
        "retry": "a pass is running",
        "undo": "`abort` turns the candidate back",
        "delete": _is_gone,
    },
    "at a pause": {
        "promote": _is_promoted,
        "promote --full": _is_promoted,
        "pause": _is_paused,
        "resume": "cannot resume",
        "approve": _same,
        "reject": _rejected,
        "abort": _stable_again,
        "retry": "a pass is running",
        "undo": "`abort` turns the candidate back",
        "delete": _is_gone,
    },
    "paused": {
        "promote": _half,
        "promote --full": _is_promoted,
        "pause": _same,
        "resume": _waits_at_the_gate,
        "approve": _approved_but_paused,
        "reject": _rejected,
        "abort": _stable_again,
        "retry": "a pass is running",
        "undo": "`abort` turns the candidate back",
        "delete": _is_gone,
    },
    "held": {
        "promote": _is_promoted,
        "promote --full": _is_promoted,
        "pause": _is_paused,
        "resume": _ramps_on,
        "approve": "the plan's gates are: none",
        "reject": "the plan's gates are: none",
        "abort": _stable_again,
        "retry": "a pass is running",
        "undo": "`abort` turns the candidate back",
        "delete": _is_gone,
    },
    "promoted": {
        "promote": IDLE,
        "promote --full": IDLE,
        "pause": IDLE,
        "resume": IDLE,
        "approve": IDLE,
        "reject": IDLE,
        "abort": IDLE,
        "retry": "no candidate was turned back",
        "undo": _is_undone,
        "delete": _is_gone,
    },
    "turned back": {
        "promote": TURNED,
        "promote --full": TURNED,
        "pause": TURNED,
        "resume": TURNED,
        "approve": TURNED,
        "reject": TURNED,
        "abort": _same,
        "retry": _new_pass,
        "undo": "there is no revision before this one",
        "delete": _is_gone,
    },
    "undone": {
        "promote": TURNED,
        "promote --full": TURNED,
        "pause": TURNED,
        "resume": TURNED,
        "approve": TURNED,
        "reject": TURNED,
        "abort": _same,
        "retry": _new_pass,
        "undo": "there is no revision before this one",
        "delete": _is_gone,
    },
    "in preview": {**IN_PASS, "approve": _is_promoted, "reject": _rejected},
    "between batches": {**IN_PASS, "approve": _is_promoted, "reject": _rejected},
    "in shadow": {**IN_PASS, "promote": _waits_for_a_person},
    "in a test": IN_PASS,
}


def _tell(moment: str, verb: str, story: Story) -> None:
    MOMENTS[moment](story)
    comes = EXPECTED[moment][verb]
    words = VERBS[verb]
    if verb in ("approve", "reject"):
        words = (verb, GATES.get(moment, "ok"))
    story.told_s = story.world.now_s()
    if isinstance(comes, str):
        said = story.when.refused(*words)
        assert comes in said, f"{verb}: {said}"
        _same(story)
        story.ends("refused")
    else:
        story.when.verb(*words)
        comes(story)
    story.then.harmed(at_most=0).lost(0)


def scenarios() -> list[Scenario]:
    """One scenario a moment and verb."""
    return [
        Scenario(
            group="verbs",
            row=moment,
            column=verb,
            tell=partial(_tell, moment, verb),
            laptop=(moment, verb) in LAPTOP,
        )
        for moment in EXPECTED
        for verb in EXPECTED[moment]
    ]


LAPTOP = {
    ("at a gate", "promote --full"),
    ("at a gate", "abort"),
    ("at a gate", "approve"),
    ("paused", "resume"),
    ("promoted", "undo"),
    ("turned back", "retry"),
    ("at a pause", "delete"),
}
"""Told on a laptop too: whatever changes routing, once each."""
