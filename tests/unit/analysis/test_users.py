"""Sticky users are compared by their first bad answer: how often that is wrong, and how soon right.

Monte-Carlo with fixed seeds. Users differ by orders of magnitude in how much they ask and in how
often they fail, which is what makes counts of requests overstate what is known.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from tests.unit.analysis.traffic import AVAILABILITY, CANDIDATE, CONFIG, LATENCY, STABLE

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, observe, start
from sluice.analysis.checks import Batch, ratios
from sluice.analysis.counters import Reading
from sluice.analysis.record import from_json, to_json
from sluice.analysis.state import Mark
from sluice.analysis.users import factors, remember
from sluice.nouns import ArmCounts, Counts, Purpose, RevisionId, Snapshot, Verdict, VerdictKind

# An SLO that nothing here breaks: comparing alone is on trial.
LOOSE = replace(
    CONFIG,
    alpha=0.05,
    objectives=(replace(AVAILABILITY, target=0.01, max_ratio=1.0),),
    polls=200,
    slo_weight=1e-9,
    order_weight=0.0,
    clients_weight=0.0,
)
POLLS = 150
Floats = NDArray[np.float64]
RAMP = ((0, 0.1), (30, 0.25), (60, 0.5))
"""(poll, weight from then on)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Users, one number each: where they lie among the weights, how much they ask in a poll, and
    how often that fails."""

    place: Floats
    requests: Floats
    failing: Floats


def heavy(random: Generator) -> Users:
    """Two hundred users: a few ask most, and one in ten fails at one answer of three."""
    return Users(
        place=random.random(200),
        requests=np.minimum(random.pareto(1.1, 200) / 3, 100.0),
        failing=np.where(random.random(200) < 0.1, 0.3, 0.001),
    )


def alike(random: Generator, count: int, *, requests: float, failing: float) -> Users:
    return Users(
        place=random.random(count),
        requests=np.full(count, requests),
        failing=np.full(count, failing),
    )


@dataclass(kw_only=True)
class World:
    """Routers that serve these users, and the pass that judges the candidate."""

    users: Users
    random: Generator
    routers: int = 1
    by_user: bool = True
    config: AnalysisConfig = LOOSE
    worse: float = 1.0
    """Times that a user fails as often under the candidate."""

    state: AnalysisState = field(init=False)
    bad: dict[tuple[int, RevisionId], int] = field(default_factory=dict)
    """Users by router and revision."""
    _counts: dict[tuple[int, RevisionId], Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = start(self.config, ())
        self._failed = np.zeros((self.routers, len(self.users.place)), dtype=bool)

    def poll(self, weight: float, *, young: tuple[str, ...] = ()) -> Verdict:
        """One second of all users, and what is said of it."""
        users = self.users
        ours = users.place < weight
        rate = np.where(ours, np.minimum(users.failing * self.worse, 1.0), users.failing)
        left = (users.requests + self.random.random(len(ours))).astype(int)
        for router in range(self.routers):
            asked = self.random.binomial(left, 1 / (self.routers - router))
            left = left - asked
            bad = self.random.binomial(asked, rate)
            first = (bad > 0) & ~self._failed[router]
            self._failed[router] |= first
            for revision, arm in ((CANDIDATE, ours), (STABLE, ~ours)):
                key = router, revision
                one = Counts(total=int(asked[arm].sum()), errors=int(bad[arm].sum()))
                self._counts[key] = self._counts.get(key, Counts()) + one
                self.bad[key] = self.bad.get(key, 0) + int(first[arm].sum())
        self.state, verdict = observe(
            self.config,
            self.state,
            Poll(
                taken_ms=0,
                snapshots=tuple(self._snapshot(router) for router in range(self.routers)),
                candidate=CANDIDATE,
                stable=STABLE,
                user_share=weight,
                young=young,
            ),
        )
        return verdict

    def _snapshot(self, router: int) -> Snapshot:
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=Purpose.LIVE,
                counts=self._counts[router, revision],
                users_bad=self.bad[router, revision] if self.by_user else None,
            )
            for revision in (CANDIDATE, STABLE)
        )
        return Snapshot(router=f"r{router}", epoch="e1", taken_ms=0, arms=arms)


def weight_at(poll: int) -> float:
    return next(weight for since, weight in reversed(RAMP) if poll >= since)


def fails(
    world: World, weight: Callable[[int], float] = weight_at, polls: int = POLLS
) -> int | None:
    """Poll at which the pass failed; None: it did not."""
    for number in range(polls):
        if world.poll(weight(number)).kind is VerdictKind.FAILED:
            return number
    return None


def share_of_failures(paths: int, *, routers: int = 1, by_user: bool = True) -> float:
    found = 0
    for seed in range(paths):
        random = np.random.default_rng(seed)
        world = World(users=heavy(random), random=random, routers=routers, by_user=by_user)
        found += fails(world) is not None
    return found / paths


@pytest.mark.slow
@pytest.mark.parametrize("routers", [1, 2])
def test_an_equal_candidate_with_heavy_users_fails_no_more_often_than_alpha(routers: int) -> None:
    assert share_of_failures(80, routers=routers) <= 0.05


def test_counts_of_requests_would_fail_it_far_more_often() -> None:
    assert share_of_failures(30, by_user=False) > 0.2


def test_a_candidate_that_fails_everybody_is_found_by_a_few_users() -> None:
    random = np.random.default_rng(4)
    users = alike(random, 500, requests=0.5, failing=0.002)
    found = fails(World(users=users, random=random, worse=200.0), weight=lambda _: 0.1)
    assert found is not None
    assert found < 10


def test_bad_answers_of_one_user_count_once() -> None:
    users = Users(
        place=np.array([0.01, *np.linspace(0.5, 0.9, 200)]),
        requests=np.array([50.0, *[1.0] * 200]),
        failing=np.array([1.0, *[0.0] * 200]),
    )
    world = World(users=users, random=np.random.default_rng(1))
    assert fails(world, polls=60) is None
    asked = World(users=users, random=np.random.default_rng(1), by_user=False)
    assert fails(asked, polls=60) is not None


def test_other_comparisons_and_pass_by_ratio_are_not_made_of_sticky_requests() -> None:
    random = np.random.default_rng(2)
    config = replace(CONFIG, objectives=(AVAILABILITY, LATENCY))
    users = alike(random, 300, requests=2, failing=0.05)
    world = World(users=users, random=random, config=config)
    for _ in range(20):
        world.poll(0.3)
    availability, latency = world.state.objectives
    assert availability.regression.used == 20
    assert latency.regression.used == 0
    assert availability.ratio.used == 0
    assert world.state.clients.used == 0
    found = {(check.check, check.objective): check for check in world.poll(0.3).checks}
    assert "by users' first bad answer" in found["regression", "availability"].rule
    assert ("regression", "latency") not in found
    assert not {"latency-order", "client-errors", "srm"} & {check for check, _ in found}


def test_while_young_pods_answer_users_are_not_compared() -> None:
    random = np.random.default_rng(2)
    world = World(users=alike(random, 300, requests=2, failing=0.05), random=random)
    world.poll(0.3, young=("taxi-v2-0",))
    assert world.state.objectives[0].regression.used == 0
    world.poll(0.3)
    assert world.state.objectives[0].regression.used == 1


def test_a_share_that_was_just_lowered_may_still_be_in_force() -> None:
    """The bet is made at the larger one, where bad users of the candidate are less surprising."""
    known = ratios(1.0)
    reading = Reading(
        batches=(), clients=Batch(n_candidate=0, bad_candidate=0, n_stable=0, bad_stable=0),
        slower=(), begun={}, pods=None, shielded=0, users=(3, 1),
        marks=(Mark(router="r", epoch="e", revision=STABLE, counts=(), shielded=0),),
    )  # fmt: skip
    shares = remember((0.5, 0.5), 0.1)
    lowered, steady, low = (factors(known, reading, each) for each in (shares, (0.5,), (0.1,)))
    assert lowered == steady
    assert lowered is not None
    assert low is not None
    assert all(a < b for a, b in zip(lowered, low, strict=True))


def test_an_agent_that_was_started_again_begins_at_zero() -> None:
    random = np.random.default_rng(5)
    world = World(users=alike(random, 50, requests=1, failing=0.5), random=random)
    world.poll(0.5)
    world.bad.clear()  # what its memory held
    assert world.poll(0.5).kind is not VerdictKind.ERROR


def test_what_is_remembered_of_users_survives_a_restart() -> None:
    random = np.random.default_rng(6)
    world = World(users=alike(random, 50, requests=1, failing=0.5), random=random)
    world.poll(0.2)
    world.poll(0.3)
    assert world.state.user_shares == (0.2, 0.3)
    assert from_json(to_json(world.state)) == world.state
