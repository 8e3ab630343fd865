"""Stories of releases on a real laptop: given, when, then.

::

    given.policy(minBake="3s").stable("v1").traffic(rps=50)
    when.candidate("v2", faults={"error_rate": 1.0})
    then.within(60).aborted().harmed(at_most=20).lost(0)

Waiting is generous (machines are shared); what is asserted are counts and measured intervals.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from sluice.nouns import Phase
from sluice.reports.model import ReleaseStatus
from sluice.testing.laptop import kill, wait_until
from sluice.testing.scene import READY_S, Scene
from sluice.testing.traffic.report import Outcome, Report


class Given:
    """What is so before anything happens; each call says one thing and returns this again."""

    def __init__(self, story: Scene) -> None:
        self._story = story

    def policy(self, **fields: Any) -> Self:
        """Fields of the policy; objectives come from :meth:`slo`."""
        self._story.policy.update(fields)
        return self

    def slo(self, target: float, *, le_s: str | None = None) -> Self:
        """One more objective: availability, or latency with a threshold in seconds."""
        story = self._story
        kind = "latency" if le_s else "availability"
        notes = {"sluice.dev/sli": kind, **({"sluice.dev/le": le_s} if le_s else {})}
        name = f"{story.release}-{kind}"
        story.slos.append(
            {
                "apiVersion": "openslo/v1",
                "kind": "SLO",
                "metadata": {"name": name, "annotations": notes},
                "spec": {
                    "service": story.release,
                    "timeWindow": [{"duration": "30d", "isRolling": True}],
                    "budgetingMethod": "Occurrences",
                    "objectives": [{"displayName": "good", "target": target}],
                },
            }
        )
        story.policy.setdefault("objectives", []).append({"sloRef": name})
        return self

    def steps(self, *steps: Mapping[str, Any]) -> Self:
        """A canary by hand."""
        self._story.strategy = {"canary": {"steps": [dict(step) for step in steps]}}
        return self

    def shield(self, per_try_timeout: str) -> Self:
        """Failed answers of the candidate are replaced by stable's."""
        canary = self._story.strategy["canary"]
        self._story.strategy = {"canary": {**canary, "shield": {"perTryTimeout": per_try_timeout}}}
        return self

    def spec(self, **fields: Any) -> Self:
        """Fields of the release's spec."""
        self._story.spec.update(fields)
        return self

    def stable(self, version: str = "v1") -> Self:
        """This version serves everything."""
        story = self._story
        if story.laptop.supervisor() is None:
            story.laptop.up()
        story.deploy(version, {})
        story.wait(
            lambda s: s.phase is Phase.HEALTHY and s.acknowledged == s.generation,
            within_s=READY_S,
            what=f"{version} to serve",
        )
        return self

    def traffic(self, rps: float) -> Self:
        """So many requests per second, from now on; returns when the rate is known."""
        story = self._story
        story.rps = rps
        more = [*story.model.load]
        if story.hosts:
            more += ["--host", story.hosts[0]]
        story.loads.append(story.laptop.load(rps, path=story.model.path, more=more))
        story.facts["rps"] = rps
        story.wait(
            lambda s: (s.rate_rps or 0.0) > rps / 2, within_s=READY_S, what="the rate to be seen"
        )
        return self


class When:
    """What happens."""

    def __init__(self, story: Scene) -> None:
        self._story = story

    def candidate(self, version: str = "v2", *, faults: Mapping[str, float] | None = None) -> Self:
        """A new version is deployed; the clock of the story starts."""
        story = self._story
        story.deploy(version, faults or {})
        story.told_s = time.monotonic()
        return self

    def live(self, at_least_bp: int = 1) -> ReleaseStatus:
        """It is so far that the candidate has live traffic."""
        return self._story.wait(
            lambda s: s.weight_bp >= at_least_bp and s.acknowledged == s.generation,
            within_s=READY_S,
            what=f"a weight of {at_least_bp} bp",
        )

    def after(self, seconds: float) -> Self:
        """So much time goes by, under load."""
        time.sleep(seconds)
        return self

    def faults(self, version: str, **faults: float) -> Self:
        """A running version gets faults."""
        path = self._story.faults_file(version)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(faults), encoding="utf-8")
        draft.replace(path)
        self._story.told_s = time.monotonic()
        return self

    def verb(self, verb: str, *words: str) -> Self:
        """A person uses the command."""
        self._story.laptop.must(verb, self._story.release, *words)
        return self

    def killed(self, what: str) -> int:
        """One process is ended with kill -9; its pid.

        Args:
            what: ``supervisor``, ``agent``, ``envoy``, or a version: one of its replicas.
        """
        story, laptop = self._story, self._story.laptop
        if what == "supervisor":
            return laptop.kill_supervisor()
        if what in ("agent", "envoy"):
            pid = laptop.daemon(what).pid
        else:
            pid = laptop.replicas(story.revisions[what])[0].pid
        kill(pid)
        return pid


class Then:
    """What must come of it: first what is waited for, then what was measured."""

    def __init__(self, story: Scene, within_s: float = READY_S) -> None:
        self._story = story
        self._within_s = within_s

    def within(self, seconds: float) -> "Then":
        """How long to wait, seconds; never a measure."""
        return Then(self._story, seconds)

    # --- ends ---

    def aborted(self, reason: str = "CheckFailed") -> Self:
        """The candidate is turned back, for this reason."""
        status = self._until(lambda s: s.phase is Phase.ABORTED, "the candidate to be turned back")
        self._equal(status.reason, reason, "reason")
        self._story.facts["end"] = f"aborted ({reason})"
        if status.verdict is not None:
            self._story.facts["judged"] = status.verdict.requests
        return self

    def promoted(self, version: str | None = None) -> Self:
        """The candidate (or this version) is stable."""
        story = self._story
        wanted = story.revisions[version] if version else story.candidate()
        self._until(
            lambda s: s.stable == wanted and s.phase is Phase.HEALTHY, f"{wanted} to be stable"
        )
        story.facts["end"] = "promoted"
        return self

    def held(self, reason: str) -> Self:
        """The release waits for a person, for this reason."""
        self._until(lambda s: s.phase is Phase.PAUSED and s.reason == reason, f"a hold, {reason}")
        self._story.facts["end"] = f"held ({reason})"
        return self

    def stands_at(self, step: str) -> Self:
        """The release has come to this step of its plan."""
        self._until(
            lambda s: any(item.name == step and item.state == "active" for item in s.rungs),
            f"step {step!r}",
        )
        return self

    def gone(self) -> Self:
        """There is no such release any more, and none of its processes."""
        story = self._story
        wait_until(
            lambda: story.laptop.status(story.release) is None,
            within_s=self._within_s,
            what="the release to be gone",
        )
        left = [item.name for item in story.laptop.processes() if item.release == story.release]
        self._equal(left, [], "processes left")
        story.facts["end"] = "deleted"
        return self

    # --- state ---

    def candidate_weight(self, weight_bp: int) -> Self:
        """The routers serve this candidate weight."""
        self._until(
            lambda s: s.weight_bp == weight_bp and s.acknowledged == s.generation,
            f"weight {weight_bp} bp",
        )
        return self

    def says(self, words: str) -> Self:
        """The status says this somewhere."""
        self._until(
            lambda s: any(words in text for text in _texts(s)), f"the status to say {words!r}"
        )
        return self

    def because(self, words: str) -> Self:
        """The last verdict gives this reason."""
        verdict = self._story.status().verdict
        if verdict is None or words not in verdict.reason:
            raise AssertionError(f"the verdict is {verdict}, not about {words!r}")
        return self

    def verdict(self, kind: str) -> Self:
        """The last verdict is of this kind."""
        verdict = self._story.status().verdict
        self._equal(str(verdict.kind) if verdict else None, kind, "verdict")
        return self

    # --- measured ---

    def lost(self, at_most: int = 0) -> Self:
        """So many requests were lost: no answer, or a bad one that no candidate gave.

        Ends the load.
        """
        report = self._story.settle()
        lost = lost_in(report, but=self._guilty())
        self._story.facts |= {"requests": report.done, "lost": lost}
        if lost > at_most:
            raise AssertionError(
                f"{lost} of {report.done} requests lost, at most {at_most} allowed: "
                f"{dict(report.lost_by)} {report.outcomes}\n{self._story.told()}"
            )
        return self

    def harmed(self, *, at_most: float) -> Self:
        """Users saw at most so many bad answers of the candidate. Ends the load."""
        story = self._story
        report = story.settle()
        harmed = report.harmed(story.candidate())
        story.facts["harmed"] = harmed
        if harmed > at_most:
            raise AssertionError(f"harmed {harmed}, at most {at_most:g}\n{story.told()}")
        return self

    def harmed_within_budget(self, budget: float = 10.0) -> Self:
        """Harm is at most twice the budget, and what the measured intervals explain.

        The ramp plans for the longest interval it has seen; a look that came later than that
        (a busy machine) stretches the bound by as much as was measured. Ends the load.
        """
        story = self._story
        number = story.status().pass_number
        due = story.exposure(number)
        stretch = max(1.0, due / budget)
        story.facts["due"] = round(due, 1)
        return self.harmed(at_most=min(2 * budget * stretch, poisson_high(due)))

    def took(self) -> Self:
        """Note the time since the candidate was deployed."""
        self._story.facts["seconds"] = round(time.monotonic() - self._story.told_s, 1)
        return self

    def _guilty(self) -> set[str]:
        return {str(item) for item in list(self._story.revisions.values())[1:]}

    def _until(self, condition: Callable[[ReleaseStatus], bool], what: str) -> ReleaseStatus:
        status = self._story.wait(condition, within_s=self._within_s, what=what)
        self.took()
        return status

    def _equal(self, seen: object, wanted: object, what: str) -> None:
        if seen != wanted:
            raise AssertionError(f"{what} is {seen!r}, not {wanted!r}\n{self._story.told()}")


class Story(Scene):
    """A scene, and the words to tell of it."""

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

    def beside(self, release: str, host: str) -> "Story":
        """A second release behind the same router, reached by its host."""
        return Story(
            laptop=self.laptop,
            model=self.model,
            release=release,
            replicas=self.replicas,
            policy=dict(self.policy),
            slos=list(self.slos),
            hosts=(host,),
        )


def lost_in(report: Report, *, but: Iterable[str]) -> int:
    """Requests without a good answer, apart from bad answers (5xx) of the revisions in ``but``."""
    bad = report.count() - report.count(Outcome.OK)
    return bad - sum(report.harmed(revision) for revision in set(but))


def poisson_high(mean: float) -> float:
    """A number that Poisson counts of this mean exceed less than once in 10,000."""
    return mean + 4.0 * math.sqrt(mean) + 4.0


def _texts(status: ReleaseStatus) -> list[str]:
    shown = [status.message, status.next, *status.problems, *status.notices]
    return [*shown, *(item.message for item in status.revisions)]
