from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sluice.spec.scalars import (
    LONGEST_MS,
    format_duration,
    format_percent,
    label,
    parse_duration,
    parse_host,
    parse_weight,
    shown,
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=4,
)


@given(st.integers(0, LONGEST_MS))
def test_a_duration_is_read_as_it_was_written(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1h30m", 5_400_000), ("90m", 5_400_000),
     ("1h2m3s4ms", 3_723_004), ("0s", 0), ("5m500ms", 300_500)],
)  # fmt: skip
def test_durations_are_sums_of_their_units(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "value",
    ["", "s", "1", "1d", "1.5s", "-1s", "1s1m", "1m1m", " 1s", "1s ", "1 s", "1S", "٣s", "9999h",
     "1" * 41 + "s", 30, 1.5, True, None, [], {}],
)  # fmt: skip
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(value)


def test_a_number_without_unit_says_how_to_write_it() -> None:
    with pytest.raises(PydanticCustomError, match='write "30s" for seconds'):
        parse_duration(30)


@given(st.integers(0, 9_999))
def test_a_weight_is_read_as_it_was_written(bp: int) -> None:
    assert parse_weight(format_percent(bp)) == bp
    assert parse_weight(float(Decimal(bp) / 100)) == bp


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(100, "only promotion reaches 100%", id="all"),
        pytest.param(100.0, "only promotion reaches 100%", id="all-as-fraction"),
        pytest.param(100.01, "over 100", id="over"),
        pytest.param(-0.01, "from 0 to 99.99", id="negative"),
        pytest.param(0.001, "finer than 0.01", id="fine"),
        pytest.param("5%", "without quotes and sign", id="sign"),
        pytest.param("5", "must be a number", id="text"),
        pytest.param(True, "must be a number", id="flag"),
        pytest.param(float("nan"), "from 0 to 99.99", id="nan"),
        pytest.param(float("inf"), "from 0 to 99.99", id="inf"),
    ],
)
def test_what_is_no_weight_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason):
        parse_weight(value)


@pytest.mark.parametrize("host", ["taxi", "taxi.ml", "a-1.b", "127.0.0.1", "*", "9"])
def test_host_names_are_accepted(host: str) -> None:
    assert parse_host(host) == host


@pytest.mark.parametrize(
    "host", ["", ".", "a..b", "a.", "-a", "a_b", "Taxi", "http://a", "a/b", "a:80", "*.a", "a" * 64,
             ".".join(["a" * 60] * 5), "ä", 7, None]
)  # fmt: skip
def test_what_is_no_host_name_is_refused(host: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_host(host)


def test_a_name_has_a_longest_length() -> None:
    assert label(3)("abc") == "abc"
    with pytest.raises(PydanticCustomError, match="at most 3"):
        label(3)("abcd")


@given(json_values)
def test_parsers_refuse_any_value_by_their_own_error(value: object) -> None:
    for parse in (parse_duration, parse_weight, parse_host, label(20)):
        try:
            parse(value)
        except PydanticCustomError as error:
            assert error.message().isprintable()  # noqa: PT017  # that it raises is not demanded


@given(st.text())
def test_a_shown_value_is_short_and_cannot_steer_a_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 62 * 6
