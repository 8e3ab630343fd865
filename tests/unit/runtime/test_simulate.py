"""The simulator runs the production core: its distributions must agree with what theory allows."""

import math
import random
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runtime.world import SETTINGS, plan
from tests.unit.spec.documents import policy, release

from sluice.engine.canary import GateStep, Pause, SetWeight
from sluice.engine.plan import Plan
from sluice.nouns import Objective
from sluice.reports.model import SimulationResult
from sluice.runtime.draws import binomial
from sluice.runtime.simulate import simulate
from sluice.spec import to_plan

SLO_99 = replace(
    SETTINGS,
    objectives=(Objective(name="availability", kind="availability", target=0.99),),
)


def _simulated(
    stable: float, candidate: float, *, runs: int = 60, seed: int = 1, **more: float
) -> SimulationResult:
    return simulate(
        plan(deadline_ms=600_000),
        SLO_99,
        stable_bad={"availability": stable},
        candidate_bad={"availability": candidate},
        rps=50,
        runs=runs,
        seed=seed,
        processes=1,
        **more,
    )


def test_same_seed_gives_the_same_result() -> None:
    assert _simulated(0.005, 0.05, runs=10) == _simulated(0.005, 0.05, runs=10)


def test_another_seed_gives_another_result() -> None:
    assert _simulated(0.005, 0.05, runs=10) != _simulated(0.005, 0.05, runs=10, seed=100)


def test_runs_are_numbered_so_that_two_halves_are_the_whole() -> None:
    whole = _simulated(0.005, 0.05, runs=10)
    halves = _simulated(0.005, 0.05, runs=5), _simulated(0.005, 0.05, runs=5, seed=6)
    assert whole.harmed == halves[0].harmed + halves[1].harmed


def test_dead_candidate_is_always_turned_back_within_the_budget() -> None:
    result = _simulated(0.005, 1.0, runs=200)
    assert result.outcomes == {"aborted": 200}
    assert fmean(result.harmed) <= 10
    assert sorted(result.harmed)[197] <= 20


def test_detection_needs_what_information_demands_and_not_much_more() -> None:
    result = _simulated(0.005, 0.05, runs=120)
    assert result.outcomes == {"aborted": 120}
    # Wald: ln(1/alpha) over the divergence from the best rate that still counts as equal.
    equal, bad = 0.005 * 1.1, 0.05
    divergence = bad * math.log(bad / equal) + (1 - bad) * math.log((1 - bad) / (1 - equal))
    limit = math.log(1 / SLO_99.alpha) / divergence
    assert limit <= fmean(result.requests_to_decision) <= 4 * limit


def test_equal_candidate_is_not_turned_back() -> None:
    result = _simulated(0.002, 0.002, runs=15)
    assert "aborted" not in result.outcomes


def test_late_fault_is_counted_from_when_it_began() -> None:
    result = simulate(
        replace(plan(deadline_ms=600_000), min_bake_ms=400_000),
        SLO_99,
        stable_bad={"availability": 0.001},
        candidate_bad={"availability": 1.0},
        rps=50,
        fault_after_s=60,
        runs=20,
        processes=1,
    )
    assert result.outcomes == {"aborted": 20}
    assert max(result.seconds_to_decision) <= 3
    assert max(result.requests_to_decision) <= 100


def test_gates_and_pauses_for_a_person_are_answered() -> None:
    steps = (SetWeight(weight_bp=3_000), GateStep(name="approve"), Pause(duration_ms=None))
    result = simulate(
        plan(*steps),
        SETTINGS,
        stable_bad={},
        candidate_bad={},
        rps=100,
        runs=3,
        processes=1,
    )
    assert result.outcomes == {"promoted": 3}
    assert result.harmed == (0, 0, 0)


@given(st.integers(0, 500), st.floats(0, 1), st.integers(0, 2**32))
def test_a_binomial_draw_lies_in_its_range(n: int, p: float, seed: int) -> None:
    draw = binomial(random.Random(seed), n, p)
    assert 0 <= draw <= n
    if p in (0.0, 1.0):
        assert draw == n * p


@pytest.mark.parametrize("p", [0.01, 0.3, 0.7])
def test_binomial_draws_have_the_right_mean_and_variance(p: float) -> None:
    source = random.Random(5)
    draws = [binomial(source, 100, p) for _ in range(4_000)]
    mean = fmean(draws)
    variance = fmean((draw - mean) ** 2 for draw in draws)
    wanted = 100 * p * (1 - p)
    assert mean == pytest.approx(100 * p, abs=4 * math.sqrt(wanted / 4_000))
    assert variance == pytest.approx(wanted, rel=0.1)


def _plan_of(**strategy: object) -> Plan:
    sticky = {"sticky": {"cookie": "uid"}}
    given = release(spec__replicas=4, spec__traffic=sticky, spec__strategy=strategy)
    rules = policy(spec__minBake="10s", spec__deadline="5m")
    return replace(to_plan(given, rules), keep_warm_ms=60_000)


GOALS = {"goals": [{"name": "tip", "kind": "binary"}], "horizon": {"users": 100}}


@pytest.mark.parametrize(
    ("strategy", "unseen"),
    [
        pytest.param({"blueGreen": {"checks": [{"http": {"path": "/"}}]}}, False, id="blue-green"),
        pytest.param({"rolling": {"pause": {"duration": "20s"}}}, False, id="rolling"),
        pytest.param({"shadow": {"percent": 50, "until": {"pairs": 200}}}, True, id="shadow"),
        pytest.param(
            {"stages": [{"shadow": {"percent": 50}}, {"canary": {}}, {"abTest": GOALS}]},
            True,
            id="stages",
        ),
    ],
)
def test_every_strategy_can_be_simulated(strategy: dict[str, object], unseen: bool) -> None:
    what = _plan_of(**strategy)
    rates = {"stable_bad": {"availability": 0.001}, "rps": 50, "runs": 5, "processes": 1}
    good = simulate(what, SLO_99, candidate_bad={"availability": 0.001}, **rates)  # type: ignore[arg-type]
    assert good.outcomes == {"promoted": 5}
    if not unseen:
        dead = simulate(what, SLO_99, candidate_bad={"availability": 1.0}, **rates)  # type: ignore[arg-type]
        assert dead.outcomes == {"aborted": 5}


def test_variants_of_a_test_have_their_shares_of_simulated_requests() -> None:
    template = release().spec.template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    variants = [
        {"name": "candidate", "weight": 20},
        {"name": "b", "weight": 20, "template": template},
    ]
    result = simulate(
        _plan_of(abTest={**GOALS, "variants": variants}),
        SLO_99,
        stable_bad={"availability": 0.0},
        candidate_bad={"availability": 1.0},
        rps=50,
        runs=5,
        processes=1,
    )
    assert set(result.outcomes) <= {"promoted", "aborted"}
    assert max(result.harmed) > 0
