"""Every decision of a pass with the evidence that made it, and a pass a line for history."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.nouns import CheckResult, Evidence, Verdict
from sluice.reports import words
from sluice.reports.canvas import KIND_STYLE, OUTCOME_STYLE, VERDICT_STYLE, Canvas, paragraph
from sluice.reports.glyphs import log_bar
from sluice.reports.model import Decision, ReleaseStatus
from sluice.reports.passes import Pass, passes

_INDENT = "   "


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
) -> Iterator[RenderableType]:
    title = Text(f"{name} {canvas.glyphs.dot} pass {entry.number} ", style="bold")
    title.append(f"{canvas.glyphs.dot} {words.revision_name(entry.revision, status)} ")
    title.append(entry.outcome, style=OUTCOME_STYLE[entry.outcome])
    yield title
    yield Text(_summary(entry, canvas), style="dim")
    spent = 0
    for number, decision in enumerate(entry.decisions, start=1):
        yield Text()
        yield from _decision(number, decision, entry.started_ms, spent, canvas)
        if decision.verdict is not None:
            spent = max(spent, decision.verdict.requests)
    rules = _rules(entry)
    if rules:
        yield Text()
        yield Text("Rules", style="bold")
        for check, objective, rule in rules:
            yield from paragraph("", f"{check} on {objective}: {rule}", canvas.width)


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
) -> Iterator[RenderableType]:
    glyphs = canvas.glyphs
    head = Text(f"{number:>2} ", style="dim")
    head.append(decision.kind, style=KIND_STYLE.get(decision.kind, "bold"))
    head.append(f" {glyphs.dot} {decision.reason}", style="bold")
    if decision.from_bp is not None and decision.to_bp is not None:
        change = f"{words.weight(decision.from_bp)} {glyphs.arrow} {words.weight(decision.to_bp)}"
        head.append(f" {glyphs.dot} {change}", style="cyan")
    if decision.rung_name:
        head.append(f" {glyphs.dot} {decision.rung_name}", style="dim")
    head.append(f" {glyphs.dot} +{words.duration(decision.at_ms - started_ms)}", style="dim")
    yield head
    room = canvas.width - len(_INDENT)
    facts = []
    if decision.by:
        facts.append(f"asked by {decision.by}")
    if decision.effect_ms is not None:
        facts.append(f"in effect on every router after {words.duration(decision.effect_ms)}")
    if decision.verdict is not None:
        cost = decision.verdict.requests - spent
        facts.append(
            f"cost {words.count(max(0, cost))} candidate requests since the decision before"
        )
    for text in filter(None, (decision.message, "; ".join(facts))):
        for line in paragraph("", text, room + 10):
            yield Text(_INDENT) + line[10:]
    if decision.verdict is not None:
        yield from _verdict(decision.verdict, canvas)


def _verdict(verdict: Verdict, canvas: Canvas) -> Iterator[RenderableType]:
    said = Text(_INDENT)
    said.append(verdict.kind, style=VERDICT_STYLE[verdict.kind] or "bold")
    said.append(f": {verdict.reason}")
    yield said
    glyphs = canvas.glyphs
    if verdict.log_threshold > 0:
        line = Text(f"{_INDENT}against it, all together: e ")
        line.append(words.e_value(verdict.log_e), style="bold")
        line.append(f" of {words.e_value(verdict.log_threshold)} ")
        line.append(log_bar(verdict.log_e, verdict.log_threshold, 16, glyphs), style="dim")
        yield line
    for evidence in verdict.evidence:
        yield Text(_INDENT + _rates(evidence, canvas))
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False
    )
    table.add_column(f"{_INDENT}CHECK", no_wrap=True)
    table.add_column("ON", no_wrap=True, overflow="ellipsis")
    for name in ("E-VALUE", "OF", "P", "N", "LEAST N"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("SAYS", no_wrap=True)
    for check in verdict.checks:
        table.add_row(*_check(check))
    if table.row_count:
        yield table


def _check(check: CheckResult) -> tuple[str | Text, ...]:
    limit = check.information_limit
    return (
        f"{_INDENT}{check.check}",
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


def _rules(entry: Pass) -> list[tuple[str, str, str]]:
    verdicts = (decision.verdict for decision in entry.decisions if decision.verdict)
    checks = (check for verdict in verdicts for check in verdict.checks if check.rule)
    return list(dict.fromkeys((check.check, check.objective, check.rule) for check in checks))


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
        parts += [title, _decision_table(entry)]
    return Group(*parts)


def _decision_table(entry: Pass) -> Table:
    table = Table(
        box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False
    )
    table.add_column(justify="right", style="dim", no_wrap=True, min_width=11)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for decision in entry.decisions:
        weight = words.weight(decision.to_bp) if decision.to_bp is not None else ""
        by = f" (by {decision.by})" if decision.by else ""
        table.add_row(
            f"+{words.duration(decision.at_ms - entry.started_ms)}",
            Text(decision.kind, style=KIND_STYLE.get(decision.kind, "")),
            weight,
            f"{decision.message or decision.reason}{by}",
        )
    return table
