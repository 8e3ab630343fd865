"""Passes of releases as JUnit XML, so that a CI server shows why a release was turned back."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from sluice.reports import words
from sluice.reports.passes import Pass


@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitCase:
    """One release that a CI job has waited for."""

    release: str
    revision: str
    result: str
    """``promoted``: passed. ``aborted``: a failure. Anything else: an error, with this word."""
    message: str
    seconds: float
    journey: Pass | None = None
    """Its decisions, for the output of the case."""


def junit(cases: Sequence[JUnitCase]) -> str:
    """One suite with a case per release.

    Args:
        cases: In the order in which they are to be shown.

    Returns:
        XML text.
    """
    failures = sum(case.result == "aborted" for case in cases)
    errors = sum(case.result not in ("aborted", "promoted") for case in cases)
    total = sum(case.seconds for case in cases)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites tests="{len(cases)}" failures="{failures}" errors="{errors}" '
        f'time="{total:.3f}">',
        f'  <testsuite name="sluice" tests="{len(cases)}" failures="{failures}" '
        f'errors="{errors}" time="{total:.3f}">',
    ]
    for case in cases:
        lines += _case(case)
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _case(case: JUnitCase) -> list[str]:
    name = f"{case.release} {case.revision}".strip()
    head = (
        f'    <testcase classname="sluice.release" name={attribute(name)} '
        f'time="{case.seconds:.3f}">'
    )
    lines = [head]
    match case.result:
        case "promoted":
            pass
        case "aborted":
            lines.append(f'      <failure type="aborted" message={attribute(case.message)}/>')
        case other:
            lines.append(
                f"      <error type={attribute(other)} message={attribute(case.message)}/>"
            )
    if case.journey is not None:
        text = "\n".join(_evidence(case.journey))
        lines.append(f"      <system-out>{_text(text)}</system-out>")
    return [*lines, "    </testcase>"]


def _evidence(journey: Pass) -> list[str]:
    lines = []
    for decision in journey.decisions:
        line = f"+{words.duration(decision.at_ms - journey.started_ms)} {decision.kind} "
        lines.append(f"{line}{decision.reason}: {decision.message}")
        verdict = decision.verdict
        if verdict is not None:
            lines.append(
                f"  {verdict.kind}: {verdict.reason} (e {words.e_value(verdict.log_e)} of "
                f"{words.e_value(verdict.log_threshold)}, {verdict.requests} requests, "
                f"{verdict.harmed} harmed)"
            )
    return lines


def _allowed(text: str) -> str:
    # XML 1.0 knows no control characters but these three, not even escaped
    return "".join(
        char if char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff") else "�"
        for char in text
    ).translate(dict.fromkeys(range(0xD800, 0xE000), "�"))


def attribute(text: str) -> str:
    """Text as a quoted XML attribute on one line; what XML cannot hold is replaced."""
    return quoteattr(_allowed(text).replace("\n", " "))


def _text(text: str) -> str:
    return escape(_allowed(text))
