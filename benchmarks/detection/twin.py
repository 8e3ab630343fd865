"""``sluice.analysis.observe`` for one objective, for thousands of paths at once.

Written again on purpose, from the formulas, in numpy and without logarithms where the original
needs them; ``tests/unit/analysis/test_twin.py`` holds it to the original, path for path.
"""

from collections.abc import Callable
from functools import lru_cache
from math import comb, log

import numpy as np
from numpy.typing import NDArray

from sluice.analysis import AnalysisConfig

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_RATIOS = np.array([1.5, 2.5, 5.0, 10.0, 30.0, 100.0, 1000.0])[:, None]
_LARGEST = 300.0
"""Logarithm beyond which a factor of one poll no longer matters: it has crossed any threshold."""
_BELOW_MARGIN = np.array([0.02, 0.1, 0.2, 0.4, 0.6, 0.8])[:, None]


class Twin:
    """Evidence of many independent passes; all paths share the requests of a poll.

    Arrays have shape (paths,), those of the mixtures (alternatives, paths).
    """

    def __init__(self, config: AnalysisConfig, paths: int) -> None:
        (self.objective,) = config.objectives
        self.config = config
        allowed = 1.0 - self.objective.target
        grid = np.array([2 * allowed, 3 * allowed, 5 * allowed, 10 * allowed, 0.25, 0.8])
        grid = np.unique(grid[(grid > allowed) & (grid < 1.0)])[:, None]
        self._slo_bad, self._slo_good = np.log(grid / allowed), np.log((1 - grid) / (1 - allowed))
        mild = 1.5 * allowed
        watched = np.vstack([[[mild]], grid]) if mild < grid[0, 0] else grid
        self._watch_bad = np.log(watched / allowed)
        self._watch_good = np.log((1 - watched) / (1 - allowed))
        margin = self.objective.pass_budget * allowed
        below = _BELOW_MARGIN * margin
        self._pass_bad, self._pass_good = np.log(below / margin), np.log((1 - below) / (1 - margin))
        self._regression = np.full((len(_RATIOS), paths), config.gamma0)
        self._slo = np.full((len(grid), paths), config.gamma0)
        self._budget = np.zeros((6, paths))
        self._ratio = np.zeros(paths)
        self._incident = np.zeros((len(watched), paths))
        self._compared = np.zeros(paths, np.int64)
        self._judged = np.zeros(paths, np.int64)
        self.fail_at, self.pass_at = -log(config.alpha), log(2.0 / config.beta)

    def keep(self, paths: NDArray[np.bool_]) -> None:
        """Go on with some of the paths only."""
        for name in ("_regression", "_slo", "_budget", "_incident"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, paths]))
        for name in ("_ratio", "_compared", "_judged"):
            setattr(self, name, getattr(self, name)[paths])

    def step(
        self, n_candidate: int, bad_candidate: Counts, n_stable: int, bad_stable: Counts
    ) -> None:
        """Score one poll."""
        bad = bad_candidate + bad_stable
        if n_stable > 0:
            fresh = bad_stable * self._watch_bad + (n_stable - bad_stable) * self._watch_good
            self._incident = np.clip(self._incident + fresh, 0.0, 6.0)
        else:
            self._incident = self._incident * 0.98**n_candidate
        shared = self._incident.max(axis=0) >= 2.0
        shared |= bad_stable >= rare_from(n_stable, 1.0 - self.objective.target)
        if n_candidate > 0:
            good = n_candidate - bad_candidate
            factors = np.exp(
                np.minimum(_LARGEST, bad_candidate * self._slo_bad + good * self._slo_good)
            )
            joined = (self._slo + self._stake(self._judged)) * factors
            proof = bad_candidate * self._pass_bad + good * self._pass_good
            if shared.any():
                joined = np.where(shared, self._slo, joined)
                proof = np.where(shared, 0.0, proof)
            self._slo = joined
            self._budget += proof
            self._judged += ~shared
        if n_candidate > 0 and n_stable > 0:
            share = n_candidate / (n_candidate + n_stable)
            r0, r1 = self.objective.max_ratio, self.objective.pass_ratio
            null = share * r0 + 1 - share
            tilted = share * r0 * _RATIOS + 1 - share
            factors = np.exp(
                np.minimum(_LARGEST, bad_candidate * np.log(_RATIOS) - bad * np.log(tilted / null))
            )
            self._regression = (self._regression + self._stake(self._compared)) * factors
            self._ratio += bad * np.log(share * r1 + 1 - share) - bad_candidate * log(r1)
            self._compared += 1

    def _stake(self, used: Counts) -> Floats:
        rest = (1.0 - self.config.gamma0) / self.config.polls
        return np.where(used < self.config.polls, rest, 0.0)

    def _unspent(self, used: Counts) -> Floats:
        left = np.maximum(0, self.config.polls - used) / self.config.polls
        return (1.0 - self.config.gamma0) * left

    @property
    def e_regression(self) -> Floats:
        return np.asarray(self._regression.mean(axis=0) + self._unspent(self._compared))

    @property
    def e_slo(self) -> Floats:
        return np.asarray(self._slo.mean(axis=0) + self._unspent(self._judged))

    @property
    def log_e(self) -> Floats:
        """Logarithm of the average of all FAIL e-values.

        Nothing here is slow and no answer is 4xx: the e-values of ``latency-order`` and
        ``client-errors`` stay 1, and cost the weight that they have.
        """
        config = self.config
        idle = config.order_weight * config.latency_order
        idle += config.clients_weight * config.compare_client_errors
        whole = config.regression_weight + config.slo_weight + idle
        found = config.regression_weight * self.e_regression + config.slo_weight * self.e_slo
        return np.asarray(np.log((found + idle) / whole))

    @property
    def log_ratio(self) -> Floats:
        return self._ratio

    @property
    def log_budget(self) -> Floats:
        return np.asarray(np.log(np.exp(self._budget).mean(axis=0)))

    @property
    def passed(self) -> NDArray[np.bool_]:
        by_budget = (self.log_budget >= self.pass_at) & (self.e_regression <= 1.0 + 1e-9)
        return np.asarray((self._ratio >= self.pass_at) | by_budget)


@lru_cache(maxsize=4096)
def rare_from(n: int, p: float) -> int:
    """Least x with P(Bin(n, p) >= x) <= 0.001."""
    mass, below, x = (1 - p) ** n, 0.0, 0
    while 1.0 - below > 0.001:
        below += mass
        mass *= (n - x) / (x + 1) * p / (1 - p)
        x += 1
    return x


def binomials(random: np.random.Generator, n: int, p: float, paths: int) -> Counts:
    """Independent Bin(n, p) counts; by inversion for small n, three times as fast as numpy's."""
    if n > 200:
        return random.binomial(n, p, paths)
    return np.searchsorted(_cumulated(n, p), random.random(paths), side="right").astype(np.int64)


@lru_cache(maxsize=4096)
def _cumulated(n: int, p: float) -> Floats:
    mass = np.array([comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
    return np.asarray(np.minimum(np.cumsum(mass), 1.0)[:-1])


Draw = Callable[[int], tuple[int, float, int, float]]
"""Poll index -> (candidate requests, its bad rate, stable requests, its bad rate)."""


def polls_until_failed(
    config: AnalysisConfig, draw: Draw, *, paths: int, polls: int, seed: int
) -> Counts:
    """Polls until each path fails, counted from 1; ``polls + 1`` where none does."""
    random = np.random.default_rng(seed)
    twin = Twin(config, paths)
    result = np.full(paths, polls + 1, np.int64)
    alive = np.arange(paths)
    for poll in range(1, polls + 1):
        n_candidate, p_candidate, n_stable, p_stable = draw(poll)
        twin.step(
            n_candidate,
            binomials(random, n_candidate, p_candidate, alive.size),
            n_stable,
            binomials(random, n_stable, p_stable, alive.size),
        )
        failed = twin.log_e >= twin.fail_at
        if failed.any():
            result[alive[failed]] = poll
            twin.keep(~failed)
            alive = alive[~failed]
            if alive.size == 0:
                break
    return result
