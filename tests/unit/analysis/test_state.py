"""What is remembered between polls, and what cannot be configured."""

import json
from dataclasses import replace

import pytest
from tests.unit.analysis.traffic import (
    AVAILABILITY,
    CANDIDATE,
    CONFIG,
    LATENCY,
    STABLE,
    Router,
    poll,
)

from sluice.analysis import from_json, observe, start, to_json
from sluice.errors import InvariantError, StateError

BOTH = replace(CONFIG, objectives=(AVAILABILITY, LATENCY))


def test_the_state_survives_json_exactly() -> None:
    router, state = Router(), start(BOTH, ())
    for k in range(30):
        router.serve(CANDIDATE, 13, k % 3 == 0, slow=k % 2)
        router.serve(STABLE, 87, k % 5 == 0, slow=1)
        state, _ = observe(BOTH, state, poll(router))
    assert from_json(json.loads(json.dumps(to_json(state)))) == state


def test_the_state_of_a_large_release_stays_below_16_kib() -> None:
    config = replace(
        CONFIG, objectives=tuple(replace(LATENCY, name=f"latency-{k}") for k in range(6))
    )
    routers = [
        Router(name=f"sluice-router-7f9c4d5b6-{k:05}", epoch="1763739512") for k in range(20)
    ]
    for router in routers:
        router.serve(CANDIDATE, 123_456, 1_234, slow=1_234)
        router.serve(STABLE, 1_234_567, 12_345, slow=12_345)
    state, _ = observe(config, start(config, ()), poll(*routers))
    assert len(json.dumps(to_json(state))) < 16 * 1024


def test_a_record_that_is_not_ours_is_refused() -> None:
    record = to_json(start(CONFIG, ()))
    with pytest.raises(StateError, match="format 1"):
        from_json({**record, "format": 1})
    with pytest.raises(StateError, match="cannot be read"):
        from_json({**record, "objectives": [{}]})


def test_a_state_of_other_objectives_is_refused() -> None:
    with pytest.raises(InvariantError, match="other objectives"):
        observe(BOTH, start(CONFIG, ()), poll(Router()))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"alpha": 0.0}, id="alpha"),
        pytest.param({"beta": 1.0}, id="beta"),
        pytest.param({"gamma0": 0.0}, id="gamma0"),
        pytest.param({"polls": 0}, id="polls"),
        pytest.param({"slo_weight": 0.0}, id="weights"),
        pytest.param({"objectives": (replace(AVAILABILITY, target=1.0),)}, id="target"),
        pytest.param({"objectives": (replace(AVAILABILITY, weight=0.0),)}, id="all-weights-zero"),
        pytest.param({"objectives": (replace(LATENCY, threshold_ms=299),)}, id="off-grid"),
        pytest.param({"objectives": (replace(AVAILABILITY, pass_ratio=1.0),)}, id="pass-ratio"),
        pytest.param({"objectives": (replace(AVAILABILITY, pass_budget=0.0),)}, id="pass-budget"),
    ],
)
def test_a_configuration_that_proves_nothing_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(InvariantError):
        replace(CONFIG, **fault)  # type: ignore[arg-type]  # one wrong field at a time
