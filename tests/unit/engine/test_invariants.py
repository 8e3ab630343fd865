"""Each invariant can fail: a state that breaks it is caught by name."""

from dataclasses import replace

import pytest
from tests.unit.engine.driver import BASE, V1, V2

from sluice.engine.invariants import check
from sluice.engine.state import Mode, State
from sluice.errors import InvariantError
from sluice.nouns import Arm, Purpose, Routing

GOOD = State(
    release="taxi",
    at_ms=5,
    mode=Mode.RUNNING,
    plan=BASE,
    stable=V1,
    candidates=(("candidate", V2),),
    pass_number=2,
    ready=((V1, 2), (V2, 2)),
    sizes=((V1, 2), (V2, 2)),
    generation=3,
    acknowledged=3,
    routing=Routing(
        release="taxi",
        generation=3,
        hosts=("taxi",),
        arms=(Arm(revision=V2, weight_bp=500), Arm(revision=V1, weight_bp=9_500)),
    ),
)


def routed(*arms: Arm) -> Routing:
    assert GOOD.routing is not None
    return replace(GOOD.routing, arms=arms)


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        pytest.param(replace(GOOD, at_ms=4), "counters_grow", id="time-goes-back"),
        pytest.param(replace(GOOD, generation=2), "counters_grow", id="generation-goes-back"),
        pytest.param(replace(GOOD, acknowledged=9), "counters_grow", id="acknowledged-ahead"),
        pytest.param(
            replace(GOOD, ready=((V1, 2), (V2, 0))),
            "no_traffic_without_hosts",
            id="weight-without-hosts",
        ),
        pytest.param(
            replace(GOOD, routing=routed(Arm(revision=V2, weight_bp=10_000))),
            "only_promotion_reaches_all",
            id="all-to-a-candidate",
        ),
        pytest.param(
            replace(GOOD, mode=Mode.ABORTED), "aborted_has_no_weight", id="aborted-with-weight"
        ),
        pytest.param(
            replace(
                GOOD,
                routing=routed(
                    Arm(revision=V2, weight_bp=500),
                    Arm(revision=V1, weight_bp=9_500),
                    Arm(revision=V2, purpose=Purpose.MIRROR, weight_bp=100),
                ),
            ),
            "mirror_never_answers",
            id="mirror-and-live",
        ),
        pytest.param(
            replace(GOOD, sizes=((V1, 1), (V2, 2))),
            "traffic_leaves_before_replicas",
            id="shrinks-under-traffic",
        ),
        pytest.param(
            replace(
                GOOD,
                acknowledged=2,
                sizes=((V1, 2),),
                routing=routed(Arm(revision=V1, weight_bp=10_000)),
            ),
            "traffic_leaves_before_replicas",
            id="shrinks-before-acknowledged",
        ),
    ],
)
def test_a_state_that_breaks_a_rule_is_caught_by_its_name(bad: State, rule: str) -> None:
    before = replace(GOOD, acknowledged=min(GOOD.acknowledged, bad.acknowledged))
    with pytest.raises(InvariantError, match=rule):
        check(before, bad)


def test_a_good_state_breaks_no_rule() -> None:
    check(GOOD, GOOD)
