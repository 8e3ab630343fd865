import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.reports import words
from sluice.reports.glyphs import ASCII, UNICODE, bar, glyphs_for, histogram, log_bar


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"),
        (0.4, "0.4ms"),
        (450, "450ms"),
        (1_000, "1s"),
        (8_240, "8.2s"),
        (9_960, "10s"),
        (59_600, "1m"),
        (130_000, "2m 10s"),
        (3_600_000, "1h"),
        (3_900_000, "1h 5m"),
        (273_600_000, "3d 4h"),
        (-1_500, "-1.5s"),
        (math.inf, "forever"),
    ],
)
def test_durations_read_like_people_say_them(ms: float, text: str) -> None:
    assert words.duration(ms) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0%"), (0.0042, "0.42%"), (0.00001, "<0.01%"), (0.214, "21%"), (1, "100%"), (0.1, "10%")],
)
def test_shares_have_two_digits_and_never_read_as_zero(fraction: float, text: str) -> None:
    assert words.percent(fraction) == text


@pytest.mark.parametrize(
    ("log_e", "text"),
    [
        (-math.inf, "<0.001"),
        (math.log(0.31), "0.31"),
        (math.log(12.4), "12"),
        (math.log(1_000), "1,000"),
        (math.log(4e12), "4e+12"),
        (1_000.0, "1e+434"),
    ],
)
def test_e_values_of_any_size_have_a_short_text(log_e: float, text: str) -> None:
    assert words.e_value(log_e) == text


def test_open_intervals_say_so() -> None:
    assert words.ratio_interval(0.31, math.inf) == "0.31x or more"
    assert words.ratio_interval(0.0, math.inf) == "unknown"
    assert words.count(math.inf) == "no end"


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=1), st.integers(min_value=1, max_value=200))
def test_a_bar_is_always_as_wide_as_asked_and_shows_anything_above_zero(
    share: float, width: int
) -> None:
    for glyphs in (UNICODE, ASCII):
        drawn = bar(share, width, glyphs)
        assert len(drawn) == width
        assert (drawn == glyphs.light * width) == (share == 0)


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.floats(min_value=0.1, max_value=50))
def test_an_e_value_bar_is_full_exactly_when_it_decides(log_e: float, threshold: float) -> None:
    full = log_bar(log_e, threshold, 20, UNICODE) == "█" * 20
    assert full == (log_e >= threshold)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=50).map(tuple))
def test_a_histogram_has_one_column_a_bin(values: tuple[float, ...]) -> None:
    drawn = histogram(values, 20, UNICODE)
    assert len(drawn) == (20 if values else 0)
    assert bool(drawn.strip()) == bool(values)


def test_only_encodings_of_unicode_get_unicode_signs() -> None:
    assert glyphs_for("utf-8") is UNICODE
    for encoding in ("ascii", "latin-1", "cp1252", None):
        assert glyphs_for(encoding) is ASCII
    signs = (getattr(ASCII, name) for name in ASCII.__slots__)
    "".join("".join(sign) for sign in signs).encode("ascii")
