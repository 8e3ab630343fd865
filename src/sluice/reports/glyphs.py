"""The signs that reports are drawn with, for terminals that know Unicode and those that do not."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """One consistent set of signs; every sign is one column wide."""

    full: str
    parts: tuple[str, ...]
    """Between empty and full, growing, for the last cell of a bar."""
    light: str
    """Fills what is not measured: the stable share, the rest of a bar."""
    others: tuple[str, ...]
    """Fillings of further candidates and of old revisions in a weight bar."""
    done: str
    active: str
    todo: str
    arrow: str
    dash: str
    """Between the ends of an interval."""
    dot: str
    """Between facts on one line."""
    mark: str
    """Where a threshold is."""
    warn: str
    levels: tuple[str, ...]
    """Heights of a tiny histogram, growing."""
    ellipsis: str


UNICODE = Glyphs(
    full="█",
    parts=("▏", "▎", "▍", "▌", "▋", "▊", "▉"),
    light="░",
    others=("▓", "▒"),
    done="✓",
    active="●",
    todo="○",
    arrow="→",
    dash="–",
    dot="·",
    mark="┃",
    warn="!",
    levels=("▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"),
    ellipsis="…",
)
ASCII = Glyphs(
    full="#",
    parts=(),
    light=".",
    others=("+", "-"),
    done="x",
    active=">",
    todo=" ",
    arrow="->",
    dash="-",
    dot="|",
    mark="|",
    warn="!",
    levels=("_", ".", ":", "-", "=", "+", "*", "#"),
    ellipsis="~",
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """The signs that an output with this encoding can show."""
    name = (encoding or "").lower().replace("-", "").replace("_", "")
    return UNICODE if name in ("utf8", "utf8sig", "utf16", "utf32") else ASCII


def bar(share: float, width: int, glyphs: Glyphs) -> str:
    """A bar of ``width`` columns, ``share`` (0..1) of it full; anything above 0 can be seen."""
    share = min(1.0, max(0.0, share))
    cells = share * width
    whole = int(cells)
    text = glyphs.full * whole
    if whole < width:
        if glyphs.parts:
            part = int((cells - whole) * (len(glyphs.parts) + 1))
            text += glyphs.parts[part - 1] if part else ""
        if not text and share > 0:
            text = (glyphs.parts or (glyphs.full,))[0]
    return text.ljust(width, glyphs.light)


def log_bar(log_value: float, log_threshold: float, width: int, glyphs: Glyphs) -> str:
    """A bar of an e-value on a logarithmic scale from 1 (empty) to its threshold (full)."""
    return bar(log_value / log_threshold if log_threshold > 0 else 0.0, width, glyphs)


def histogram(values: tuple[float, ...], width: int, glyphs: Glyphs) -> str:
    """How often values fall into ``width`` equal bins between the smallest and the largest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    counts = [0] * width
    for value in values:
        at = int((value - low) / (high - low) * width) if high > low else 0
        counts[min(at, width - 1)] += 1
    most = max(counts)
    top = len(glyphs.levels) - 1
    return "".join(
        " " if not number else glyphs.levels[math.ceil(number / most * top)] for number in counts
    )
