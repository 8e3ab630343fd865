"""All checks together, as they ship: how often they are wrong while everything shakes.

Weights that change with every poll, incidents that hit both arms, routers that begin again at zero,
young pods, clients that err: fixed seeds, and alpha 0.05 so that few paths say something.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.unit.analysis.traffic import AVAILABILITY, CANDIDATE, CONFIG, LATENCY, STABLE

from sluice.analysis import Poll, Split, checks, observe, order, start
from sluice.analysis.checks import Batch
from sluice.analysis.mixture import Restarts, fresh, score
from sluice.analysis.order import Order, Slower
from sluice.nouns import (
    LATENCY_GRID_MS,
    ArmCounts,
    Counts,
    Purpose,
    RevisionId,
    Snapshot,
    VerdictKind,
)

ALPHA = 0.05
GRID = np.array(LATENCY_GRID_MS, dtype=float)
RESTARTS = Restarts(gamma0=0.7, polls=150)


def too_many(failed: int, paths: int) -> bool:
    return bool(binomtest(failed, paths, ALPHA, alternative="greater").pvalue < 1e-3)


@dataclass(kw_only=True)
class Shaky:
    """A release whose two versions are equal, on a router that restarts now and then."""

    random: np.random.Generator
    counts: dict[RevisionId, Counts] = field(
        default_factory=lambda: {CANDIDATE: Counts(), STABLE: Counts()}
    )
    pods: dict[str, Counts] = field(default_factory=dict)
    epoch: int = 1

    def serve(self, requests: int, share: float, bad: float, slow: float) -> None:
        """Each request is drawn by weight; both versions answer alike."""
        ours = int(self.random.binomial(requests, share))
        for revision, n in ((CANDIDATE, ours), (STABLE, requests - ours)):
            errors = int(self.random.binomial(n, bad))
            refused = int(self.random.binomial(n - errors, 0.1))
            times = 80.0 * slow * np.exp(0.6 * self.random.standard_normal(n))
            batch = Counts(
                total=n,
                errors=errors,
                client_errors=refused,
                timed=n,
                slow=tuple(int(k) for k in (times[:, None] > GRID).sum(axis=0)),
            )
            self.counts[revision] += batch
            if revision == CANDIDATE:
                self._spread(n, errors)

    def _spread(self, n: int, errors: int) -> None:
        on_first = int(self.random.binomial(n, 0.5))
        bad_first = int(self.random.hypergeometric(on_first, n - on_first, errors)) if n else 0
        for name, total, bad in (
            ("p0", on_first, bad_first), ("p1", n - on_first, errors - bad_first)
        ):  # fmt: skip
            self.pods[name] = self.pods.get(name, Counts()) + Counts(total=total, errors=bad)

    def restart(self) -> None:
        self.epoch += 1
        self.counts = {CANDIDATE: Counts(), STABLE: Counts()}
        self.pods = {}

    def snapshot(self, at_ms: int) -> Snapshot:
        arms = tuple(
            ArmCounts(
                revision=revision,
                purpose=Purpose.LIVE,
                counts=counts,
                endpoints=dict(self.pods) if revision == CANDIDATE else {},
            )
            for revision, counts in self.counts.items()
        )
        return Snapshot(router="r", epoch=str(self.epoch), taken_ms=at_ms, arms=arms)


@pytest.mark.slow
def test_equal_versions_fail_with_at_most_alpha_while_everything_shakes() -> None:
    config = replace(CONFIG, alpha=ALPHA, objectives=(AVAILABILITY, LATENCY), polls=100)
    paths, failed, invalid, passed = 60, 0, 0, 0
    for path in range(paths):
        random = np.random.default_rng(1_000 + path)
        router = Shaky(random=random)
        router.serve(2_000, 0.0, 0.004, 1.0)
        state = start(config, (router.snapshot(0),))
        kinds = set()
        for k in range(1, 101):
            share = (0.01, 0.05, 0.25, 0.5)[(k // 10) % 4]
            incident = 60 <= k < 75
            if random.random() < 0.03:
                router.restart()
            router.serve(150, share, 0.15 if incident else 0.004, 3.0 if incident else 1.0)
            shares = ((CANDIDATE, round(share * 10_000)), (STABLE, round((1 - share) * 10_000)))
            asked = Poll(
                taken_ms=k * 1_000,
                snapshots=(router.snapshot(k * 1_000),),
                candidate=CANDIDATE,
                stable=STABLE,
                young=("p1",) if k < 30 else (),
                settled=1 if k < 30 else 2,
                split=Split(generation=1 + k // 10, shares=shares),
            )
            state, verdict = observe(config, state, asked)
            kinds.add(verdict.kind)
        failed += VerdictKind.FAILED in kinds
        invalid += VerdictKind.INVALID in kinds
        passed += VerdictKind.PASSED in kinds
    assert not too_many(failed, paths)
    assert invalid <= 1
    assert passed >= 15  # it can tell something at all


def test_latency_order_at_its_edge_alarms_with_at_most_alpha() -> None:
    """The candidate above each tolerated boundary exactly as often as stable above its own."""
    paths, failed = 150, 0
    for path in range(paths):
        random = np.random.default_rng(path)
        known = Order(
            boundaries=(10, 16),
            history=((300.0, 700.0), (20.0, 980.0)),
            seen=(Slower(), Slower()),
            mixture=fresh(10, RESTARTS),
        )
        for k in range(150):
            shift = 2.0 if 60 <= k < 80 else 1.0  # an incident that hits both
            share = (3, 10, 40)[k % 3]
            ours, theirs = random.random(share), random.random(90)
            batch = [
                Slower(
                    n_candidate=share,
                    above_candidate=int((ours < p * shift).sum()),
                    n_stable=90,
                    above_stable=int((theirs < p * shift).sum()),
                )
                for p in (0.4, 0.03)
            ]
            known = order.advance(known, batch, RESTARTS)
        failed += known.mixture.peak >= -np.log(ALPHA)
    assert not too_many(failed, paths)


def test_a_false_alarm_of_latency_order_would_be_seen() -> None:
    """The same count for a candidate that is 20% above what is tolerated."""
    paths, failed = 60, 0
    for path in range(paths):
        random = np.random.default_rng(path)
        known = Order(
            boundaries=(10,),
            history=((1.0, 1.0),),
            seen=(Slower(),),
            mixture=fresh(5, RESTARTS),
        )
        for _ in range(150):
            batch = Slower(
                n_candidate=30,
                above_candidate=int(random.binomial(30, 0.12)),  # 20% above stable's
                n_stable=90,
                above_stable=int(random.binomial(90, 0.1)),
            )
            known = order.advance(known, [batch], RESTARTS)
        failed += known.mixture.peak >= -np.log(ALPHA)
    assert too_many(failed, paths)


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_client_errors_at_the_tolerated_ratio_alarm_with_at_most_alpha(rate: float) -> None:
    known = checks.ratios(checks.CLIENT_ERRORS_RATIO)
    paths, failed = 300, 0
    for path in range(paths):
        random = np.random.default_rng(path)
        mixture = fresh(len(known.logs), RESTARTS)
        for k in range(150):
            now = rate * (3.0 if 60 <= k < 80 else 1.0)
            n = (3, 10, 40)[k % 3]
            batch = Batch(
                n_candidate=n,
                bad_candidate=int(random.binomial(n, 1.1 * now)),
                n_stable=90,
                bad_stable=int(random.binomial(90, now)),
            )
            mixture = score(mixture, checks.comparison_factors(known, batch), n, RESTARTS)
        failed += mixture.peak >= -np.log(ALPHA)
    assert not too_many(failed, paths)
