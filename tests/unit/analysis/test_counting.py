"""What counts: revisions, purposes, routers and their restarts."""

from dataclasses import replace

from tests.unit.analysis.traffic import (
    CANDIDATE,
    CONFIG,
    STABLE,
    Router,
    poll,
)

from sluice.analysis import observe, start
from sluice.nouns import Purpose, RevisionId, VerdictKind


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


def test_revisions_of_no_role_are_not_looked_at() -> None:
    router, state = Router(), start(CONFIG, ())
    router.serve(RevisionId("v0"), 10, 11)
    _, verdict = observe(CONFIG, state, poll(router))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
