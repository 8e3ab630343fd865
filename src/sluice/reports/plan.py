"""A plan before anything runs: its steps, and what a dead candidate would cost at each.

Harm before detection: a candidate whose every answer is bad is seen at the first poll, so until
then it harms R·w·Δ requests: all requests per second, times its weight, times the time between
two polls. The ramp turns this around: it chooses w so that the product stays within its budget.
"""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.engine.plan import Plan, Rung, Stage
from sluice.nouns import BP_TOTAL
from sluice.reports import plan_words, words
from sluice.reports.canvas import Canvas, paragraph

DEFAULT_RPS = 100.0
"""Rate that harm is printed for when nobody says one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One rung of a plan in words, with its harm."""

    stage: int
    strategy: str
    name: str
    weight: str
    until: str
    """What must hold before the next step."""
    checks: tuple[str, ...]
    harm: float | None
    """Expected bad answers of a dead candidate before it is turned back; None: not bounded here."""
    harm_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """A plan as people read it."""

    release: str
    replicas: int
    hosts: tuple[str, ...]
    sticky: str
    rps: float
    rps_given: bool
    interval_s: float
    """Time between two polls, seconds."""
    min_bake: str
    keep_warm: str
    steps: tuple[PlanStep, ...]
    deadlines: tuple[str, ...]
    """One line a stage: what happens when the checks have not decided in time."""
    undo: str
    """What going back takes after the promotion."""
    bounds: str
    """Replicas while a rolling update lasts; empty: nothing rolls."""
    tests: tuple[str, ...]
    """One line an A/B test: what it can find, and with how many users."""


def plan_report(
    plan: Plan, *, rps: float | None = None, users_per_day: float | None = None
) -> PlanReport:
    """Put a plan into words.

    Args:
        plan: What a spec compiled to.
        rps: Expected live requests per second of the release, for the harm; None: per 100.
        users_per_day: New users a day, for the length of A/B tests; None: told in users.
    """
    rate = DEFAULT_RPS if rps is None else rps
    interval_s = plan.poll_ms / 1_000
    steps = tuple(
        _step(plan, number, stage, rung, rate, interval_s)
        for number, stage in enumerate(plan.stages)
        for rung in stage.rungs
    )
    if plan.watch:
        steps = (*steps, _switch(plan, rate, interval_s))
    sticky = " or ".join(
        text
        for text in (
            f"header {plan.sticky_header}" if plan.sticky_header else "",
            f"cookie {plan.sticky_cookie}" if plan.sticky_cookie else "",
        )
        if text
    )
    return PlanReport(
        release=plan.release,
        replicas=plan.replicas,
        hosts=plan.hosts,
        sticky=sticky,
        rps=rate,
        rps_given=rps is not None,
        interval_s=interval_s,
        min_bake=words.duration(plan.min_bake_ms),
        keep_warm=words.duration(plan.keep_warm_ms),
        steps=steps,
        deadlines=tuple(plan_words.deadline_of(stage) for stage in plan.stages),
        undo=_undo(plan),
        bounds=_bounds(plan),
        tests=tuple(plan_words.tests_of(plan, users_per_day)),
    )


def _step(
    plan: Plan, number: int, stage: Stage, rung: Rung, rps: float, interval_s: float
) -> PlanStep:
    harm, reason = plan_words.harm_of(rung, rps, interval_s)
    return PlanStep(
        stage=number,
        strategy=stage.strategy,
        name=rung.name,
        weight=plan_words.weight_of(rung),
        until=plan_words.until_of(plan, rung),
        checks=rung.checks,
        harm=harm,
        harm_reason=reason,
    )


def _switch(plan: Plan, rps: float, interval_s: float) -> PlanStep:
    """After a promotion that is watched: everybody is exposed until the first look."""
    harm, reason = plan_words.exposed(rps, BP_TOTAL, interval_s)
    return PlanStep(
        stage=len(plan.stages) - 1,
        strategy=plan.stages[-1].strategy,
        name="switch",
        weight=words.weight(BP_TOTAL),
        until=f"{words.duration(plan.keep_warm_ms)} without a failure",
        checks=("slo",),
        harm=harm,
        harm_reason=reason,
    )


def _undo(plan: Plan) -> str:
    if plan.surge is not None:
        return "the old stable has given up its replicas: undo is a new pass"
    if plan.keep_warm_ms == 0:
        return "the old stable is gone at once: undo is a new pass"
    kept = words.duration(plan.keep_warm_ms)
    return f"the old stable stays ready for {kept}, so that undo is instant"


def _bounds(plan: Plan) -> str:
    if plan.surge is None:
        return ""
    return (
        f"at most {plan.replicas + plan.surge} at once, at least {plan.enough} ready; an abort "
        "goes back the same way, as fast as stable gets ready"
    )


def plan_view(report: PlanReport, canvas: Canvas) -> RenderableType:
    """What ``sluice plan`` shows."""
    title = Text(report.release, style="bold")
    replicas = "replica" if report.replicas == 1 else "replicas"
    title.append(
        f" {canvas.glyphs.dot} {report.replicas} {replicas} {canvas.glyphs.dot} "
        f"{', '.join(report.hosts)}",
        style="default not bold",
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("STEP", no_wrap=True, overflow="ellipsis")
    table.add_column("WEIGHT", justify="right", no_wrap=True)
    table.add_column("UNTIL", overflow="fold")
    table.add_column("HARM", justify="right", no_wrap=True)
    table.add_column("BECAUSE", overflow="fold", style="dim")
    for number, step in enumerate(report.steps, start=1):
        harm = "?" if step.harm is None else f"{step.harm:.3g}"
        table.add_row(
            str(number),
            Text(step.name, style="bold"),
            step.weight,
            step.until,
            Text(harm, style="yellow" if step.harm is None else ""),
            step.harm_reason,
        )
    checks = tuple(dict.fromkeys(check for step in report.steps for check in step.checks))
    lines = [
        ("Harm", _harm_note(report)),
        ("Checks", ", ".join(checks) or "none act"),
        ("Deadline", "; ".join(report.deadlines)),
        ("After", report.undo),
    ]
    if report.bounds:
        lines.append(("Replicas", report.bounds))
    lines += [("Test", line) for line in report.tests]
    if report.sticky:
        lines.append(("Sticky", f"by {report.sticky}"))
    notes = [line for label, text in lines for line in paragraph(label, text, canvas.width)]
    return Group(title, Text(), table, Text(), *notes)


def _harm_note(report: PlanReport) -> str:
    rate = f"{report.rps:g} requests per second"
    given = "" if report.rps_given else " (say yours with --rps; it grows in proportion)"
    return (
        "expected bad answers of a candidate that fails every request, before it is turned "
        f"back: rate x weight x time between looks, at {rate}{given}"
    )
