"""One pass as a page: a single HTML file without scripts that can be mailed, kept and printed."""

from collections.abc import Sequence
from html import escape

from sluice.nouns import CheckResult, Verdict
from sluice.reports import words
from sluice.reports.html_style import STYLE
from sluice.reports.html_timeline import timeline
from sluice.reports.model import Comparison, Decision, ReleaseStatus, TrafficPoint
from sluice.reports.passes import Pass, passes

_TITLE = {
    "promoted": "promoted",
    "aborted": "turned back",
    "held": "held",
    "running": "on its way",
}


def release_report(
    status: ReleaseStatus,
    decisions: Sequence[Decision],
    traffic: Sequence[TrafficPoint] = (),
    comparison: Comparison | None = None,
    *,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """The newest pass of a release as one self-contained HTML page.

    Args:
        status: Of the release, after the pass.
        decisions: Of the release, oldest first; at least one.
        traffic: Requests per second and revision while the pass went on, in any order.
        comparison: Headline numbers as the client saw them, and what other tools would have done.
        verdicts: Every verdict that was kept, oldest first; without them the curves of evidence
            have a point at each decision only.

    Returns:
        HTML text; everything that came from outside is escaped.

    Raises:
        ValueError: there is no decision.
    """
    if not decisions:
        raise ValueError("a report needs at least one decision")
    journey = passes(decisions)[-1]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(f'{status.name}: {_TITLE[journey.outcome]}')}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            _header(status, journey),
            _headline(journey, comparison),
            timeline(status, journey, traffic, verdicts),
            _peers(comparison),
            _decisions(journey),
            _verdict(journey.verdict or status.verdict),
            _footer(status, journey),
            "</main></body></html>",
            "",
        ]
    )


def _header(status: ReleaseStatus, journey: Pass) -> str:
    name = words.revision_name(journey.revision, status)
    title = f"{status.name} {name}"
    return (
        f"<header><h1>{escape(title)}</h1>"
        f'<span class="badge {journey.outcome}">{_TITLE[journey.outcome]}</span>'
        f"<p>{escape(journey.message)}</p></header>"
    )


def _headline(journey: Pass, comparison: Comparison | None) -> str:
    tiles: list[tuple[str, str]] = []
    if comparison is not None:
        tiles += [
            ("requests sent", words.count(comparison.requests)),
            ("lost: no answer at all", words.count(comparison.lost)),
            ("harmed: bad answers of the candidate", words.count(comparison.harmed)),
        ]
        decided = comparison.decided_s
        if decided is not None:
            tiles.append(
                ("from first candidate request to decision", words.duration(decided * 1_000))
            )
    else:
        tiles.append(("harmed: bad answers of the candidate", words.count(journey.harmed)))
        if journey.ended_ms is not None:
            took = journey.ended_ms - journey.started_ms
            tiles.append(("from deploy to decision", words.duration(took)))
    tiles.append(("candidate requests judged", words.count(journey.requests)))
    body = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in tiles)
    return f'<dl class="tiles">{body}</dl>'


def _peers(comparison: Comparison | None) -> str:
    if comparison is None or not comparison.peers:
        return ""
    rows = [("Sluice, this pass", float(comparison.harmed), "counted", "ours")]
    rows += [(peer.name, peer.harmed, peer.note, "") for peer in comparison.peers]
    most = max(harmed for _, harmed, _, _ in rows) or 1.0
    items = "".join(
        f'<li class="{kind}"><div class="name"><span>{escape(name)}'
        f"{_note(note)}</span><span>{words.count(harmed)}</span></div>"
        f'<div class="bar" style="width:{harmed / most * 100:.1f}%"></div></li>'
        for name, harmed, note, kind in rows
    )
    return (
        "<section><h2>Harmed requests, against other tools</h2>"
        '<p class="soft small">Bad answers that users would have seen of the same candidate at '
        f'the same traffic.</p><ul class="bars">{items}</ul></section>'
    )


def _note(note: str) -> str:
    return f' <span class="soft small">{escape(note)}</span>' if note else ""


def _decisions(journey: Pass) -> str:
    items = "".join(
        _decision(number, decision, journey.started_ms)
        for number, decision in enumerate(journey.decisions, start=1)
    )
    return f'<section><h2>Decisions</h2><ol class="steps">{items}</ol></section>'


def _decision(number: int, decision: Decision, started_ms: int) -> str:
    facts = [f"+{words.duration(decision.at_ms - started_ms)}"]
    if decision.from_bp is not None and decision.to_bp not in (None, decision.from_bp):
        facts.append(f"{words.weight(decision.from_bp)} → {words.weight(decision.to_bp)}")
    if decision.effect_ms is not None:
        facts.append(f"in effect after {words.duration(decision.effect_ms)}")
    if decision.by:
        facts.append(f"by {decision.by}")
    reason = "" if decision.reason == decision.kind else f": {decision.reason}"
    spans = "".join(f'<span class="soft">{escape(fact)}</span>' for fact in facts)
    body = f'<div class="body">{escape(decision.message)}</div>'
    verdict = decision.verdict
    if verdict is not None:
        said = "" if verdict.reason == decision.message else f": {verdict.reason}"
        body += (
            f'<div class="body soft small">{escape(verdict.kind)}{escape(said)} '
            f"(e {words.e_value(verdict.log_e)} of {words.e_value(verdict.log_threshold)}, "
            f"{words.count(verdict.requests)} requests, {words.count(verdict.harmed)} harmed)</div>"
        )
    return (
        f'<li><span class="number">{number}</span><div class="what"><span>'
        f"{escape(decision.kind + reason)}</span>{spans}</div>{body}</li>"
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    rates = html_table(
        ("Objective", "Candidate", "Likely", "Stable", "Ratio"),
        [
            (
                evidence.objective,
                f"{words.percent(evidence.rate_candidate)} "
                f"({words.count(evidence.bad_candidate)} of {words.count(evidence.n_candidate)})",
                words.share_interval(evidence.low, evidence.high),
                words.percent(evidence.baseline) if evidence.n_stable else "unknown",
                words.ratio_interval(evidence.ratio_low, evidence.ratio_high),
            )
            for evidence in verdict.evidence
        ],
    )
    checks = html_table(
        ("Check", "Says", "E-value", "Decides at", "P", "Requests", "Rule"),
        [_check(check) for check in verdict.checks],
    )
    kind = f"verdict-{verdict.kind.value}"
    return (
        f'<section><h2>Verdict: <span class="{kind}">{escape(verdict.kind)}</span></h2>'
        f"<p>{escape(verdict.reason)}</p>{rates}{checks}</section>"
    )


def _check(check: CheckResult) -> tuple[str, ...]:
    return (
        f"{check.check} on {check.objective}",
        check.kind,
        words.e_value(check.log_e),
        words.e_value(check.log_threshold),
        words.p_value(check.p_value),
        words.count(check.requests),
        check.rule,
    )


def html_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that becomes a list of named values on a narrow screen; no rows: nothing."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = ""
    for row in rows:
        cells = "".join(
            f'<td data-name="{escape(header)}">{escape(str(cell))}</td>'
            for header, cell in zip(headers, row, strict=True)
        )
        body += f"<tr>{cells}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _footer(status: ReleaseStatus, journey: Pass) -> str:
    stable = words.revision_name(status.stable, status)
    return (
        f"<footer>Release {escape(status.name)}, pass {journey.number}, began "
        f"{words.moment(journey.started_ms)}; stable now: {escape(stable)}. "
        "Written by sluice.</footer>"
    )
