"""kill -9 of each part at each moment: the end is the same, and no request is lost."""

from collections.abc import Callable, Mapping
from functools import partial

from tests.conformance.catalog import Scenario
from tests.conformance.story import Story

RPS = 50


def _begin(story: Story, **faults: float) -> None:
    given = story.given
    given.slo(0.95).policy(minBake="8s", warmUp="0s", deadline="3m", lease="5s")
    given.stable("v1").traffic(RPS)
    story.when.candidate("v2", **faults)


def _preparing(story: Story) -> None:
    _begin(story, start_s=6.0)
    story.when.after(2)


def _live(story: Story) -> None:
    _begin(story)
    story.when.live()


def _half(story: Story) -> None:
    _begin(story)
    story.when.live(5_000)


def _warm(story: Story) -> None:
    _half(story)
    story.then.promoted()


MOMENTS: Mapping[str, Callable[[Story], None]] = {
    "preparing": _preparing,
    "first weight": _live,
    "half of the traffic": _half,
    "warm after promotion": _warm,
}


def controller(story: Story) -> None:
    """A new one goes on where the old one was."""
    story.when.killed("controller").after(2).restarted()


def controller_for_long(story: Story) -> None:
    """Longer than the lease: stable serves meanwhile, then the weight comes back."""
    story.when.killed("controller").after(10).restarted()


def agent(story: Story) -> None:
    """Traffic goes on; nobody can be asked for counters for a while."""
    story.when.killed("agent").after(2)


def pod(version: str, story: Story) -> None:
    """Its requests go to another one."""
    story.when.killed(version)


PARTS: Mapping[str, Callable[[Story], None]] = {
    "controller": controller,
    "controller longer than the lease": controller_for_long,
    "agent": agent,
    "pod of stable": partial(pod, "v1"),
    "pod of the candidate": partial(pod, "v2"),
}
LAPTOP = {
    ("half of the traffic", "controller"),
    ("half of the traffic", "agent"),
    ("half of the traffic", "pod of stable"),
    ("half of the traffic", "pod of the candidate"),
}


def _tell(moment: str, part: str, story: Story) -> None:
    MOMENTS[moment](story)
    PARTS[part](story)
    story.then.promoted().harmed(at_most=0).lost(0)


def dead_while_nobody_looks(story: Story) -> None:
    """The candidate dies while the controller is away: the lease ends the harm."""
    _half(story)
    story.when.killed("controller").faults("v2", error_rate=1.0).after(15).restarted()
    # 50 requests a second, half of them, for the five seconds of the lease and the first look.
    story.then.within(60).aborted().harmed(at_most=RPS / 2 * 7).lost(0)


def every_second(story: Story) -> None:
    """A controller that dies again and again gets there all the same."""
    _begin(story)
    for _ in range(25):
        story.when.after(1).killed("controller").restarted()
    story.then.promoted().harmed(at_most=0).lost(0)


def scenarios() -> list[Scenario]:
    """One scenario a part and moment, and two about controllers alone."""
    parts = [
        Scenario(
            group="kills",
            row=moment,
            column=part,
            tell=partial(_tell, moment, part),
            laptop=(moment, part) in LAPTOP,
        )
        for part in PARTS
        for moment in MOMENTS
    ]
    alone = {
        "controller, and the candidate dies": dead_while_nobody_looks,
        "controller every second": every_second,
    }
    return [
        *parts,
        *(
            Scenario(group="kills", row="any moment", column=name, tell=tell)
            for name, tell in alone.items()
        ),
    ]
