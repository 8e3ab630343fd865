"""What one pass says, poll by poll."""

from dataclasses import replace
from math import exp, inf, log

import pytest
from tests.unit.analysis.traffic import (
    AVAILABILITY,
    CANDIDATE,
    CONFIG,
    LATENCY,
    STABLE,
    Router,
    poll,
    run,
)

from sluice.analysis import AnalysisConfig, Poll, from_json, observe, start, to_json
from sluice.nouns import Verdict, VerdictKind

BOTH = replace(CONFIG, objectives=(AVAILABILITY, LATENCY))


def check(verdict: Verdict, name: str, objective: str = "availability") -> float:
    (found,) = [c for c in verdict.checks if (c.check, c.objective) == (name, objective)]
    return found.log_e


def test_no_data_at_all_is_inconclusive() -> None:
    _, (verdict,) = run(CONFIG, [(0, 0, 500, 2)])
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.reason == "no candidate requests yet"
    assert verdict.evidence[0].upper == 1.0
    assert verdict.log_e == pytest.approx(0.0, abs=1e-12)


def test_no_objective_never_passes() -> None:
    config = replace(CONFIG, objectives=())
    _, verdicts = run(config, [(1_000, 0, 9_000, 0)] * 10)
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.INCONCLUSIVE}


def test_a_dead_candidate_fails_at_its_first_few_requests() -> None:
    _, verdicts = run(CONFIG, [(1, 1, 9, 0)] * 5)
    assert [verdict.kind for verdict in verdicts].index(VerdictKind.FAILED) <= 2
    assert verdicts[-1].harmed == 5
    assert verdicts[-1].requests == 5


def test_a_regression_fails_with_a_reason_that_a_person_understands() -> None:
    _, verdicts = run(CONFIG, [(187, 10, 1_683, 8)])
    (verdict,) = verdicts
    assert verdict.kind is VerdictKind.FAILED
    e_value = f"{exp(verdict.log_e):,.0f}"
    assert verdict.reason == (
        f"candidate fails 5.3% of 187 requests (stable 0.48%): e-value {e_value} >= 1,000"
    )


def test_the_rules_say_their_numbers() -> None:
    _, (verdict,) = run(CONFIG, [(100, 0, 900, 1)])
    assert [c.rule.split(":")[0] for c in verdict.checks] == [
        "bad rate at most 1%",
        "bad rate at most 1.1 x stable's",
        "bad rate below 2 x stable's or below 0.5%",
        "answers as fast as stable's or one bucket slower",
        "4xx at most 1.1 x stable's",
    ]


def test_the_average_of_the_checks_decides_with_their_weights() -> None:
    _, (verdict,) = run(CONFIG, [(60, 4, 540, 3)])
    slo, regression = check(verdict, "slo"), check(verdict, "regression")
    order, clients = (
        check(verdict, "latency-order", "latency"),
        check(verdict, "client-errors", "4xx"),
    )
    parts = ((0.2, slo), (0.65, regression), (0.1, order), (0.05, clients))
    assert exp(verdict.log_e) == pytest.approx(sum(share * exp(e) for share, e in parts))
    assert sum(c.weight for c in verdict.checks) == pytest.approx(1.0)
    assert verdict.log_threshold == pytest.approx(log(1_000))


def test_objectives_share_the_average_by_their_weights() -> None:
    config = replace(BOTH, objectives=(replace(AVAILABILITY, weight=3.0), LATENCY))
    _, (verdict,) = run(config, [(60, 4, 540, 3)])
    weights = {(c.check, c.objective): c.weight for c in verdict.checks}
    assert weights["regression", "availability"] == pytest.approx(0.75 * 0.65)
    assert weights["slo", "latency"] == pytest.approx(0.25 * 0.2)


def test_once_failed_stays_failed() -> None:
    batches = [(5, 5, 45, 0), *[(500, 0, 4_500, 5)] * 20]
    state, verdicts = run(CONFIG, batches)
    assert verdicts[0].kind is VerdictKind.FAILED
    assert verdicts[-1].log_e < log(1_000)
    assert verdicts[-1].kind is VerdictKind.FAILED
    assert "had reached 1,000" in verdicts[-1].reason
    assert from_json(to_json(state)).peak == state.peak


def test_a_failed_check_is_named_and_its_p_value_is_the_least_so_far() -> None:
    _, verdicts = run(CONFIG, [(20, 5, 180, 0), (500, 0, 4_500, 5)])
    failed = [c for c in verdicts[0].checks if c.kind is VerdictKind.FAILED]
    assert {c.check for c in failed} == {"slo", "regression"}
    for now, later in zip(verdicts[0].checks[:2], verdicts[1].checks[:2], strict=True):
        assert now.p_value == pytest.approx(exp(-now.log_e))
        assert later.p_value == now.p_value


def test_an_equal_candidate_passes_by_its_share_of_the_budget() -> None:
    _, verdicts = run(CONFIG, [(100, 0, 900, 1)] * 12)
    kinds = [verdict.kind for verdict in verdicts]
    assert kinds[-1] is VerdictKind.PASSED
    assert 7 <= kinds.index(VerdictKind.PASSED) + 1 <= 11  # 736 requests at the very least
    assert verdicts[-1].reason.startswith("candidate is no worse: fails 0% of 1,200 requests")


def test_a_candidate_without_any_error_passes_when_stable_has_none_either() -> None:
    _, verdicts = run(CONFIG, [(100, 0, 900, 0)] * 12)
    assert verdicts[-1].kind is VerdictKind.PASSED


def test_an_equal_candidate_passes_by_the_ratio_where_the_budget_is_spent() -> None:
    _, verdicts = run(CONFIG, [(1_000, 9, 1_000, 9)] * 10)
    assert verdicts[-1].kind is VerdictKind.PASSED
    proof = verdicts[-1].checks[2]
    assert proof.check == "non-inferiority"
    assert proof.log_e >= log(40)
    assert proof.p_value <= 0.05


def test_the_budget_alone_proves_nothing_while_regression_leans_to_failure() -> None:
    # 0.2% against 0.08%: well inside half of the budget, but above 1.1 times stable.
    batches = [(1_000, 2, 9_000, 7)] * 6
    state, verdicts = run(CONFIG, batches)
    assert state.objectives[0].budget.log_e > log(40)
    assert state.objectives[0].regression.log_e > 0.0
    assert verdicts[-1].kind is VerdictKind.INCONCLUSIVE


def test_pass_can_be_taken_back_by_a_fault_that_begins_later() -> None:
    _, verdicts = run(CONFIG, [*[(100, 0, 900, 1)] * 12, (100, 4, 900, 1)])
    assert verdicts[-2].kind is VerdictKind.PASSED
    assert verdicts[-1].kind is not VerdictKind.PASSED


def test_every_objective_must_be_proven() -> None:
    router, state = Router(), start(BOTH, ())
    kinds = []
    for _ in range(12):
        router.serve(CANDIDATE, 100, 0, slow=1)
        router.serve(STABLE, 900, 1, slow=9)
        state, verdict = observe(BOTH, state, poll(router))
        kinds.append(verdict.kind)
    assert VerdictKind.PASSED not in kinds
    assert "slower than 300 ms in" in verdict.reason


def test_slow_answers_fail_a_latency_objective() -> None:
    router, state = Router(), start(BOTH, ())
    router.serve(CANDIDATE, 100, 0, slow=20)
    router.serve(STABLE, 900, 1, slow=5)
    _, verdict = observe(BOTH, state, poll(router))
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reason.startswith("candidate is slower than 300 ms in 20% of 100 requests")
    assert verdict.harmed == 20


def test_warm_up_silences_comparisons_and_pass_but_never_slo() -> None:
    state, verdicts = run(CONFIG, [(100, 0, 900, 1)] * 12, warming=True)
    assert verdicts[-1].kind is VerdictKind.INCONCLUSIVE
    assert "younger than 30 s" in verdicts[-1].reason
    assert state.objectives[0].regression.used == 0
    assert state.objectives[0].budget.used == 0
    _, verdicts = run(CONFIG, [(1, 1, 9, 0)] * 4, warming=True)
    assert verdicts[-1].kind is VerdictKind.FAILED


def test_an_endpoint_that_warms_up_late_suspends_pass() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 2_000, 0)
    router.serve(STABLE, 18_000, 18)
    state, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.PASSED
    state, verdict = observe(CONFIG, state, poll(router, warming=True))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    _, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.PASSED


def test_an_incident_that_hits_both_does_not_fail_the_candidate() -> None:
    healthy, incident = (10, 0, 90, 0), (10, 3, 90, 27)
    state, verdicts = run(CONFIG, [*[healthy] * 20, *[incident] * 60, *[healthy] * 20])
    assert {verdict.kind for verdict in verdicts} <= {VerdictKind.INCONCLUSIVE, VerdictKind.PASSED}
    assert 29 <= state.objectives[0].slo.used <= 40
    _, verdicts = run(CONFIG, [*[healthy] * 20, *[(10, 3, 90, 0)] * 6])
    assert verdicts[-1].kind is VerdictKind.FAILED


def test_after_a_switch_only_slo_judges_and_every_poll_counts() -> None:
    config = replace(CONFIG, comparisons=False)
    _, verdicts = run(config, [(100, 0, 0, 0)] * 20)
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.INCONCLUSIVE}
    assert [c.check for c in verdicts[-1].checks] == ["slo"]
    assert verdicts[-1].checks[0].weight == 1.0
    assert "nothing concurrent" in verdicts[-1].reason
    _, verdicts = run(config, [(20, 10, 20, 10)])
    assert verdicts[-1].kind is VerdictKind.FAILED


def test_a_switch_in_mid_pass_keeps_what_regression_had_found() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 50, 2)
    router.serve(STABLE, 450, 1)
    state, before = observe(CONFIG, state, poll(router))
    switched = replace(CONFIG, comparisons=False)
    router.serve(CANDIDATE, 500, 0)
    state, after = observe(switched, state, poll(router))
    assert state.objectives[0].regression.log_e == check(before, "regression")
    assert after.checks[0].weight == pytest.approx(0.2)


def test_what_could_not_be_read_is_an_error_and_changes_nothing() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 5, 0)
    state, _ = observe(CONFIG, state, poll(router))
    after, verdict = observe(CONFIG, state, poll(problem="no router answered"))
    assert verdict.kind is VerdictKind.ERROR
    assert verdict.reason == "could not measure: no router answered"
    assert after is state


def test_a_failed_check_outranks_a_poll_that_could_not_be_read() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 20, 20)
    state, _ = observe(CONFIG, state, poll(router))
    _, verdict = observe(CONFIG, state, poll(problem="no router answered"))
    assert verdict.kind is VerdictKind.FAILED


def test_a_candidate_alone_is_judged_by_slo_and_budget() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 2_000, 0)
    alone = replace(poll(router), stable=None)
    _, verdict = observe(CONFIG, state, alone)
    assert verdict.kind is VerdictKind.PASSED
    assert verdict.evidence[0].ratio_high == inf


def test_rate_and_interval_reach_the_verdict() -> None:
    asked = Poll(
        taken_ms=7,
        snapshots=(),
        candidate=CANDIDATE,
        stable=STABLE,
        rate_rps=123.0,
        interval_s=1.5,
    )
    _, verdict = observe(CONFIG, start(CONFIG, ()), asked)
    assert (verdict.taken_ms, verdict.rate_rps, verdict.interval_s) == (7, 123.0, 1.5)


def test_a_fault_that_begins_after_a_long_healthy_time_is_found_as_soon() -> None:
    healthy = [(10, 0, 90, 0) if k % 20 else (10, 1, 90, 9) for k in range(1_000)]
    found = {}
    for gamma0 in (0.7, 1.0):
        faulty = [(10, 5, 90, 0)] * 40
        _, verdicts = run(replace(CONFIG, gamma0=gamma0), [*healthy, *faulty])
        kinds = [verdict.kind for verdict in verdicts]
        assert VerdictKind.FAILED not in kinds[:1_000]
        found[gamma0] = kinds.index(VerdictKind.FAILED) - 999
    assert found[0.7] <= 3 < found[1.0]


def test_an_objective_of_no_weight_still_has_to_pass() -> None:
    config = AnalysisConfig(
        objectives=(AVAILABILITY, replace(AVAILABILITY, name="other", weight=0.0)), polls=100
    )
    _, (verdict,) = run(config, [(10, 10, 90, 0)])
    assert verdict.kind is VerdictKind.FAILED
