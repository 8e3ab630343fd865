"""The words of conformance stories: given, when, then, the same in every world.

::

    given.policy(minBake="3s").stable("v1").traffic(rps=50)
    when.candidate("v2", error_rate=1.0)
    then.within(20).aborted().harmed(at_most=20).lost(0)

A time bound is a bound in the world's own time: exact in memory, where a second is a second; on
real machines, which are shared, it is only how long to wait.
"""

from dataclasses import dataclass, field
from typing import Any, Self

from tests.conformance.papers import Papers
from tests.conformance.world import World

from sluice.nouns import Phase
from sluice.reports.model import ReleaseStatus

WITHIN_S = 120.0


@dataclass(kw_only=True)
class Facts:
    """One row of the matrix: what came of a story."""

    end: str = ""
    harmed: int = 0
    lost: int = 0
    seconds: float = 0.0
    """From the deploy, or the verb, that the story is about, to the last decision."""


@dataclass
class Story:
    """One release in one world, and the words to tell of it."""

    world: World
    papers: Papers = field(default_factory=Papers)
    facts: Facts = field(default_factory=Facts)
    candidate: str = ""
    """The version that the story is about."""
    faulty: set[str] = field(default_factory=set)
    """Versions that were given faults: only their bad answers are explained."""
    late: bool = False
    """Whether the candidate was made slow."""
    told_s: float = 0.0

    @property
    def given(self) -> "Given":
        """What is so before anything happens."""
        return Given(self)

    @property
    def when(self) -> "When":
        """What happens."""
        return When(self)

    @property
    def then(self) -> "Then":
        """What must come of it."""
        return Then(self)

    def ends(self, end: str) -> None:
        """Name what came of the story, where no end of a release does."""
        self.facts.end, self.facts.seconds = end, 0.0

    def status(self) -> ReleaseStatus:
        """Of the release, which is there."""
        status = self.world.status()
        assert status is not None
        return status


@dataclass
class Given:
    """What is so before anything happens; each call says one thing."""

    story: Story

    def strategy(self, **strategy: Any) -> Self:
        """How candidates become stable."""
        self.story.papers.strategy = strategy
        return self

    def policy(self, **fields: Any) -> Self:
        """Fields of the policy."""
        self.story.papers.policy.update(fields)
        return self

    def slo(self, target: float, *, le_s: str | None = None) -> Self:
        """One more objective."""
        self.story.papers.slo(target, le_s=le_s)
        return self

    def spec(self, **fields: Any) -> Self:
        """Fields of the release's spec."""
        self.story.papers.spec.update(fields)
        return self

    def stable(self, version: str = "v1") -> Self:
        """This version serves everything."""
        world = self.story.world
        world.deploy(self.story.papers, version)
        world.until(
            lambda s: s.phase is Phase.HEALTHY and s.acknowledged == s.generation,
            within_s=WITHIN_S,
            what=f"{version} to serve",
        )
        return self

    def traffic(self, rps: float) -> Self:
        """So many requests per second; returns when the rate is known."""
        world = self.story.world
        world.traffic(rps)
        if rps:
            world.until(
                lambda s: (s.rate_rps or 0.0) > rps / 2,
                within_s=WITHIN_S,
                what="the rate to be seen",
            )
        return self


@dataclass
class When:
    """What happens."""

    story: Story

    def candidate(self, version: str = "v2", **faults: float) -> Self:
        """A new version is deployed; the clock of the story starts."""
        story = self.story
        story.candidate = version
        if faults:
            self.faults(version, **faults)
        story.world.deploy(story.papers, version)
        story.told_s = story.world.now_s()
        return self

    def edited(self, **changes: Any) -> Self:
        """The documents change, and what runs does not."""
        self.story.papers.spec.update(changes.pop("spec", {}))
        if "strategy" in changes:
            self.story.papers.strategy = changes.pop("strategy")
        self.story.papers.policy.update(changes)
        return self.deployed(list(self.story.world.revisions)[-1])

    def deployed(self, version: str) -> Self:
        """The documents are applied for this version."""
        self.story.world.deploy(self.story.papers, version)
        return self

    def faults(self, version: str, **faults: float) -> Self:
        """A version misbehaves from now on; nothing given: it is well again."""
        if faults:
            self.story.faulty.add(version)
        self.story.late |= "latency_ms" in faults
        self.story.world.faults(version, faults)
        return self

    def traffic(self, rps: float) -> Self:
        """The rate changes."""
        self.story.world.traffic(rps)
        return self

    def live(self, at_least_bp: int = 1) -> Self:
        """It is so far that the routers give the candidate this weight."""
        self.story.world.until(
            lambda s: s.weight_bp >= at_least_bp and s.acknowledged == s.generation,
            within_s=WITHIN_S,
            what=f"a weight of {at_least_bp} bp",
        )
        return self

    def after(self, seconds: float) -> Self:
        """So much time goes by, under load."""
        self.story.world.after(seconds)
        return self

    def verb(self, verb: str, *words: str) -> Self:
        """A person asks for something that makes sense."""
        refused = self.story.world.verb(verb, *words)
        assert not refused, f"{verb}: {refused}"
        return self

    def refused(self, verb: str, *words: str) -> str:
        """A person asks for something that makes no sense; what they hear."""
        refused = self.story.world.verb(verb, *words)
        assert refused, f"{verb} was taken in {self.story.status()}"
        return refused

    def killed(self, what: str) -> Self:
        """Something is ended with kill -9."""
        self.story.world.kill(what)
        return self

    def restarted(self) -> Self:
        """A new controller starts from what was kept."""
        self.story.world.restart()
        return self


@dataclass
class Then:
    """What must come of it: first what is waited for, then what was measured."""

    story: Story
    within_s: float = WITHIN_S

    def within(self, seconds: float) -> "Then":
        """The bound of what is waited for next, seconds since the story's clock started."""
        gone_s = self.story.world.now_s() - self.story.told_s
        return Then(self.story, max(1.0, seconds - gone_s))

    # --- ends ---

    def aborted(self, reason: str = "CheckFailed") -> Self:
        """The candidate is turned back for this reason, and the routers know."""
        status = self._until(
            lambda s: s.phase is Phase.ABORTED and s.acknowledged == s.generation,
            "the candidate to be turned back",
        )
        assert status.reason == reason, f"{status.reason}, not {reason}: {status.message}"
        return self._end(f"turned back: {reason}")

    def promoted(self, version: str | None = None) -> Self:
        """This version, or the candidate, is stable."""
        wanted = self.story.world.revisions[version or self.story.candidate]
        self._until(
            lambda s: (
                s.stable == wanted and s.phase is Phase.HEALTHY and s.acknowledged == s.generation
            ),
            f"{wanted} to be stable",
        )
        return self._end("promoted")

    def held(self, reason: str) -> Self:
        """The release waits, for this reason."""
        self._until(lambda s: s.phase is Phase.PAUSED and s.reason == reason, f"a hold, {reason}")
        return self._end(f"held: {reason}")

    def gone(self) -> Self:
        """There is no such release any more."""
        world = self.story.world
        began_s = world.now_s()
        while world.status() is not None:
            assert world.now_s() - began_s < self.within_s, "the release is still there"
            world.after(1)
        return self._end("deleted")

    def serves(self, version: str) -> Self:
        """All live requests go to this version, whatever the phase."""
        wanted = self.story.world.revisions[version]
        self._until(
            lambda s: (
                s.stable == wanted
                and (s.weight_bp == 0 or s.candidate == wanted)
                and s.acknowledged == s.generation
            ),
            f"{version} to serve everything",
        )
        return self

    # --- state ---

    def at(self, rung: str) -> Self:
        """The pass stands at the step of this name."""
        self._until(
            lambda s: any(item.state == "active" and rung in item.name for item in s.rungs),
            f"step {rung}",
        )
        return self

    def weight(self, bp: int) -> Self:
        """The routers give the candidate this weight."""
        self._until(
            lambda s: s.weight_bp == bp and s.acknowledged == s.generation, f"weight {bp} bp"
        )
        return self

    def progressing(self) -> Self:
        """A pass goes on."""
        self._until(lambda s: s.phase is Phase.PROGRESSING, "progress")
        return self._end("goes on")

    def says(self, words: str) -> Self:
        """The status says this somewhere."""
        self._until(lambda s: any(words in text for text in _texts(s)), f"{words!r} to be said")
        return self

    def decided(self, reason: str) -> Self:
        """This was decided at some time."""
        reasons = [item.reason for item in self.story.status().decisions]
        assert reason in reasons, f"{reason} is none of {reasons}"
        return self

    def never(self, reason: str) -> Self:
        """This was never decided."""
        reasons = [item.reason for item in self.story.status().decisions]
        assert reason not in reasons
        return self

    # --- measured ---

    def lost(self, at_most: int = 0) -> Self:
        """So many requests got no answer, or a bad one of a version that was well."""
        story = self.story
        sums = story.world.sums()
        explained = sum(sums.bad.get(self._revision(version), 0) for version in story.faulty)
        lost = sum(sums.bad.values()) - explained
        # Who comes after a release was deleted hears that there is none; before, nobody may.
        story.facts.lost = lost + (sums.unknown if story.world.status() is not None else 0)
        assert story.facts.lost <= at_most, f"{story.facts.lost} lost: {sums}"
        return self

    def harmed(self, at_most: float) -> Self:
        """Users saw so many bad answers of the candidate; late ones where it was made slow."""
        sums = self.story.world.sums()
        candidate = self._revision(self.story.candidate)
        harmed = sums.bad.get(candidate, 0)
        if self.story.late:
            harmed += sums.late.get(candidate, 0)
        self.story.facts.harmed = harmed
        assert harmed <= at_most, f"{harmed} harmed, at most {at_most:g}"
        return self

    def _revision(self, version: str) -> str:
        return self.story.world.revisions.get(version, "")

    def _until(self, fits: Any, what: str) -> ReleaseStatus:
        return self.story.world.until(fits, within_s=self.within_s, what=what)

    def _end(self, end: str) -> Self:
        story = self.story
        story.facts.end = end
        status = story.world.status()
        decisions = status.decisions if status is not None else ()
        ended_s = decisions[-1].at_ms / 1000 if decisions else story.world.now_s()
        story.facts.seconds = round(max(0.0, ended_s - story.told_s), 1)
        return self


def _texts(status: ReleaseStatus) -> list[str]:
    shown = [status.message, status.next, *status.problems, *status.notices]
    return [*shown, *(item.message for item in status.revisions)]
