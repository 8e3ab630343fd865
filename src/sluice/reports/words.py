"""Numbers in the words of people: durations, shares, counts, e-values.

Every function is pure and gives the same text on a screen, in HTML and in a log line.
"""

import math
from datetime import UTC, datetime

from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus, RevisionStatus

_DAY_S, _HOUR_S, _MINUTE_S = 86_400, 3_600, 60


def duration(ms: float) -> str:
    """Milliseconds as people say them: ``450ms``, ``8.2s``, ``2m 10s``, ``1h 5m``, ``3d 4h``."""
    if not math.isfinite(ms):
        return "forever"
    if ms < 0:
        return f"-{duration(-ms)}"
    if ms == 0:
        return "0s"
    if ms < 1_000:
        return f"{ms:.3g}ms"
    seconds = ms / 1_000
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole}s"
    for size, unit, below, sub in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "m"),
        (_MINUTE_S, "m", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit} {rest}{sub}" if rest else f"{whole // size}{unit}"
    raise AssertionError(ms)


def ago(at_ms: int, now_ms: int) -> str:
    """How long ago a moment was, in whole seconds so that a live view does not flicker."""
    seconds = max(0, now_ms - at_ms) // 1_000
    return "now" if seconds == 0 else f"{duration(seconds * 1_000)} ago"


def clock(at_ms: int) -> str:
    """UTC time of day, ``15:04:05Z``, for lines that outlive the moment."""
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%H:%M:%SZ")


def moment(at_ms: int) -> str:
    """UTC date and time, ``2026-03-01 15:04:05Z``."""
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def weight(bp: int) -> str:
    """Basis points as percent: ``5%``, ``0.25%``."""
    return f"{bp / 100:g}%"


def percent(fraction: float) -> str:
    """A fraction as percent with two significant digits: ``0.42%``, ``12%``, ``100%``."""
    value = fraction * 100
    if value == 0:
        return "0%"
    if value >= 99.5 or value >= 10:
        return f"{value:.0f}%"
    if value < 0.005:
        return "<0.01%"
    return f"{value:.2g}%"


def share_interval(low: float, high: float, dash: str = "–") -> str:
    """An interval of fractions: ``0.1–1.2%``."""
    return f"{percent(low).removesuffix('%')}{dash}{percent(high)}"


def ratio_interval(low: float, high: float, dash: str = "–") -> str:
    """An interval of ratios, ``0.4–2.1x``; open above: ``0.4x or more``."""
    if not math.isfinite(high):
        return "unknown" if low <= 0 else f"{low:.2g}x or more"
    return f"{low:.2g}{dash}{high:.3g}x"


def count(number: float) -> str:
    """A count with thousands apart: ``12,204``; infinite: ``no end``."""
    return "no end" if not math.isfinite(number) else f"{round(number):,}"


def rate(rps: float) -> str:
    """Requests per second: ``6.2``, ``440``."""
    return f"{rps:,.0f}" if rps >= 99.5 else f"{rps:.1f}"


def e_value(log_e: float) -> str:
    """An e-value from its natural logarithm: ``0.31``, ``12``, ``1,000``, ``4e+12``."""
    if log_e < math.log(0.001):
        return "<0.001"
    if log_e < math.log(10):
        return f"{math.exp(log_e):.2g}"
    if log_e < math.log(999_999.5):
        return f"{round(math.exp(log_e)):,}"
    exponent = log_e / math.log(10)
    return f"1e+{math.floor(exponent)}" if exponent >= 300 else f"{math.exp(log_e):.0e}"


def p_value(value: float) -> str:
    """A p-value: ``0.31``, ``0.0004``, ``<0.0001``."""
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def revision_name(revision: RevisionId | None, status: ReleaseStatus | None = None) -> str:
    """What people call a revision: its version label when it has one, else its id."""
    if revision is None:
        return "none"
    if status is not None:
        for entry in status.revisions:
            if entry.revision == revision:
                return label_of(entry)
    return revision


def label_of(entry: RevisionStatus) -> str:
    """Version label of a revision, or its id."""
    return entry.label or entry.revision
