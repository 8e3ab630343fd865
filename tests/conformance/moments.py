"""Moments of a release at which a person may say something."""

from collections.abc import Callable, Mapping

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


def _strategy(story: Story, replicas: int = 2, **strategy: object) -> None:
    story.papers.replicas = replicas
    story.given.strategy(**strategy).slo(0.9).policy(minBake="1s", warmUp="0s")
    story.given.stable("v1").traffic(RPS)
    story.when.candidate("v2")


def _in_preview(story: Story) -> None:
    _strategy(story, blueGreen={"gate": {"name": "ok"}})
    story.then.at("gate ok")


def _between_batches(story: Story) -> None:
    _strategy(story, replicas=4, rolling={"gate": {"name": "ok"}})
    story.then.at("gate ok-1").weight(5_000)


def _in_shadow(story: Story) -> None:
    _strategy(story, shadow={"percent": 100, "until": {"pairs": 10_000}})
    story.then.at("shadow 100")


def _in_a_test(story: Story) -> None:
    story.given.spec(traffic={"sticky": {"header": "x-user-id"}})
    goals = [{"name": "bought", "kind": "binary"}]
    test = {"goals": goals, "horizon": {"users": 100_000}, "outcomes": "outcomes.jsonl"}
    _strategy(story, abTest=test)
    story.then.at("test").weight(5_000)


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
    "in preview": _in_preview,
    "between batches": _between_batches,
    "in shadow": _in_shadow,
    "in a test": _in_a_test,
}
