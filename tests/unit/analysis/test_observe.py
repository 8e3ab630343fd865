"""What one pass says, poll by poll."""

import json
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
from sluice.errors import InvariantError, StateError
from sluice.nouns import Purpose, RevisionId, Verdict, VerdictKind

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
    ]


def test_the_average_of_the_checks_decides_with_their_weights() -> None:
    _, (verdict,) = run(CONFIG, [(60, 4, 540, 3)])
    slo, regression = check(verdict, "slo"), check(verdict, "regression")
    assert exp(verdict.log_e) == pytest.approx(0.3 * exp(slo) + 0.7 * exp(regression))
    assert sum(c.weight for c in verdict.checks) == pytest.approx(1.0)
    assert verdict.log_threshold == pytest.approx(log(1_000))


def test_objectives_share_the_average_by_their_weights() -> None:
    config = replace(BOTH, objectives=(replace(AVAILABILITY, weight=3.0), LATENCY))
    _, (verdict,) = run(config, [(60, 4, 540, 3)])
    weights = {(c.check, c.objective): c.weight for c in verdict.checks}
    assert weights["regression", "availability"] == pytest.approx(0.75 * 0.7)
    assert weights["slo", "latency"] == pytest.approx(0.25 * 0.3)


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
    assert 35 <= state.objectives[0].slo.used <= 40
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
    assert after.checks[0].weight == pytest.approx(0.3)


def test_only_live_requests_are_judged() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 100, 100)
    snapshots = tuple(
        router.snapshot(purpose) for purpose in (Purpose.FORCED, Purpose.PREVIEW, Purpose.MIRROR)
    )
    asked = replace(poll(router), snapshots=snapshots)
    _, verdict = observe(CONFIG, state, asked)
    assert verdict.requests == 0
    assert verdict.kind is VerdictKind.INCONCLUSIVE


def test_counters_before_the_pass_do_not_count() -> None:
    router = Router()
    router.serve(CANDIDATE, 100, 100)
    state = start(CONFIG, (router.snapshot(),))
    router.serve(CANDIDATE, 10, 0)
    _, verdict = observe(CONFIG, state, poll(router))
    assert (verdict.evidence[0].n_candidate, verdict.evidence[0].bad_candidate) == (10, 0)


def test_routers_are_summed_and_a_silent_one_is_made_up_for_later() -> None:
    one, two = Router(name="r1"), Router(name="r2")
    state = start(CONFIG, (one.snapshot(), two.snapshot()))
    for router in (one, two):
        router.serve(CANDIDATE, 10, 1)
        router.serve(STABLE, 90, 0)
    state, verdict = observe(CONFIG, state, poll(one))
    assert verdict.evidence[0].n_candidate == 10
    _, verdict = observe(CONFIG, state, poll(one, two))
    assert verdict.evidence[0].n_candidate == 20
    assert verdict.evidence[0].bad_candidate == 2


def test_a_new_epoch_starts_again_at_zero() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 100, 1)
    router.serve(STABLE, 900, 1)
    state, _ = observe(CONFIG, state, poll(router))
    router.restart("e2")
    router.serve(CANDIDATE, 7, 0)
    state, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.evidence[0].n_candidate == 107


def test_counters_that_went_backwards_hold_and_the_next_good_poll_continues() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 100, 1)
    router.serve(STABLE, 900, 1)
    state, good = observe(CONFIG, state, poll(router))
    backwards = Router()
    backwards.serve(CANDIDATE, 50, 0)
    after, verdict = observe(CONFIG, state, poll(backwards))
    assert verdict.kind is VerdictKind.ERROR
    assert "went backwards in epoch e1" in verdict.reason
    assert after is state
    assert verdict.log_e == good.log_e
    router.serve(CANDIDATE, 100, 0)
    _, verdict = observe(CONFIG, after, poll(router))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.evidence[0].n_candidate == 200


def test_impossible_counts_hold() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 10, 11)
    after, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.ERROR
    assert "impossible counts" in verdict.reason
    assert after is state


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


def test_shielded_failures_count_against_the_candidate_but_harm_nobody() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 10, 10)
    router.shielded = 8
    state, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.harmed == 2
    router.serve(CANDIDATE, 1, 1)
    router.shielded = 11
    _, verdict = observe(CONFIG, state, poll(router))
    assert verdict.harmed == 0


def test_a_poll_without_requests_changes_no_evidence() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(CANDIDATE, 100, 2)
    router.serve(STABLE, 900, 1)
    state, _ = observe(CONFIG, state, poll(router))
    after, _ = observe(CONFIG, state, poll(router, at_ms=5_000))
    before, now = state.objectives[0], after.objectives[0]
    assert (now.slo, now.regression, now.ratio, now.budget) == (
        before.slo,
        before.regression,
        before.ratio,
        before.budget,
    )


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
    with pytest.raises(StateError, match="format 2"):
        from_json({**record, "format": 2})
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
        pytest.param({"objectives": (replace(AVAILABILITY, pass_ratio=1.0),)}, id="pass-ratio"),
        pytest.param({"objectives": (replace(AVAILABILITY, pass_budget=0.0),)}, id="pass-budget"),
    ],
)
def test_a_configuration_that_proves_nothing_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(InvariantError):
        replace(CONFIG, **fault)  # type: ignore[arg-type]  # one wrong field at a time


def test_an_objective_of_no_weight_still_has_to_pass() -> None:
    config = AnalysisConfig(
        objectives=(AVAILABILITY, replace(AVAILABILITY, name="other", weight=0.0)), polls=100
    )
    _, (verdict,) = run(config, [(10, 10, 90, 0)])
    assert verdict.kind is VerdictKind.FAILED


def test_revisions_of_no_role_are_not_looked_at() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(RevisionId("v0"), 10, 11)
    _, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
