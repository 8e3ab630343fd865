"""Counters of Prometheus series, whatever restarts, comes and goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.metrics.series import (
    MOST_SERIES,
    Counted,
    Grown,
    Labels,
    NotCounters,
    Series,
    parse_vector,
)

A: Labels = frozenset({("pod", "a")})
B: Labels = frozenset({("pod", "b")})
SUM: Labels = frozenset()


def grown(*readings: Series) -> list[float]:
    counter = Grown()
    sums = []
    for series in readings:
        counter.take(series)
        sums.append(counter.total)
    return sums


@pytest.mark.parametrize(
    ("readings", "sums"),
    [
        pytest.param([{A: 100.0}, {A: 130.0}], [0, 30], id="what-was-before-does-not-count"),
        pytest.param([{}, {A: 7.0}], [0, 7], id="first-error-of-all"),
        pytest.param([{A: 5.0}, {A: 9.0, B: 4.0}], [0, 8], id="new-replica"),
        pytest.param([{A: 5.0}, {}, {A: 6.0}], [0, 0, 1], id="missed-scrape"),
        pytest.param([{A: 50.0}, {A: 3.0}, {A: 5.0}], [0, 3, 5], id="replica-started-again"),
        pytest.param([{A: 5.0, B: 50.0}, {A: 9.0}], [0, 4], id="replica-gone"),
        pytest.param([{SUM: 90.0}, {SUM: 40.0}, {SUM: 45.0}], [0, 0, 5], id="sum-lost-a-replica"),
    ],
)
def test_growth_of_a_query(readings: list[Series], sums: list[float]) -> None:
    assert grown(*readings) == sums


@given(st.lists(st.dictionaries(st.sampled_from([A, B, SUM]), st.floats(0, 1e9)), max_size=8))
def test_growth_never_falls(readings: list[Series]) -> None:
    sums = grown(*readings)
    assert sums == sorted(sums)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=10))
def test_published_counts_are_always_possible_counts(steps: list[tuple[int, int]]) -> None:
    counted, before = Counted(), (0, 0)
    total = bad = 0
    counted.take({A: 0.0}, {A: 0.0})
    for more, worse in steps:
        total, bad = total + more, bad + worse
        counted.take({A: float(total)}, {A: float(bad)})
        events, failures = counted.published
        assert 0 <= failures - before[1] <= events - before[0]
        before = counted.published


def test_more_bad_events_than_events_are_said_and_not_published() -> None:
    counted = Counted()
    counted.take({A: 0.0}, {A: 0.0})
    said = counted.take({A: 10.0}, {A: 12.0})
    assert "12 bad events of 10" in said
    assert counted.published == (0, 0)
    assert counted.take({A: 20.0}, {A: 12.0}) == ""
    assert counted.published == (20, 12)


def vector(*results: object, kind: str = "vector") -> dict[str, object]:
    return {"status": "success", "data": {"resultType": kind, "result": list(results)}}


def test_vector_is_read_by_its_labels() -> None:
    content = vector(
        {"metric": {"pod": "a"}, "value": [1.5, "42"]}, {"metric": {}, "value": [1, "1"]}
    )
    assert parse_vector(content) == {A: 42.0, SUM: 1.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param({}, "nothing that it should", id="nothing"),
        pytest.param(
            {"status": "error", "errorType": "bad_data", "error": "parse error at char 3"},
            "parse error at char 3",
            id="its-own-error",
        ),
        pytest.param(vector(kind="matrix"), "gives a matrix", id="matrix"),
        pytest.param({"status": "success", "data": None}, "gives a None", id="no-data"),
        pytest.param(vector({"metric": {}}), "no instant vector", id="no-value"),
        pytest.param(vector({"metric": {}, "value": [1, "x"]}), "no instant vector", id="text"),
        pytest.param(vector({"metric": 3, "value": [1, "1"]}), "no instant vector", id="labels"),
        pytest.param(vector({"metric": {}, "value": [1, "NaN"]}), "without rate()", id="nan"),
        pytest.param(vector({"metric": {}, "value": [1, "+Inf"]}), "without rate()", id="inf"),
        pytest.param(vector({"metric": {}, "value": [1, "-1"]}), "without rate()", id="negative"),
        pytest.param(
            vector(*({"metric": {"n": str(n)}, "value": [1, "1"]} for n in range(MOST_SERIES + 1))),
            "1001 series: narrow it",
            id="too-many",
        ),
    ],
)
def test_answer_without_counters_says_why(content: dict[str, object], said: str) -> None:
    with pytest.raises(NotCounters, match=said.replace("(", r"\(").replace(")", r"\)")):
        parse_vector(content)
