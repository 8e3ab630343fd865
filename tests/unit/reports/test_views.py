import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from tests.unit.reports.samples import (
    ABORTED,
    ASKED,
    BAD,
    CHANGED,
    ENTERED,
    HEALTHY,
    HELD,
    NOW,
    PROMOTED,
    RUNNING,
    SIMULATED,
    STARTED,
    STEPPING,
    TURNED_BACK,
    V2,
)

from sluice.engine.canary import GateStep, Pause, SetWeight, canary_stage
from sluice.engine.plan import Plan, Ramp
from sluice.nouns import Difference, Shield
from sluice.reports.canvas import Canvas
from sluice.reports.explain import explain_view, history_view
from sluice.reports.glyphs import ASCII
from sluice.reports.passes import passes
from sluice.reports.plan import plan_report, plan_view
from sluice.reports.plan_goals import goal_line
from sluice.reports.release_view import release_view
from sluice.reports.releases import decision_line, releases_table, status_line
from sluice.reports.simulation import quantile, simulation_view
from sluice.spec import load, to_plan

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
PLAN = Plan(
    release="taxi",
    replicas=4,
    hosts=("taxi.ml",),
    sticky_header="x-user-id",
    stages=(
        canary_stage(
            steps=(
                SetWeight(weight_bp=500),
                Pause(duration_ms=120_000),
                GateStep(name="approve"),
                SetWeight(weight_bp=2_500),
                Pause(duration_ms=None),
            ),
            ramp=Ramp(),
            deadline_ms=3_600_000,
        ),
    ),
)
RAMP = replace(
    PLAN,
    sticky_header=None,
    stages=(
        canary_stage(
            steps=(), ramp=Ramp(), deadline_ms=None, shield=Shield(per_try_timeout_ms=300)
        ),
    ),
)


def drawn(view: RenderableType, width: int, encoding: str = "utf-8") -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, color_system=None).print(view)
    text = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    text.encode(encoding)
    return text


def plan_at(
    plan: Plan, rps: float | None, users_per_day: float | None = None
) -> Callable[[Canvas], RenderableType]:
    report = plan_report(plan, rps=rps, users_per_day=users_per_day)
    return lambda canvas: plan_view(report, canvas)


def compiled(name: str) -> Plan:
    """The plan of a golden release of the spec."""
    documents = load([GOLDEN.parent / "plan" / f"{name}.yaml"])
    return to_plan(documents.releases[0])


VIEWS: dict[str, Callable[[Canvas], RenderableType]] = {
    "status-ramp": lambda canvas: release_view(RUNNING, canvas),
    "status-gate": lambda canvas: release_view(STEPPING, canvas),
    "status-gate-asked": lambda canvas: release_view(ASKED, canvas),
    "status-held": lambda canvas: release_view(HELD, canvas),
    "status-aborted": lambda canvas: release_view(TURNED_BACK, canvas),
    "status-healthy": lambda canvas: release_view(HEALTHY, canvas),
    "status-several": lambda canvas: releases_table((RUNNING, TURNED_BACK), canvas),
    "explain-aborted": lambda canvas: explain_view(
        "taxi", passes((STARTED, ENTERED, ABORTED)), canvas, status=RUNNING
    ),
    "history": lambda canvas: history_view((STARTED, ENTERED, CHANGED, PROMOTED), canvas),
    "plan-steps": plan_at(PLAN, 200),
    "plan-ramp": plan_at(RAMP, None),
    "plan-bluegreen": plan_at(compiled("bluegreen"), 200),
    "plan-rolling": plan_at(compiled("rolling"), 200),
    "plan-shadow": plan_at(compiled("shadow"), 200),
    "plan-abtest": plan_at(compiled("abtest"), 200, users_per_day=2_000),
    "plan-stages": plan_at(compiled("all-stages"), 200),
    "simulate": lambda canvas: simulation_view(SIMULATED, "taxi: 200 passes", canvas),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_is_the_golden_one(name: str) -> None:
    text = drawn(VIEWS[name](Canvas(now_ms=NOW)), 80)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("name", VIEWS)
def test_no_line_of_a_view_leaves_the_terminal(name: str, width: int) -> None:
    text = drawn(VIEWS[name](Canvas(now_ms=NOW, width=width)), 400)
    plan = name.startswith("plan")  # its table is folded by the console, to the console's width
    assert plan or max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", VIEWS)
def test_view_without_unicode_is_plain_ascii(name: str) -> None:
    canvas = Canvas(now_ms=NOW, glyphs=ASCII)
    assert drawn(VIEWS[name](canvas), 80, "ascii")


DIFFERENT = replace(
    ABORTED,
    verdict=replace(
        BAD,
        differences=tuple(
            Difference(
                request_id=f"id-{number}",
                field="fare",
                stable="10",
                candidate=f"{90 - number}",
                distance=80.0 - number,
                severity=160.0 - number,
            )
            for number in range(20)
        ),
    ),
)


def test_explain_shows_the_worst_differences_once_and_status_the_first_three() -> None:
    canvas = Canvas(now_ms=NOW)
    text = drawn(explain_view("taxi", passes((STARTED, ENTERED, DIFFERENT, DIFFERENT)), canvas), 80)
    assert text.count("Worst differences of answers") == 1
    assert [text.count(f"id-{number}\n") for number in range(20)] == [1] * 20
    status = drawn(release_view(replace(RUNNING, verdict=DIFFERENT.verdict), canvas), 80)
    assert (status.count("id-"), "id-2" in status) == (3, True)


def test_on_a_low_screen_the_decisions_give_way_and_the_rest_stays() -> None:
    whole = drawn(release_view(RUNNING, Canvas(now_ms=NOW)), 80).splitlines()
    low = drawn(release_view(RUNNING, Canvas(now_ms=NOW, height=20)), 80).splitlines()
    assert len(whole) > 24 > len(low)
    assert "Decisions" in low[-1]
    assert any(line.startswith("Next") for line in low)


def test_a_status_that_nobody_renewed_says_how_old_it_is() -> None:
    fresh = drawn(release_view(RUNNING, Canvas(now_ms=NOW)), 80)
    stale = drawn(release_view(RUNNING, Canvas(now_ms=NOW + 20_000)), 80)
    assert "may be old" not in fresh
    assert "last looked 20s ago" in stale


def test_routers_that_lag_and_problems_are_named() -> None:
    lagging = replace(RUNNING, acknowledged=11, problems=("router r2 does not answer",))
    text = drawn(release_view(lagging, Canvas(now_ms=NOW)), 80)
    assert "generation 11, generation 12 is on its way" in text
    assert "Problem   router r2 does not answer" in text


def test_replicas_that_are_not_ready_say_why() -> None:
    first = replace(RUNNING.revisions[0], ready=1, message="taxi-7f3a-1: exit code 3")
    status = replace(RUNNING, revisions=(first, *RUNNING.revisions[1:]))
    text = drawn(release_view(status, Canvas(now_ms=NOW)), 80)
    assert "1/2" in text
    assert "v2: taxi-7f3a-1: exit code 3" in text


def test_a_share_too_small_for_a_column_is_still_seen() -> None:
    tiny = replace(RUNNING.revisions[0], weight_bp=1)
    stable = replace(RUNNING.revisions[1], weight_bp=9_999)
    status = replace(RUNNING, weight_bp=1, revisions=(tiny, stable))
    text = drawn(release_view(status, Canvas(now_ms=NOW)), 80)
    assert "█" + "░" * 79 in text
    assert "candidate v2 0.01%" in text


def test_harm_of_a_step_is_rate_times_weight_times_time_between_looks() -> None:
    steps = plan_report(PLAN, rps=200).steps
    assert [step.harm for step in steps] == [10.0, 10.0, 10.0, 50.0, 50.0, 50.0]
    assert [step.harm for step in plan_report(RAMP, rps=5_000).steps] == [10.0]
    rare = plan_report(PLAN, rps=1).steps[0]
    assert (rare.harm, rare.harm_reason) == (3.0, "1/s x 5% x 1s, but 3 to tell")
    slow = plan_report(replace(PLAN, poll_ms=5_000), rps=200)
    assert slow.steps[0].harm == 50.0


def test_a_switch_exposes_everybody_until_the_first_look() -> None:
    switch = plan_report(compiled("bluegreen-default"), rps=200).steps[-1]
    assert (switch.name, switch.harm, switch.weight) == ("switch", 200.0, "100%")
    before = plan_report(compiled("bluegreen"), rps=200).steps[:-1]
    assert {step.harm for step in before} == {0.0}


def test_a_batch_exposes_the_share_of_its_replicas() -> None:
    steps = plan_report(compiled("rolling"), rps=200).steps
    assert [s.harm for s in steps if s.name.startswith("batch")] == [100.0, 200.0]


def test_a_test_says_what_it_lacks_to_be_planned() -> None:
    (line,) = plan_report(compiled("all-stages")).tests
    assert line.lacks == "baseline and deviation"
    assert "baseline and deviation" in goal_line(line)


def test_a_step_that_no_check_watches_has_no_bound() -> None:
    stage = PLAN.stages[0]
    blind = replace(stage, rungs=tuple(replace(rung, checks=()) for rung in stage.rungs))
    report = plan_report(replace(PLAN, stages=(blind,)), rps=200)
    assert {step.harm for step in report.steps} == {None}
    assert "?" in drawn(plan_view(report, Canvas(now_ms=NOW)), 80)


def test_quantiles_are_values_that_occurred() -> None:
    values = tuple(range(1, 101))
    assert [quantile(values, q) for q in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert quantile((7,), 0.5) == 7


def test_a_simulation_in_which_nothing_was_decided_can_be_drawn() -> None:
    result = replace(SIMULATED, seconds_to_decision=(), requests_to_decision=(), harmed=())
    text = drawn(simulation_view(result, "t", Canvas(now_ms=NOW)), 80)
    assert "time to decision" in text
    assert "nan" not in text


def test_lines_of_a_log_tell_time_release_change_and_evidence() -> None:
    assert decision_line("taxi", ABORTED) == (
        "15:00:10Z  taxi  Aborted  10%->0%  CheckFailed: slo and regression on availability; "
        "stable serves everything  [e 19,777 of 1,000, 62 requests, 13 harmed]"
    )
    assert status_line(HELD).endswith("DeadlineExceeded: the checks have not decided in 60m")


def test_passes_end_with_their_last_outcome() -> None:
    held = replace(STARTED, kind="Held", at_ms=STARTED.at_ms + 50)
    resumed = replace(held, kind="Resumed", at_ms=held.at_ms + 1)
    back = replace(ABORTED, at_ms=PROMOTED.at_ms + 1)
    outcomes = {
        name: passes(decisions)[-1].outcome
        for name, decisions in {
            "running": (STARTED, ENTERED),
            "held": (STARTED, held),
            "resumed": (STARTED, held, resumed),
            "promoted": (STARTED, PROMOTED),
            "turned back while warm": (STARTED, PROMOTED, back),
        }.items()
    }
    assert list(outcomes.values()) == ["running", "held", "running", "promoted", "aborted"]
    assert passes((STARTED, PROMOTED))[0].revision == V2
