"""The language of stories can say no: what it asserts fails when it is not so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.reports.samples import RUNNING

from sluice import spec
from sluice.nouns import Phase, RevisionId
from sluice.reports.model import Decision, ReleaseStatus
from sluice.testing.laptop import Laptop, Ran, wait_until
from sluice.testing.scene import Model
from sluice.testing.story import Story, lost_in, poisson_high
from sluice.testing.traffic.report import Answer, Outcome, Report

V1, V2 = RevisionId("v1"), RevisionId("v2")


class Told(Laptop):
    """A laptop on which nothing runs: it shows what a test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, port=1)
        self.shown: ReleaseStatus | None = RUNNING
        self.decisions: tuple[Decision, ...] = ()

    def status(self, release: str) -> ReleaseStatus | None:
        return self.shown

    def history(self, release: str) -> tuple[Decision, ...]:
        return self.decisions

    def sluice(self, *words: str, timeout_s: float = 1.0) -> Ran:
        return Ran(code=1, out="", err=f"refused: {' '.join(words)}")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    model = Model(command=["serve"], env=lambda version, faults, file: {"VERSION": version})
    return Story(laptop=Told(tmp_path), model=model, revisions={"v1": V1, "v2": V2}, rps=100.0)


def _report(*answers: tuple[Outcome, str], reason: str = "") -> Report:
    report = Report()
    for index, (outcome, revision) in enumerate(answers):
        report.add(
            Answer(
                index=index,
                due_s=0.0,
                latency_s=0.01,
                outcome=outcome,
                status=0,
                revision=revision,
                reason=reason,
            )
        )
    return report


def _decision(at_ms: int, to_bp: int, *, effect_ms: int = 0, pass_number: int = 2) -> Decision:
    return Decision(
        at_ms=at_ms,
        kind="WeightChanged",
        reason="Ramp",
        message="",
        pass_number=pass_number,
        to_bp=to_bp,
        effect_ms=effect_ms,
    )


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        pytest.param((Outcome.OK, "v1"), 0, id="answered"),
        pytest.param((Outcome.SERVER_ERROR, "v2"), 0, id="candidate-failed"),
        pytest.param((Outcome.SERVER_ERROR, "v1"), 1, id="stable-failed"),
        pytest.param((Outcome.SERVER_ERROR, ""), 1, id="nobody-answered"),
        pytest.param((Outcome.TIMEOUT, ""), 1, id="gave-up"),
        pytest.param((Outcome.LOST, ""), 1, id="no-answer"),
        pytest.param((Outcome.CLIENT_ERROR, "v1"), 1, id="not-found"),
    ],
)
def test_lost_is_whatever_no_candidate_answered(
    story: Story, answer: tuple[Outcome, str], lost: int
) -> None:
    report = _report(answer, (Outcome.OK, "v1"))
    assert lost_in(report, but={"v2"}) == lost
    story.reports.append(report)
    if lost:
        with pytest.raises(AssertionError, match="1 of 2 requests lost"):
            story.then.lost(0)
    else:
        story.then.lost(0)


def test_harm_beyond_the_bound_is_refused(story: Story) -> None:
    story.reports.append(_report(*[(Outcome.SERVER_ERROR, "v2")] * 3))
    story.then.harmed(at_most=3)
    with pytest.raises(AssertionError, match="harmed 3, at most 2"):
        story.then.harmed(at_most=2)


def test_end_that_does_not_come_is_refused(story: Story) -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.1 s for v2 to be stable"):
        story.then.within(0.1).promoted()


def test_end_for_another_reason_is_refused(story: Story) -> None:
    shown: dict[str, Any] = {"phase": Phase.ABORTED, "reason": "AbortedByUser"}
    story.laptop.shown = replace(RUNNING, **shown)  # type: ignore[attr-defined]
    story.then.aborted("AbortedByUser")
    with pytest.raises(AssertionError, match="'AbortedByUser', not 'CheckFailed'"):
        story.then.aborted()


def test_exposure_is_rate_times_weight_times_measured_time(story: Story) -> None:
    decisions: Sequence[Decision] = (
        _decision(0, 10_000, pass_number=1),
        _decision(1_000, 0),
        _decision(2_000, 1_000),
        _decision(3_000, 5_000, effect_ms=100),
        _decision(3_500, 0, effect_ms=100),
    )
    story.laptop.decisions = tuple(decisions)  # type: ignore[attr-defined]
    # 100 rps: 10% for 1.1 s, and 50% for 0.6 s.
    assert story.exposure(2) == pytest.approx(100 * (0.1 * 1.1 + 0.5 * 0.6))


def test_bound_of_a_poisson_count_lies_above_its_mean() -> None:
    assert poisson_high(0) == 4
    assert poisson_high(100) == 144


def test_command_that_fails_in_a_story_is_named(story: Story) -> None:
    with pytest.raises(AssertionError, match="refused: pause taxi"):
        story.when.verb("pause")


def test_waiting_gives_up(story: Story) -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for rain"):
        wait_until(lambda: False, within_s=0.05, what="rain")


def test_documents_of_a_story_are_what_the_product_reads(story: Story) -> None:
    story.given.slo(0.9).slo(0.95, le_s="1").policy(minBake="1s").shield("200ms")
    text = story.documents("v2", {"error_rate": 0.2})
    documents = spec.load([spec.Text(text=text, name="story.yaml")])
    (release,) = documents.releases
    assert release.name == "taxi"
    assert len(documents.slos) == 2
    assert spec.to_plan(release, documents.policy_of(release)).stages[0].rungs[0].shield
    assert [item["kind"] for item in yaml.safe_load_all(text)][-1] == "ReleasePolicy"
