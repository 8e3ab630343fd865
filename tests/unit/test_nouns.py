import pytest

from sluice.errors import InvariantError
from sluice.nouns import Arm, Counts, Match, Purpose, RevisionId, Routing

V1, V2 = RevisionId("v1"), RevisionId("v2")


def routing(*weights: tuple[RevisionId, int]) -> Routing:
    arms = tuple(Arm(revision=revision, weight_bp=weight) for revision, weight in weights)
    return Routing(release="taxi", generation=1, arms=arms, hosts=("taxi",))


def test_live_weights_that_do_not_sum_to_the_whole_are_refused() -> None:
    with pytest.raises(InvariantError, match="9999 bp"):
        routing((V2, 999), (V1, 9_000))


def test_the_last_live_arm_is_where_traffic_falls_back_to() -> None:
    value = routing((V2, 1_000), (V1, 9_000))
    assert value.fallback == V1
    assert value.weight_bp(V2) == 1_000
    assert value.weight_bp(RevisionId("v3")) == 0


def test_a_forced_arm_without_a_header_is_refused() -> None:
    with pytest.raises(InvariantError, match="needs a header"):
        Arm(revision=V2, purpose=Purpose.FORCED)
    Arm(revision=V2, purpose=Purpose.FORCED, match=Match(header="x-arm", value="v2"))


def test_counts_that_went_backwards_are_not_plausible() -> None:
    before = Counts(total=10, errors=1, timed=10, slow=(3, 1))
    after = Counts(total=12, errors=0, timed=12, slow=(4, 1))
    assert not (after - before).plausible
    assert (after - Counts(total=5, timed=5, slow=(1, 0))).plausible
