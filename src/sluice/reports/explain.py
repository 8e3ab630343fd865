"""Every decision of a pass with the evidence that made it, and a pass a line for history."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sluice.nouns import CheckResult, Evidence, Verdict
from sluice.reports import words
from sluice.reports.canvas import (
    KIND_STYLE,
    OUTCOME_STYLE,
    VERDICT_STYLE,
    Canvas,
    columns,
    paragraph,
)
from sluice.reports.differences import difference_lines
from sluice.reports.glyphs import log_bar
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.passes import Pass, passes

INDENT = 3
_LEGEND = (
    "OF: where the e-value decides. P: the chance of such an e-value when all is well, however "
    "often one looks. LEAST N: the requests that any test at all needs at these rates."
)


def explain_view(
    name: str, shown: Sequence[Pass], canvas: Canvas, *, status: ReleaseStatus | None = None
) -> RenderableType:
    """Why each decision of these passes was taken.

    Args:
        name: Of the release.
        shown: Passes to explain, oldest first.
        canvas: Where it is drawn.
        status: Of the release, for the names of revisions.
    """
    if not shown:
        return Text(f"{name}: nothing was decided yet")
    parts: list[RenderableType] = []
    for entry in shown:
        parts += [*_pass_lines(name, entry, canvas, status), Text()]
    return Group(*parts[:-1])


def _pass_lines(
    name: str, entry: Pass, canvas: Canvas, status: ReleaseStatus | None
) -> Iterator[Text]:
    dot = canvas.glyphs.dot
    title = Text(f"{name} {dot} pass {entry.number} ", style="bold")
    title.append(f"{dot} {words.revision_name(entry.revision, status)} ")
    title.append(entry.outcome, style=OUTCOME_STYLE[entry.outcome])
    yield title
    yield from paragraph("", _summary(entry, canvas), canvas.width, indent=0, style="dim")
    spent = 0
    for number, decision in enumerate(entry.decisions, start=1):
        yield Text()
        yield from _decision(number, decision, entry.started_ms, spent, canvas)
        if decision.verdict is not None:
            spent = max(spent, decision.verdict.requests)
    shown = [decision.verdict.differences for decision in entry.decisions if decision.verdict]
    worst = difference_lines(next(filter(None, reversed(shown)), ()), canvas, indent=INDENT)
    if worst:
        yield Text()
        yield Text("Worst differences of answers", style="bold")
        yield from worst
    rules = _rules(entry)
    if rules:
        yield Text()
        yield Text("Rules", style="bold")
        for rule in (*rules, _LEGEND):
            yield from paragraph("", rule, canvas.width, indent=INDENT)


def _summary(entry: Pass, canvas: Canvas) -> str:
    text = f"began {words.moment(entry.started_ms)}"
    if entry.ended_ms is not None:
        text += f", decided after {words.duration(entry.ended_ms - entry.started_ms)}"
    else:
        text += f", on its way for {words.duration(max(0, canvas.now_ms - entry.started_ms))}"
    return (
        f"{text}; {words.count(entry.requests)} candidate requests judged, "
        f"{words.count(entry.harmed)} harmed"
    )


def _decision(
    number: int, decision: Decision, started_ms: int, spent: int, canvas: Canvas
) -> Iterator[Text]:
    glyphs = canvas.glyphs
    head = Text(f"{number:>2} ", style="dim")
    head.append(decision.kind, style=KIND_STYLE.get(decision.kind, "bold"))
    if decision.reason != decision.kind:
        head.append(f" {glyphs.dot} {decision.reason}", style="default bold")
    if decision.from_bp is not None and decision.to_bp not in (None, decision.from_bp):
        change = f"{words.weight(decision.from_bp)} {glyphs.arrow} {words.weight(decision.to_bp)}"
        head.append(f" {glyphs.dot} {change}", style="cyan")
    if decision.rung_name:
        head.append(f" {glyphs.dot} {decision.rung_name}", style="dim")
    head.append(f" {glyphs.dot} +{words.duration(decision.at_ms - started_ms)}", style="dim")
    yield head
    facts = []
    if decision.by:
        facts.append(f"asked by {decision.by}")
    if decision.effect_ms is not None:
        facts.append(f"in effect on every router after {words.duration(decision.effect_ms)}")
    if decision.verdict is not None:
        cost = words.count(max(0, decision.verdict.requests - spent))
        facts.append(f"cost {cost} candidate requests since the decision before")
    for text in filter(None, (decision.message, "; ".join(facts))):
        yield from paragraph("", text, canvas.width, indent=INDENT)
    if decision.verdict is not None:
        yield from _verdict(decision.verdict, decision.message, canvas)


def _verdict(verdict: Verdict, message: str, canvas: Canvas) -> Iterator[Text]:
    said = Text(verdict.kind, style=VERDICT_STYLE[verdict.kind] or "bold")
    if verdict.reason != message:
        said.append(f": {verdict.reason}", style="default not bold")
    yield from paragraph("", said, canvas.width, indent=INDENT)
    for evidence in verdict.evidence:
        yield from paragraph("", _rates(evidence, canvas), canvas.width, indent=INDENT)
    rows = [_check(check) for check in verdict.checks]
    if rows:
        headers = ("CHECK", "ON", "E-VALUE", "OF", "P", "N", "LEAST N", "SAYS")
        yield from columns(
            headers, rows, canvas=canvas, right=(2, 3, 4, 5, 6), shrink=1, indent=INDENT
        )
    if verdict.log_threshold > 0:
        text = (
            f"against it, all together: e {words.e_value(verdict.log_e)} "
            f"of {words.e_value(verdict.log_threshold)} "
        )
        drawn = log_bar(verdict.log_e, verdict.log_threshold, 16, canvas.glyphs)
        yield from paragraph("", text + drawn, canvas.width, indent=INDENT)


def _check(check: CheckResult) -> tuple[str | Text, ...]:
    limit = check.information_limit
    return (
        check.check,
        check.objective,
        words.e_value(check.log_e),
        words.e_value(check.log_threshold),
        words.p_value(check.p_value),
        words.count(check.requests),
        words.count(math.ceil(limit)) if math.isfinite(limit) else "-",
        Text(check.kind, style=VERDICT_STYLE[check.kind]),
    )


def _rates(evidence: Evidence, canvas: Canvas) -> str:
    dash = canvas.glyphs.dash
    stable = (
        f"{words.percent(evidence.baseline)} of {words.count(evidence.n_stable)}"
        if evidence.n_stable
        else "unknown"
    )
    return (
        f"{evidence.objective}: {words.percent(evidence.rate_candidate)} bad "
        f"({words.count(evidence.bad_candidate)} of {words.count(evidence.n_candidate)}), "
        f"likely {words.share_interval(evidence.low, evidence.high, dash)}; stable {stable}; "
        f"ratio {words.ratio_interval(evidence.ratio_low, evidence.ratio_high, dash)}"
    )


def _rules(entry: Pass) -> list[str]:
    """The newest wording of each check's rule: it tells its numbers of the moment."""
    verdicts = (decision.verdict for decision in entry.decisions if decision.verdict)
    checks = (check for verdict in verdicts for check in verdict.checks if check.rule)
    rules = {(check.check, check.objective): check.rule for check in checks}
    return [f"{check} on {objective}: {rule}" for (check, objective), rule in rules.items()]


def history_view(
    decisions: Sequence[Decision], canvas: Canvas, *, status: ReleaseStatus | None = None
) -> RenderableType:
    """A line a pass, and under it a line a decision."""
    if not decisions:
        return Text("nothing was decided yet")
    parts: list[RenderableType] = []
    for entry in passes(decisions):
        title = Text(f"pass {entry.number}", style="bold")
        title.append(f"  {words.revision_name(entry.revision, status)}  ")
        title.append(entry.outcome, style=OUTCOME_STYLE[entry.outcome])
        took = (entry.ended_ms or canvas.now_ms) - entry.started_ms
        title.append(
            f"  {words.moment(entry.started_ms)}, {words.duration(max(0, took))}, "
            f"{words.count(entry.requests)} requests, {words.count(entry.harmed)} harmed",
            style="dim",
        )
        parts += [title, *_decision_rows(entry, canvas)]
    return Group(*parts)


def _decision_rows(entry: Pass, canvas: Canvas) -> list[Text]:
    rows = []
    for decision in entry.decisions:
        weight = words.weight(decision.to_bp) if decision.to_bp is not None else ""
        by = f" (by {decision.by})" if decision.by else ""
        rows.append(
            (
                Text(f"+{words.duration(decision.at_ms - entry.started_ms)}", style="dim"),
                Text(decision.kind, style=KIND_STYLE.get(decision.kind, "")),
                weight,
                f"{decision.message or decision.reason}{by}",
            )
        )
    return columns(("",) * 4, rows, canvas=canvas, right=(0, 2), shrink=3, indent=INDENT)
