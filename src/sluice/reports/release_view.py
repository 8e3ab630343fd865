"""The view of one release: where it stands, on what evidence, and what happens next."""

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from sluice.nouns import BP_TOTAL, CheckResult, Evidence, Phase, VerdictKind
from sluice.reports import words
from sluice.reports.canvas import (
    KIND_STYLE,
    PHASE_STYLE,
    VERDICT_STYLE,
    Canvas,
    columns,
    paragraph,
)
from sluice.reports.differences import difference_lines
from sluice.reports.glyphs import log_bar
from sluice.reports.model import GateStatus, ReleaseStatus, RevisionStatus, RungStatus

STALE_MS = 5_000
"""A status older than this says so: nobody has looked at the counters since."""
LAST_DECISIONS = 5
DIFFERENCES = 3


def release_view(status: ReleaseStatus, canvas: Canvas) -> RenderableType:
    """Everything ``sluice status NAME`` shows; made for 80 columns, readable without colour.

    On a low canvas the notices go first, then the empty lines, then the older decisions.
    """
    blocks: list[list[Text]] = [
        [*_header(status, canvas)],
        [*_weights(status, canvas)],
        _revisions(status, canvas),
        [*_verdict(status, canvas)],
        [*_outlook(status, canvas)],
    ]
    decisions = _decisions(status, canvas)
    lines = _stacked([*blocks, [*_notices(status, canvas)], decisions], gaps=True)
    if canvas.height is not None and len(lines) > canvas.height:
        lines = _stacked([*blocks, decisions], gaps=True)
    if canvas.height is not None and len(lines) > canvas.height:
        over = len(_stacked([*blocks, decisions], gaps=False)) - canvas.height
        lines = _stacked([*blocks, decisions[: max(1, len(decisions) - over)]], gaps=False)
    return Group(*lines)


def _stacked(blocks: list[list[Text]], *, gaps: bool) -> list[Text]:
    gap = [Text()] if gaps else []
    lines = [line for block in blocks if block for line in (*block, *gap)]
    return lines[:-1] if gaps else lines


def _header(status: ReleaseStatus, canvas: Canvas) -> Iterator[Text]:
    title = Text(status.name, style="bold")
    title.append("  ")
    title.append(str(status.phase), style=PHASE_STYLE[status.phase])
    title.append(f" {canvas.glyphs.dot} {status.reason}", style="bold")
    right = ""
    if status.pass_number and status.pass_started_ms is not None:
        age = words.ago(status.pass_started_ms, canvas.now_ms)
        right = f"pass {status.pass_number}, started {age}"
    gap = canvas.width - title.cell_len - len(right)
    if right and gap >= 2:
        title.append(" " * gap + right, style="dim")
    yield title
    if status.message:
        held = "yellow" if status.phase is Phase.PAUSED else ""
        yield from paragraph("", status.message, canvas.width, indent=0, style=held)
    stale = canvas.now_ms - status.updated_ms
    if stale > STALE_MS:
        text = f"{canvas.glyphs.warn} last looked {words.ago(status.updated_ms, canvas.now_ms)}"
        yield Text(f"{text}: what follows may be old", style="yellow")


def _weights(status: ReleaseStatus, canvas: Canvas) -> Iterator[Text]:
    live = [entry for entry in status.revisions if entry.weight_bp > 0]
    if not live:
        return
    width = canvas.width
    line, legend = Text(), Text()
    others = iter(canvas.glyphs.others * len(live))
    left = width
    for number, entry in enumerate(sorted(live, key=lambda entry: entry.role == "stable")):
        sign, style = _ink(entry, canvas, others)
        cells = max(1, round(entry.weight_bp / BP_TOTAL * width))
        if number == len(live) - 1:
            cells = left
        left -= cells
        line.append(sign * max(0, cells), style=style)
        legend.append("   " if legend.cell_len else "")
        legend.append(sign, style=style)
        legend.append(f" {entry.role} {words.label_of(entry)} ")
        legend.append(words.weight(entry.weight_bp), style="bold")
    yield line
    yield legend


def _ink(entry: RevisionStatus, canvas: Canvas, others: Iterator[str]) -> tuple[str, str]:
    match entry.role:
        case "candidate":
            return canvas.glyphs.full, "cyan"
        case "stable":
            return canvas.glyphs.light, "green"
        case _:
            return next(others), "magenta"


def _revisions(status: ReleaseStatus, canvas: Canvas) -> list[Text]:
    rows = []
    for entry in status.revisions:
        title = Text(words.label_of(entry), style="bold")
        if entry.label:
            title.append(f" {entry.revision}", style="dim not bold")
        short = entry.ready < entry.desired
        rows.append(
            (
                title,
                entry.role,
                words.weight(entry.weight_bp),
                Text(f"{entry.ready}/{entry.desired}", style="bold yellow" if short else ""),
                words.count(entry.requests),
                words.rate(entry.rps),
                Text(words.count(entry.errors), style="red" if entry.errors else ""),
            )
        )
    headers = ("REVISION", "ROLE", "WEIGHT", "READY", "REQUESTS", "RPS", "ERRORS")
    lines = columns(headers, rows, canvas=canvas, right=(2, 3, 4, 5, 6)) if rows else []
    for entry in status.revisions:
        if entry.message and entry.ready < entry.desired:
            text = f"{words.label_of(entry)}: {entry.message}"
            lines += paragraph("", text, canvas.width, indent=0, style="yellow")
    return lines


def _verdict(status: ReleaseStatus, canvas: Canvas) -> Iterator[Text]:
    verdict = status.verdict
    if verdict is None:
        return
    said = Text(verdict.kind, style=VERDICT_STYLE[verdict.kind] or "bold")
    said.append(f": {verdict.reason}", style="default not bold")
    yield from paragraph("Verdict", said, canvas.width)
    if verdict.evidence:
        yield from _rates(verdict.evidence, canvas)
    rows = [("against it", verdict.log_e, verdict.log_threshold, VerdictKind.FAILED)]
    rows += [
        (f"for it, {check.objective}", check.log_e, check.log_threshold, VerdictKind.PASSED)
        for check in _passing(verdict.checks)
    ]
    bars = [_bar(*row, canvas) for row in rows if row[2] > 0]
    if bars:
        headers = ("EVIDENCE", "E-VALUE", "DECIDES AT", "")
        yield from columns(headers, bars, canvas=canvas, right=(1, 2))
    yield from difference_lines(verdict.differences[:DIFFERENCES], canvas)
    yield from paragraph("Spent", _spent(status), canvas.width)


def _bar(
    name: str, log_e: float, log_threshold: float, kind: VerdictKind, canvas: Canvas
) -> tuple[str | Text, ...]:
    fired = log_e >= log_threshold
    drawn = log_bar(log_e, log_threshold, min(30, max(10, canvas.width - 60)), canvas.glyphs)
    said = Text(drawn, style=VERDICT_STYLE[kind] if fired else "")
    if fired:
        said.append(f" {kind}")
    return (
        name,
        Text(words.e_value(log_e), style="bold"),
        words.e_value(log_threshold),
        said,
    )


def _rates(evidence: tuple[Evidence, ...], canvas: Canvas) -> list[Text]:
    dash = canvas.glyphs.dash
    rows = [
        (
            entry.objective,
            Text(
                f"{words.percent(entry.rate_candidate)} "
                f"({words.count(entry.bad_candidate)} of {words.count(entry.n_candidate)})",
                style="bold",
            ),
            words.share_interval(entry.low, entry.high, dash),
            words.percent(entry.baseline) if entry.n_stable else "unknown",
            words.ratio_interval(entry.ratio_low, entry.ratio_high, dash),
        )
        for entry in evidence
    ]
    headers = ("BAD ANSWERS", "CANDIDATE", "LIKELY", "STABLE", "RATIO")
    return columns(headers, rows, canvas=canvas, right=(1, 2, 3, 4))


def _passing(checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The one PASS check an objective needs: the nearest to its threshold."""
    nearest: dict[str, CheckResult] = {}
    for check in checks:
        if check.check != "non-inferiority":
            continue
        other = nearest.get(check.objective)
        if other is None or check.log_e > other.log_e:
            nearest[check.objective] = check
    return tuple(nearest.values())


def _spent(status: ReleaseStatus) -> str:
    verdict = status.verdict
    assert verdict is not None  # noqa: S101  # the caller has looked
    limits = [check.information_limit for check in verdict.checks if check.weight > 0]
    least = min((limit for limit in limits if math.isfinite(limit)), default=math.inf)
    text = f"{words.count(verdict.requests)} candidate requests judged"
    if math.isfinite(least) and least > 0:
        text += f" (the least that any test needs here: {words.count(math.ceil(least))})"
    text += f"; {words.count(verdict.harmed)} harmed"
    if status.min_bake_ms:
        baked = words.duration(min(status.bake_ms, status.min_bake_ms))
        text += f"; baked {baked} of {words.duration(status.min_bake_ms)}"
    return text


def _outlook(status: ReleaseStatus, canvas: Canvas) -> Iterator[Text]:
    if status.rungs and status.stable is not None:
        yield from paragraph("Steps", _steps(status.rungs, canvas), canvas.width)
    for gate in (gate for gate in status.gates if gate.asked):
        yield from paragraph("Gate", _gate(gate), canvas.width)
    if status.next:
        yield from paragraph("Next", status.next, canvas.width)
    elif status.warm_left_ms:
        left = words.duration(status.warm_left_ms)
        yield from paragraph("Warm", f"the old stable stays ready for {left}", canvas.width)
    if status.acknowledged < status.generation:
        text = (
            f"routers serve generation {status.acknowledged}, generation {status.generation} "
            "is on its way"
        )
        yield from paragraph("Routing", text, canvas.width, style="yellow")
    for problem in status.problems:
        yield from paragraph("Problem", problem, canvas.width, style="bold red")


def _gate(gate: GateStatus) -> str:
    said = f": {gate.said}" if gate.said else ""
    return f"{gate.name}, asked of {gate.asked}{said}"


def _notices(status: ReleaseStatus, canvas: Canvas) -> Iterator[Text]:
    for notice in status.notices:
        yield from paragraph("Notice", notice, canvas.width, style="dim")


def _steps(rungs: tuple[RungStatus, ...], canvas: Canvas) -> list[Text]:
    glyphs = canvas.glyphs
    signs = {"done": glyphs.done, "active": glyphs.active, "todo": glyphs.todo}
    styles = {"done": "green", "active": "bold cyan", "todo": "dim"}
    several = len({rung.stage for rung in rungs}) > 1
    steps: list[Text] = []
    stage = -1
    for rung in rungs:
        step = Text(f"{rung.strategy}: " if several and rung.stage != stage else "", style="bold")
        stage = rung.stage
        step.append(f"{signs[rung.state]} {rung.name}".strip(), style=styles[rung.state])
        if rung is not rungs[-1]:
            step.append(f" {glyphs.arrow}", style="dim")
        steps.append(step)
    return steps


def _decisions(status: ReleaseStatus, canvas: Canvas) -> list[Text]:
    newest = list(reversed(status.decisions[-LAST_DECISIONS:]))
    rows = [
        (
            Text("Decisions" if number == 0 else "", style="bold"),
            Text(words.ago(decision.at_ms, canvas.now_ms), style="dim"),
            Text(decision.kind, style=KIND_STYLE.get(decision.kind, "bold")),
            decision.message or decision.reason,
        )
        for number, decision in enumerate(newest)
    ]
    return columns(("", "", "", ""), rows, canvas=canvas, right=(1,), shrink=3) if rows else []
