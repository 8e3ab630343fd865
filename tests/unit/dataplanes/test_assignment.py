"""Assignment is a pure function of user, salt and ordered weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.dataplanes.assignment import arm_for, bucket, revision_for
from sluice.engine.desired import salt_of
from sluice.errors import InvariantError, RefusedError
from sluice.nouns import Arm, RevisionId, Routing


def test_buckets_are_what_they_have_always_been() -> None:
    """Checked against Envoy by the contract suite; here so that a change is seen at once."""
    salt = salt_of("taxi", 3)
    assert salt == "taxi:3"
    assert [bucket(salt, user) for user in ("anna", "7", "ü")] == [5904, 6711, 8287]


def test_blanks_round_a_user_do_not_count_because_http_takes_them_off() -> None:
    assert bucket("s", " anna\t") == bucket("s", "anna")


@given(st.integers(0, 9_999), st.lists(st.integers(0, 5_000), min_size=1, max_size=4))
def test_every_place_has_one_arm_in_the_order_of_the_weights(place: int, parts: list[int]) -> None:
    weights, left = [], 10_000
    for part in parts:
        weights.append(min(part, left))
        left -= weights[-1]
    arms = [*enumerate(weights), (len(weights), left)]
    found = arm_for(place, arms)
    before = sum(weight for _, weight in arms[:found])
    assert before <= place < before + arms[found][1]


def test_a_growing_weight_moves_users_to_the_candidate_only() -> None:
    places = [bucket("a:1", str(index)) for index in range(2_000)]
    before: set[int] = set()
    for weight in (0, 500, 2_000, 9_999):
        now = {p for p in places if arm_for(p, [("c", weight), ("s", 10_000 - weight)]) == "c"}
        assert before <= now
        before = now


def test_weights_that_leave_a_gap_are_a_bug() -> None:
    with pytest.raises(InvariantError, match="sum to 9000"):
        arm_for(9_500, [("c", 1_000), ("s", 8_000)])


def test_a_release_that_is_not_sticky_has_no_users() -> None:
    value = Routing(
        release="taxi",
        generation=1,
        arms=(Arm(revision=RevisionId("v1"), weight_bp=10_000),),
        hosts=("taxi",),
    )
    with pytest.raises(RefusedError, match="not sticky"):
        revision_for("anna", value)
