"""A sick pod is replaced; a version that is bad everywhere is turned back."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from tests.unit.analysis.traffic import AVAILABILITY, CANDIDATE, CONFIG, STABLE, binomial

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, from_json, observe, start, to_json
from sluice.analysis.pods import MOST_PODS
from sluice.nouns import ArmCounts, Counts, Objective, Purpose, Snapshot, Verdict, VerdictKind

PLAIN = replace(CONFIG, latency_order=False)


@dataclass(kw_only=True)
class Fleet:
    """A candidate of several pods beside a healthy stable."""

    config: AnalysisConfig = PLAIN
    pods: dict[str, list[int]] = field(default_factory=dict)
    stable: list[int] = field(default_factory=lambda: [0, 0])
    state: AnalysisState = field(init=False)
    now_ms: int = 0
    sees_pods: bool = True

    def __post_init__(self) -> None:
        self.state = start(self.config, ())

    def poll(
        self,
        served: dict[str, tuple[int, int]],
        stable: tuple[int, int] = (90, 0),
        *,
        young: tuple[str, ...] = (),
    ) -> Verdict:
        """Requests and bad answers by pod, then a look."""
        self.now_ms += 1_000
        for name, (n, bad) in served.items():
            known = self.pods.setdefault(name, [0, 0])
            known[0] += n
            known[1] += bad
        self.stable[0] += stable[0]
        self.stable[1] += stable[1]
        endpoints = {name: Counts(total=n, errors=bad) for name, (n, bad) in self.pods.items()}
        whole = sum(endpoints.values(), Counts())
        arms = (
            ArmCounts(
                revision=CANDIDATE,
                purpose=Purpose.LIVE,
                counts=whole,
                endpoints=endpoints if self.sees_pods else {},
            ),
            ArmCounts(
                revision=STABLE,
                purpose=Purpose.LIVE,
                counts=Counts(total=self.stable[0], errors=self.stable[1]),
            ),
        )
        snapshot = Snapshot(router="r1", epoch="e1", taken_ms=self.now_ms, arms=arms)
        asked = Poll(
            taken_ms=self.now_ms,
            snapshots=(snapshot,),
            candidate=CANDIDATE,
            stable=STABLE,
            young=young,
            settled=len(self.pods) - len(young),
        )
        self.state, verdict = observe(self.config, self.state, asked)
        return verdict


def verdicts_of(fleet: Fleet, rates: dict[str, float], polls: int, seed: int) -> list[Verdict]:
    random = Random(seed)
    found = []
    for _ in range(polls):
        served = {name: (10, binomial(random, 10, rate)) for name, rate in rates.items()}
        found.append(fleet.poll(served, (270, binomial(random, 270, 0.002))))
    return found


def test_one_sick_pod_of_three_is_named_and_the_version_is_not_turned_back() -> None:
    fleet = Fleet()
    rates = {"a": 0.002, "b": 1.0, "c": 0.002}
    found = verdicts_of(fleet, rates, 3, seed=1)
    named = [verdict for verdict in found if verdict.sick]
    assert [verdict.sick for verdict in named] == ["b"]
    assert named[0].kind is VerdictKind.INCONCLUSIVE
    assert named[0].reason.startswith("replace the pod b: only it fails")
    assert VerdictKind.FAILED not in {verdict.kind for verdict in found}
    after = verdicts_of(fleet, rates, 20, seed=2)
    assert VerdictKind.FAILED not in {verdict.kind for verdict in after}
    assert after[-1].harmed >= 220  # what users saw of it counts on


def test_a_version_that_is_dead_on_every_pod_is_turned_back_within_six_requests() -> None:
    for seed in range(20):
        fleet = Fleet()
        random = Random(seed)
        kinds = []
        for _ in range(6):
            served = dict.fromkeys("abc", (0, 0)) | {random.choice("abc"): (1, 1)}
            kinds.append(fleet.poll(served, (9, 0)).kind)
        assert VerdictKind.FAILED in kinds


def test_telling_pods_apart_hardly_delays_a_bad_version() -> None:
    """5% bad on both of two pods: the requests to the verdict with and without their counters."""
    spent = {True: 0, False: 0}
    for seed in range(20):
        for sees_pods in spent:
            fleet = Fleet(sees_pods=sees_pods)
            found = verdicts_of(fleet, {"a": 0.05, "b": 0.05}, 60, seed=seed)
            kinds = [verdict.kind for verdict in found]
            spent[sees_pods] += kinds.index(VerdictKind.FAILED) + 1
    assert spent[True] <= 1.25 * spent[False]


def test_what_a_sick_pod_answered_does_not_stand_against_the_version() -> None:
    fleet = Fleet()
    fleet.poll({"a": (100, 0), "b": (100, 100), "c": (100, 0)}, (900, 1))
    assert fleet.state.sick == "b"
    known = fleet.state.objectives[0]
    assert (known.n_candidate, known.bad_candidate) == (200, 0)
    for _ in range(12):
        verdict = fleet.poll({"a": (100, 0), "c": (100, 0), "d": (100, 0)}, (900, 1))
    assert verdict.kind is VerdictKind.PASSED


def test_two_pods_are_replaced_and_the_third_counts() -> None:
    fleet = Fleet()
    found = [fleet.poll({"a": (20, 0), "b": (20, 0), "x1": (20, 20)})]
    found.append(fleet.poll({"a": (20, 0), "b": (20, 0), "x2": (20, 20)}))
    found.append(fleet.poll({"a": (20, 0), "b": (20, 0), "x3": (20, 20)}))
    assert [verdict.sick for verdict in found] == ["x1", "x2", ""]
    assert found[-1].kind is VerdictKind.FAILED


def test_a_pod_that_was_not_replaced_in_a_minute_counts_again() -> None:
    fleet = Fleet()
    served = {"a": (20, 0), "b": (20, 0), "c": (20, 20)}
    found = [fleet.poll(served) for _ in range(190)]
    named = [k for k, verdict in enumerate(found) if verdict.sick == "c"]
    failed = next(k for k, verdict in enumerate(found) if verdict.kind is VerdictKind.FAILED)
    assert len(named) == 2
    assert named[0] == 0
    assert 60 <= named[1] <= 70
    assert 120 <= failed <= 180


def test_a_single_pod_is_the_version() -> None:
    fleet = Fleet()
    assert fleet.poll({"a": (20, 20)}).kind is VerdictKind.FAILED


def test_a_pod_is_not_blamed_before_it_is_proven_worse_than_the_others() -> None:
    fleet = Fleet()
    verdict = fleet.poll({"a": (5, 5), "b": (1, 0)})
    assert (verdict.kind, verdict.sick) == (VerdictKind.INCONCLUSIVE, "")
    assert verdict.log_e < verdict.log_threshold
    assert fleet.poll({"a": (1, 1), "b": (5, 5)}).kind is VerdictKind.FAILED
    fleet = Fleet()
    fleet.poll({"a": (5, 5), "b": (1, 0)})
    assert fleet.poll({"a": (5, 5), "b": (9, 0)}).sick == "a"


def test_a_good_version_with_one_sick_pod_is_rarely_turned_back() -> None:
    failed = 0
    for seed in range(60):
        fleet = Fleet()
        found = verdicts_of(fleet, {"a": 0.004, "b": 0.5, "c": 0.004}, 15, seed=seed)
        failed += any(verdict.kind is VerdictKind.FAILED for verdict in found)
    assert failed <= 3


def test_young_pods_count_for_slo_and_not_for_comparisons() -> None:
    fleet = Fleet()
    fleet.poll({"old": (50, 0), "new": (50, 2)}, (900, 2), young=("new",))
    known = fleet.state.objectives[0]
    assert (known.slo.requests, known.regression.requests, known.budget.requests) == (100, 50, 50)
    assert known.regression.log_e < 0.0  # the two bad answers were the young pod's


def test_pass_goes_on_while_one_pod_is_young_and_stops_while_all_are() -> None:
    fleet = Fleet()
    for _ in range(12):
        verdict = fleet.poll({"old": (100, 0)}, (900, 1))
    assert verdict.kind is VerdictKind.PASSED
    verdict = fleet.poll({"old": (100, 0), "new": (5, 0)}, (900, 1), young=("new",))
    assert verdict.kind is VerdictKind.PASSED
    verdict = fleet.poll({"old": (1, 0), "new": (5, 0)}, (900, 1), young=("new", "old"))
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "every endpoint of the candidate is younger than 30 s" in verdict.reason


def test_a_young_pod_that_nobody_counts_silences_comparisons() -> None:
    fleet = Fleet(sees_pods=False)
    fleet.poll({"old": (50, 0), "new": (50, 2)}, (900, 2), young=("new",))
    known = fleet.state.objectives[0]
    assert (known.slo.used, known.regression.used, known.budget.used) == (1, 0, 0)


def test_a_pod_that_came_back_under_its_name_is_counted_from_zero() -> None:
    fleet = Fleet()
    fleet.poll({"a": (50, 0), "b": (50, 0)})
    fleet.pods["b"] = [0, 0]
    fleet.pods["z"] = [60, 0]  # the arm's own count goes on
    fleet.poll({"b": (4, 1)})
    (b,) = [pod for pod in fleet.state.pods if pod.name == "b"]
    assert (b.requests, b.bad) == (54, 1)


def test_more_pods_than_are_told_apart_are_one() -> None:
    fleet = Fleet()
    served = {f"p{k}": (2, 0) for k in range(MOST_PODS)} | {"sick": (30, 30)}
    assert fleet.poll(served).kind is VerdictKind.FAILED
    assert fleet.state.pods == ()


@pytest.mark.parametrize("bad", [0, 1])
def test_the_evidence_without_a_pod_is_that_of_a_pass_without_it(bad: int) -> None:
    whole, alone = Fleet(), Fleet()
    random = Random(5)
    for _ in range(3):
        a = binomial(random, 10, 0.05)
        whole.poll({"a": (10, a), "b": (4, bad)})
        alone.poll({"a": (10, a), "x": (0, 0)})
    assert not whole.state.spared
    (b_pod,) = [pod for pod in whole.state.pods if pod.name == "b"]
    assert b_pod.slo == pytest.approx(alone.state.objectives[0].slo.log_weights, abs=1e-4)
    regression = alone.state.objectives[0].regression.log_weights
    assert b_pod.regression == pytest.approx(regression, abs=1e-4)


def test_the_state_of_twenty_pods_is_small_and_survives_json() -> None:
    objectives: tuple[Objective, ...] = (AVAILABILITY,)
    fleet = Fleet(config=replace(CONFIG, objectives=objectives))
    random = Random(3)
    for _ in range(30):
        fleet.poll(
            {f"taxi-7f3a9c21aa-{k}": (12, binomial(random, 12, 0.01)) for k in range(MOST_PODS)}
        )
    record = to_json(fleet.state)
    assert from_json(record) == fleet.state
    assert len(str(record)) < 9 * 1024
