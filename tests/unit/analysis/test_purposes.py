"""One state over a pass whose stages judge other requests: mirrored, preview, live."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from tests.unit.analysis.traffic import AVAILABILITY, CANDIDATE, CONFIG, STABLE

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, observe, start
from sluice.nouns import ArmCounts, Counts, Purpose, RevisionId, Snapshot, Verdict, VerdictKind

Arm = tuple[RevisionId, Purpose]
LIVE, MIRROR, PREVIEW = Purpose.LIVE, Purpose.MIRROR, Purpose.PREVIEW


@dataclass(kw_only=True)
class Router:
    """Counts by revision and purpose, and a pass over them."""

    config: AnalysisConfig = CONFIG
    epoch: str = "e1"
    counts: dict[Arm, Counts] = field(default_factory=dict)
    extra: dict[RevisionId, tuple[int, int]] = field(default_factory=dict)
    state: AnalysisState = field(init=False)
    now_ms: int = 0

    def __post_init__(self) -> None:
        self.state = start(self.config, ())

    def serve(
        self, revision: RevisionId, purpose: Purpose, n: int, bad: int, refused: int = 0
    ) -> None:
        known = self.counts.get((revision, purpose), Counts())
        self.counts[revision, purpose] = known + Counts(total=n, errors=bad, client_errors=refused)

    def restart(self, epoch: str) -> None:
        self.epoch, self.counts = epoch, {}

    def look(self, purpose: Purpose, *, stable: bool = True) -> Verdict:
        self.now_ms += 1_000
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=kind,
                counts=counts,
                extra={"fares": self.extra[revision]} if revision in self.extra else {},
            )
            for (revision, kind), counts in self.counts.items()
        )
        poll = Poll(
            taken_ms=self.now_ms,
            snapshots=(Snapshot(router="r1", epoch=self.epoch, taken_ms=self.now_ms, arms=arms),),
            candidate=CANDIDATE,
            stable=STABLE if stable else None,
            purpose=purpose,
        )
        self.state, verdict = observe(self.config, self.state, poll)
        return verdict


def polls(router: Router, purpose: Purpose, batches: Iterable[tuple[int, int]]) -> list[Verdict]:
    found = []
    for n, bad in batches:
        router.serve(CANDIDATE, purpose, n, bad)
        router.serve(STABLE, LIVE, 900, 1)
        found.append(router.look(purpose))
    return found


def test_a_shadow_is_judged_by_its_mirrored_requests() -> None:
    router = Router()
    (verdict,) = polls(router, MIRROR, [(100, 60)])
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.harmed == 0
    assert [check.check for check in verdict.checks] == ["slo"]
    assert verdict.evidence[0].n_candidate == 100


def test_mirrored_requests_are_not_compared_and_never_pass() -> None:
    router = Router()
    found = polls(router, MIRROR, [(1_000, 0)] * 20)
    assert {verdict.kind for verdict in found} == {VerdictKind.INCONCLUSIVE}
    assert "mirrored requests: only slo judges" in found[-1].reason
    known = router.state.objectives[0]
    assert (known.regression.used, known.ratio.used, known.budget.used) == (0, 0, 0)


def test_an_incident_of_stable_spares_its_shadow() -> None:
    router = Router()
    for k in range(60):
        bad = 30 if k >= 10 else 0
        router.serve(CANDIDATE, MIRROR, 10, 3 if bad else 0)
        router.serve(STABLE, LIVE, 90, bad)
        verdict = router.look(MIRROR)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert router.state.objectives[0].slo.used <= 11


def test_a_new_stage_counts_nothing_twice_and_keeps_its_evidence() -> None:
    router = Router()
    polls(router, MIRROR, [(50, 1)] * 4)
    before = router.state.objectives[0].slo
    assert before.requests == 200
    # Mirrored requests that end late belong to no live batch.
    router.serve(CANDIDATE, MIRROR, 7, 7)
    (verdict,) = polls(router, LIVE, [(10, 0)])
    after = router.state.objectives[0]
    assert after.slo.requests == 210
    assert after.slo.used == before.used + 1
    assert (verdict.evidence[0].n_candidate, verdict.evidence[0].bad_candidate) == (10, 0)
    assert verdict.harmed == 0
    (verdict,) = polls(router, LIVE, [(10, 2)])
    assert (verdict.evidence[0].n_candidate, verdict.harmed) == (20, 2)


def test_a_restarted_router_loses_and_repeats_nothing_over_a_change_of_stage() -> None:
    router = Router()
    polls(router, MIRROR, [(50, 0)] * 2)
    router.restart("e2")
    polls(router, MIRROR, [(30, 0)])
    assert router.state.objectives[0].slo.requests == 130
    router.restart("e3")
    (verdict,) = polls(router, LIVE, [(20, 1)])
    assert (verdict.evidence[0].n_candidate, verdict.evidence[0].bad_candidate) == (20, 1)
    assert router.state.objectives[0].slo.requests == 150


def test_a_preview_is_judged_by_slo_alone_and_harms_nobody() -> None:
    router = Router()
    (verdict,) = polls(router, PREVIEW, [(20, 20)])
    assert (verdict.kind, verdict.harmed) == (VerdictKind.FAILED, 0)


def test_alpha_is_one_over_all_stages() -> None:
    """Half of the evidence from the shadow, half from live requests: together they fail it."""
    router = Router()
    found = polls(router, MIRROR, [(60, 6)])
    assert found[-1].kind is VerdictKind.INCONCLUSIVE
    found = polls(router, LIVE, [(60, 4)])
    assert found[-1].kind is VerdictKind.FAILED
    assert polls(Router(), LIVE, [(60, 4)])[-1].kind is VerdictKind.INCONCLUSIVE


# --- 4xx ---------------------------------------------------------------------------------------


def test_a_candidate_that_refuses_what_stable_takes_fails() -> None:
    router = Router()
    router.serve(CANDIDATE, LIVE, 40, 0, refused=30)
    router.serve(STABLE, LIVE, 360, 0, refused=4)
    verdict = router.look(LIVE)
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reason.startswith("candidate answers 4xx to 75% of 40 requests (stable 1.1%)")


def test_clients_that_err_alike_with_both_are_nobodys_fault() -> None:
    router = Router()
    for _ in range(50):
        router.serve(CANDIDATE, LIVE, 10, 0, refused=4)
        router.serve(STABLE, LIVE, 90, 0, refused=36)
        verdict = router.look(LIVE)
    assert verdict.kind is not VerdictKind.FAILED


def test_the_comparison_of_4xx_can_be_switched_off() -> None:
    router = Router(config=replace(CONFIG, compare_client_errors=False))
    router.serve(CANDIDATE, LIVE, 40, 0, refused=30)
    router.serve(STABLE, LIVE, 360, 0, refused=4)
    verdict = router.look(LIVE)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "client-errors" not in {check.check for check in verdict.checks}


# --- budgets, dry runs, queries ------------------------------------------------------------------


def test_a_spent_harm_budget_fails_whatever_the_checks_say() -> None:
    router = Router(config=replace(CONFIG, max_harmed=3))
    found = polls(router, LIVE, [(1_000, 1), (1_000, 2), (1_000, 1)])
    assert found[1].kind is not VerdictKind.FAILED
    assert (found[2].kind, found[2].cause) == (VerdictKind.FAILED, "HarmBudgetSpent")
    assert found[2].reason == "users saw 4 bad answers of the candidate, more than maxHarmed 3"


def test_mirrored_failures_spend_no_harm_budget() -> None:
    router = Router(config=replace(CONFIG, max_harmed=0))
    found = polls(router, MIRROR, [(1_000, 1)])
    assert found[-1].kind is VerdictKind.INCONCLUSIVE


STRICT = replace(AVAILABILITY, name="strict", target=0.9999, dry_run=True)


def test_a_dry_run_is_judged_and_shown_and_does_nothing() -> None:
    alone = replace(CONFIG, comparisons=False)
    router = Router(config=replace(alone, objectives=(AVAILABILITY, STRICT)))
    plain = Router(config=alone)
    batches = [(1_000, 4)] * 8
    found, expected = polls(router, LIVE, batches), polls(plain, LIVE, batches)
    assert [verdict.kind for verdict in found] == [verdict.kind for verdict in expected]
    assert found[-1].log_e == expected[-1].log_e
    checks = {(c.check, c.objective): c for c in found[-1].checks}
    assert checks["slo", "strict"].kind is VerdictKind.FAILED
    assert checks["slo", "strict"].weight == 0.0
    assert found[-1].warnings == (
        "dry run: strict would have turned the candidate back: it fails 0.4% of 8,000 requests "
        "(stable 0.11%)",
    )
    assert [known.acts for known in found[-1].evidence] == [True, False]


def test_a_policy_of_dry_runs_alone_never_acts() -> None:
    router = Router(config=replace(CONFIG, objectives=(STRICT,), latency_order=False))
    found = polls(router, LIVE, [(100, 100)])
    assert found[-1].kind is VerdictKind.INCONCLUSIVE
    assert found[-1].harmed == 0


FARES = replace(AVAILABILITY, name="fares", kind="query")


def test_a_query_objective_counts_what_came_with_the_snapshot() -> None:
    router = Router(config=replace(CONFIG, objectives=(FARES,)))
    router.extra = {CANDIDATE: (50, 25), STABLE: (450, 1)}
    (verdict,) = polls(router, LIVE, [(60, 0)])
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.reason.startswith("candidate is bad by fares in 50% of 50 events")
    assert verdict.harmed == 0


def test_events_that_others_count_may_begin_again_at_zero() -> None:
    router = Router(config=replace(CONFIG, objectives=(FARES,)))
    router.extra = {CANDIDATE: (50, 1), STABLE: (450, 1)}
    polls(router, LIVE, [(60, 0)])
    router.extra = {CANDIDATE: (8, 0), STABLE: (460, 1)}
    (verdict,) = polls(router, LIVE, [(60, 0)])
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.evidence[0].n_candidate == 58


@pytest.mark.parametrize("purpose", [MIRROR, PREVIEW, Purpose.FORCED])
def test_nothing_yet_says_of_which_requests(purpose: Purpose) -> None:
    verdict = Router().look(purpose)
    word = {"mirror": "mirrored", "preview": "preview", "forced": "forced"}[purpose]
    assert verdict.reason == f"no {word} candidate requests yet"
