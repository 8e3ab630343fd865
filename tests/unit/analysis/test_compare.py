"""When two answers are the same: numbers within a tolerance, labels equal, nothing missing."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.analysis.compare import Fields, Scalar, compare
from sluice.nouns import FieldRule

ABSOLUTE = FieldRule(field="fare", atol=0.5)
RELATIVE = FieldRule(field="fare", rtol=0.01)
LABEL = FieldRule(field="fare", kind="label")


def differs(stable: Scalar, candidate: Scalar, *rules: FieldRule) -> bool:
    _, found = compare({"fare": (stable,)}, {"fare": (candidate,)}, rules)
    return bool(found)


@pytest.mark.parametrize(
    ("stable", "candidate", "rules", "wanted"),
    [
        pytest.param(10.0, 10.0, (), False, id="equal"),
        pytest.param(10, 10.0, (), False, id="an-integer-is-a-number"),
        pytest.param(10.0, 10.0000001, (), True, id="exact-without-a-rule"),
        pytest.param(10.0, 10.5, (ABSOLUTE,), False, id="at-the-absolute-tolerance"),
        pytest.param(10.0, 10.51, (ABSOLUTE,), True, id="above-it"),
        pytest.param(-200.0, -202.0, (RELATIVE,), False, id="at-the-relative-tolerance"),
        pytest.param(-200.0, -202.1, (RELATIVE,), True, id="above-that"),
        pytest.param(0.0, 1e-9, (RELATIVE,), True, id="relative-to-zero"),
        pytest.param(nan, nan, (ABSOLUTE,), False, id="both-not-a-number"),
        pytest.param(1.0, nan, (ABSOLUTE,), True, id="one-not-a-number"),
        pytest.param(inf, inf, (ABSOLUTE,), False, id="both-infinite"),
        pytest.param(1.0, inf, (ABSOLUTE,), True, id="one-infinite"),
        pytest.param("cash", "card", (ABSOLUTE,), True, id="words-differ"),
        pytest.param("cash", "cash", (), False, id="words-equal"),
        pytest.param(1, True, (ABSOLUTE,), True, id="true-is-no-number"),
        pytest.param(None, None, (), False, id="both-null"),
        pytest.param(None, 0, (ABSOLUTE,), True, id="null-is-no-number"),
        pytest.param(1.0, 1.4, (LABEL,), True, id="a-label-has-no-tolerance"),
        pytest.param(1, "1", (LABEL,), True, id="a-label-has-a-type"),
        pytest.param(1.0, 2.0, (FieldRule(field="fare", kind="ignore"),), False, id="ignored"),
        pytest.param(1.0, 2.0, (FieldRule(field="tip"),), False, id="no-rule-for-it"),
        pytest.param(1.0, 2.0, (FieldRule(field="*", atol=2.0),), False, id="every-other-field"),
    ],
)
def test_one_value(
    stable: Scalar, candidate: Scalar, rules: tuple[FieldRule, ...], wanted: bool
) -> None:
    assert differs(stable, candidate, *rules) is wanted


def test_a_named_field_goes_before_every_other() -> None:
    rules = (FieldRule(field="*", kind="ignore"), FieldRule(field="fare"))
    compared, found = compare({"fare": (1,), "id": (1,)}, {"fare": (1,), "id": (2,)}, rules)
    assert (compared, found) == (("fare",), ())


@pytest.mark.parametrize(
    ("stable", "candidate"),
    [
        pytest.param({"fare": (1.0,)}, {}, id="missing"),
        pytest.param({}, {"fare": (1.0,)}, id="new"),
        pytest.param({"fare": (1.0, 2.0)}, {"fare": (1.0,)}, id="shorter"),
    ],
)
def test_a_missing_value_is_a_difference(stable: Fields, candidate: Fields) -> None:
    compared, (found,) = compare(stable, candidate, (ABSOLUTE,))
    assert compared == ("fare",)
    assert found.severity == inf


def test_the_worst_of_many_values_is_shown() -> None:
    _, (found,) = compare({"fare": (1.0, 1.0, 1.0)}, {"fare": (2.0, 9.0, 3.0)}, (ABSOLUTE,))
    assert (found.stable, found.candidate, found.distance) == ("1", "9", 8.0)
    assert found.severity == 16.0


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
answers = st.dictionaries(st.text(max_size=3), st.lists(values, max_size=3).map(tuple))


@given(answers)
def test_an_answer_equals_itself(fields: Fields) -> None:
    assert compare(fields, fields, ())[1] == ()


@given(answers, answers)
def test_whatever_is_compared_is_named_and_short(stable: Fields, candidate: Fields) -> None:
    compared, found = compare(stable, candidate, ())
    assert {item.field for item in found} <= set(compared) == set(stable) | set(candidate)
    assert all(len(item.stable) <= 40 and len(item.candidate) <= 40 for item in found)
