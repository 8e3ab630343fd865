"""srm on requests: a router that shares them otherwise than it was told."""

from dataclasses import dataclass, field
from random import Random

import pytest
from tests.unit.analysis.traffic import CANDIDATE, CONFIG, STABLE, binomial

from sluice.analysis import AnalysisState, Poll, Split, observe, start
from sluice.nouns import ArmCounts, Counts, Purpose, RevisionId, Snapshot, Verdict, VerdictKind


@dataclass(kw_only=True)
class Pass:
    """A canary at a weight, over a router that may not keep to it."""

    sent: dict[RevisionId, int] = field(default_factory=lambda: {CANDIDATE: 0, STABLE: 0})
    bad: dict[RevisionId, int] = field(default_factory=lambda: {CANDIDATE: 0, STABLE: 0})
    active: dict[RevisionId, int] = field(default_factory=lambda: {CANDIDATE: 0, STABLE: 0})
    state: AnalysisState = field(default_factory=lambda: start(CONFIG, ()))
    now_ms: int = 0
    generation: int = 7
    weight_bp: int = 1_000
    random: Random = field(default_factory=lambda: Random(1))

    def look(
        self, requests: int, *, share: float, bad: float = 0.0, after_ms: int = 1_000,
        split: bool = True,
    ) -> Verdict:  # fmt: skip
        self.now_ms += after_ms
        ours = binomial(self.random, requests, share)
        self.sent[CANDIDATE] += ours
        self.sent[STABLE] += requests - ours
        self.bad[CANDIDATE] += binomial(self.random, ours, bad)
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=Purpose.LIVE,
                counts=Counts(total=n - self.active[revision], errors=self.bad[revision]),
                active=self.active[revision],
            )
            for revision, n in self.sent.items()
        )
        shares = ((CANDIDATE, self.weight_bp), (STABLE, 10_000 - self.weight_bp))
        self.state, verdict = observe(
            CONFIG,
            self.state,
            Poll(
                taken_ms=self.now_ms,
                snapshots=(Snapshot(router="r1", epoch="e1", taken_ms=self.now_ms, arms=arms),),
                candidate=CANDIDATE,
                stable=STABLE,
                split=Split(generation=self.generation, shares=shares) if split else None,
            ),
        )
        return verdict


def test_a_router_that_sends_twice_as_much_makes_comparisons_invalid() -> None:
    canary = Pass()
    kinds = [canary.look(1_000, share=0.2).kind for _ in range(8)]
    assert kinds[-1] is VerdictKind.INVALID
    verdict = canary.look(1_000, share=0.2)
    assert "requests are not shared as routed: v2 got " in verdict.reason
    assert verdict.reason.endswith("at a weight of 10%; only slo judges")
    by_name = {check.check: check.kind for check in verdict.checks}
    assert by_name["srm"] is VerdictKind.INVALID
    assert by_name["regression"] is VerdictKind.INVALID
    assert by_name["non-inferiority"] is VerdictKind.INVALID
    assert by_name["client-errors"] is VerdictKind.INVALID
    assert by_name["slo"] is VerdictKind.INCONCLUSIVE


def test_a_dead_candidate_behind_a_misweighted_router_still_fails_by_slo() -> None:
    canary = Pass()
    for _ in range(10):
        canary.look(1_000, share=0.2)
    verdict = canary.look(1_000, share=0.2, bad=1.0)
    assert verdict.kind is VerdictKind.FAILED


def test_comparisons_alone_do_not_fail_while_shares_are_wrong() -> None:
    canary = Pass()
    for _ in range(10):
        canary.look(1_000, share=0.2)
    before = canary.state.objectives[0].regression
    for _ in range(5):
        verdict = canary.look(1_000, share=0.2, bad=0.008)  # inside the SLO of 1%, stable has none
    assert verdict.kind is VerdictKind.INVALID
    assert canary.state.objectives[0].regression == before


def test_shares_as_routed_are_never_called_wrong() -> None:
    for seed in range(10):
        canary = Pass(random=Random(seed))
        kinds = {canary.look(300, share=0.1).kind for _ in range(60)}
        assert VerdictKind.INVALID not in kinds


def test_the_mismatch_is_over_with_a_generation_that_is_kept_to() -> None:
    canary = Pass()
    for _ in range(10):
        canary.look(1_000, share=0.2)
    canary.generation, canary.weight_bp = 8, 2_500
    assert canary.look(1_000, share=0.2).kind is VerdictKind.INVALID  # it changed on the way
    for _ in range(3):
        verdict = canary.look(1_000, share=0.25)
    assert verdict.kind is not VerdictKind.INVALID


def test_a_poll_in_which_the_generation_changed_is_not_scored() -> None:
    canary = Pass()
    canary.look(1_000, share=0.1)
    for k in range(20):
        canary.generation = 10 + k
        verdict = canary.look(1_000, share=0.9)
    assert verdict.kind is not VerdictKind.INVALID


def test_sticky_users_and_unsettled_routers_are_not_scored() -> None:
    canary = Pass()
    kinds = {canary.look(1_000, share=0.5, split=False).kind for _ in range(10)}
    assert VerdictKind.INVALID not in kinds


def test_a_gap_in_which_a_lease_may_have_ended_is_not_scored() -> None:
    canary = Pass()
    canary.look(1_000, share=0.1)
    verdict = canary.look(20_000, share=0.0, after_ms=40_000)
    assert verdict.kind is not VerdictKind.INVALID


def test_requests_that_still_run_count_as_sent() -> None:
    canary = Pass()
    canary.look(1_000, share=0.1)
    for k in range(1, 15):
        canary.active[CANDIDATE] = 100 * k  # none of the candidate's ever ends
        verdict = canary.look(1_000, share=0.1)
    assert verdict.kind is not VerdictKind.INVALID
    canary.active[CANDIDATE] = 0
    assert canary.look(1_000, share=0.1).kind is not VerdictKind.INVALID


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_telemetry_that_is_lost_for_one_arm_is_seen(share: float) -> None:
    canary = Pass()
    kinds = [canary.look(500, share=share).kind for _ in range(12)]
    assert VerdictKind.INVALID in kinds
