"""Each verb at each moment of a release: what it does, or why it is refused."""

from collections.abc import Callable, Mapping
from functools import partial

from tests.conformance.catalog import Scenario
from tests.conformance.story import Story

RPS = 40
STEPS = [
    {"setWeight": 10},
    {"gate": {"name": "ok"}},
    {"setWeight": 50},
    {"pause": {}},
]


def _begin(story: Story, **faults: float) -> None:
    story.given.strategy(canary={"steps": STEPS}).slo(0.9).policy(minBake="1s", warmUp="0s")
    story.given.stable("v1").traffic(RPS)
    story.when.candidate("v2", **faults)


def _preparing(story: Story) -> None:
    _begin(story, start_s=20.0)
    story.then.says("replicas are ready")


def _at_a_gate(story: Story) -> None:
    _begin(story)
    story.then.at("gate").weight(1_000)


def _at_a_pause(story: Story) -> None:
    _at_a_gate(story)
    story.when.verb("approve", "ok")
    story.then.at("pause").weight(5_000)


def _paused(story: Story) -> None:
    _at_a_gate(story)
    story.when.verb("pause")
    story.then.held("PausedByUser")


def _held(story: Story) -> None:
    story.given.strategy(canary={}).slo(0.9).policy(minBake="5m", warmUp="0s", deadline="12s")
    story.given.stable("v1").traffic(RPS)
    story.when.candidate("v2")
    story.then.held("DeadlineExceeded")


def _promoted(story: Story) -> None:
    _at_a_gate(story)
    story.when.verb("promote", "--full")
    story.then.promoted()


def _turned_back(story: Story) -> None:
    _at_a_gate(story)
    story.when.verb("abort")
    story.then.aborted("AbortedByUser")


def _undone(story: Story) -> None:
    _promoted(story)
    story.when.verb("undo")
    story.then.aborted("Undone")


MOMENTS: Mapping[str, Callable[[Story], None]] = {
    "preparing": _preparing,
    "at a gate": _at_a_gate,
    "at a pause": _at_a_pause,
    "paused": _paused,
    "held": _held,
    "promoted": _promoted,
    "turned back": _turned_back,
    "undone": _undone,
}

VERBS: Mapping[str, tuple[str, ...]] = {
    "promote": ("promote",),
    "promote --full": ("promote", "--full"),
    "pause": ("pause",),
    "resume": ("resume",),
    "approve": ("approve", "ok"),
    "abort": ("abort",),
    "retry": ("retry",),
    "undo": ("undo",),
    "delete": ("delete",),
}


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


def _new_pass(story: Story) -> None:
    story.then.at("gate").weight(1_000)
    story.ends("new pass")


def _waits_at_the_gate(story: Story) -> None:
    story.then.held("Resumed").says("sluice approve taxi --gate ok")
    story.ends("waits at the gate")


def _ramps_on(story: Story) -> None:
    story.then.progressing()


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
EXPECTED: Mapping[str, Mapping[str, Comes]] = {
    "preparing": {
        "promote": "replicas ready",
        "promote --full": "replicas ready",
        "pause": _is_paused,
        "resume": "cannot resume",
        "approve": _starts_over_by_approval,
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
        "abort": _same,
        "retry": _new_pass,
        "undo": "there is no revision before this one",
        "delete": _is_gone,
    },
}


def _tell(moment: str, verb: str, story: Story) -> None:
    MOMENTS[moment](story)
    comes = EXPECTED[moment][verb]
    words = VERBS[verb]
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
