"""``latency-order``: whether the candidate's whole latency distribution lies above stable's.

No percentile is estimated. At a few boundaries of the histogram the share of slower answers is
compared, and the e-values are averaged, which is valid under any dependence between them. The
candidate is allowed one bucket, and at least 5 ms: its share above the next boundary is held
against stable's above this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log, log1p

from sluice.analysis.bounds import least_requests_ratio
from sluice.analysis.mixture import Mixture, Restarts, fresh, score
from sluice.nouns import LATENCY_GRID_MS, Counts

_SHARES_ABOVE = (0.5, 0.2, 0.05, 0.01)
_SHIFTS = (0.2, 0.4, 0.8, 1.6, 3.2)
_LEAST_MS = 5
"""Differences below are the scheduler's, not the model's: a version with little traffic finds
colder caches."""
_FIRST_LOOK = 200
_MOST_HISTORY = 5_000.0
_MOST_OF_A_POLL = 3.0
"""ln of the most that one poll can multiply a capital by: one stall of a machine hits every request
in flight at once, and is no evidence about the version. Three polls in a row are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """Answers above one boundary: the candidate's one bucket higher, counts."""

    n_candidate: int = 0
    above_candidate: int = 0
    n_stable: int = 0
    above_stable: int = 0

    def __add__(self, other: "Slower") -> "Slower":
        return Slower(
            n_candidate=self.n_candidate + other.n_candidate,
            above_candidate=self.above_candidate + other.above_candidate,
            n_stable=self.n_stable + other.n_stable,
            above_stable=self.above_stable + other.above_stable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is known about the order of the two distributions."""

    boundaries: tuple[int, ...]
    """Indices in ``LATENCY_GRID_MS``, ascending, fixed before the first scored poll."""
    history: tuple[tuple[float, float], ...]
    """(slower, not slower) of stable at each boundary, until the poll to be scored."""
    seen: tuple[Slower, ...]
    """What was scored, at each boundary."""
    mixture: Mixture
    """Alternatives of the first boundary, then of the second, ..."""

    @property
    def columns(self) -> tuple[int, ...]:
        """Indices of every boundary that is read, ascending."""
        return tuple(sorted({*self.boundaries, *(tolerated(i) for i in self.boundaries)}))


def tolerated(index: int) -> int:
    """The boundary at which the candidate is held against stable's at ``index``."""
    least_ms = LATENCY_GRID_MS[index] + _LEAST_MS
    above = index + 1
    while above < len(LATENCY_GRID_MS) - 1 and LATENCY_GRID_MS[above] < least_ms:
        above += 1
    return above


def choose(known: Sequence[Counts], restarts: Restarts) -> Order | None:
    """Boundaries near stable's median, 80th, 95th and 99th percentile.

    Args:
        known: All that was counted of other revisions than the candidate, before the first poll
            that is scored. What they say about stable also is the first guess of its shares: a
            wrong guess costs power, never validity.
        restarts: The spread of starting times.

    Returns:
        None while fewer than 200 answers were timed.
    """
    summed = sum((counts for counts in known if counts.slow), Counts())
    if summed.timed < _FIRST_LOOK:
        return None
    last = len(LATENCY_GRID_MS) - 2
    found = {
        next((i for i in range(last) if summed.slow[i] <= share * summed.timed), last)
        for share in _SHARES_ABOVE
    }
    boundaries = tuple(sorted(found))
    weight = min(_MOST_HISTORY, float(summed.timed))
    shares = [(summed.slow[i] + 0.5) / (summed.timed + 1.0) for i in boundaries]
    return Order(
        boundaries=boundaries,
        history=tuple((weight * share + 0.5, weight * (1.0 - share) + 0.5) for share in shares),
        seen=(Slower(),) * len(boundaries),
        mixture=fresh(len(boundaries) * len(_SHIFTS), restarts),
    )


def advance(order: Order, batch: Sequence[Slower], restarts: Restarts) -> Order:
    """The evidence after one poll; unchanged when an arm had no timed answer.

    Null hypothesis at each boundary: the candidate's share is at most stable's, whatever that is.
    Factor of an answer: ``q_arm(x) / q(x)`` with q0 the guess of stable's share, q1 above it on the
    logit scale, q = w q1 + (1-w) q0 and w the realised share of the poll. Its expectation over both
    arms is at most 1 by concavity, as for ``regression``.

    Source: Turner, Ly, Gruenwald (JSPI 2024); averaged over boundaries (Vovk & Wang 2021).
    """
    if not batch or batch[0].n_candidate == 0 or batch[0].n_stable == 0:
        return order
    factors = [
        factor
        for (slower, faster), part in zip(order.history, batch, strict=True)
        for factor in _factors(slower / (slower + faster), part)
    ]
    return replace(
        order,
        mixture=score(order.mixture, factors, batch[0].n_candidate, restarts),
        # After the poll is scored: a guess that knows it would not be a guess.
        history=tuple(
            (slower + part.above_stable, faster + part.n_stable - part.above_stable)
            for (slower, faster), part in zip(order.history, batch, strict=True)
        ),
        seen=tuple(a + b for a, b in zip(order.seen, batch, strict=True)),
    )


def _factors(guess: float, part: Slower) -> list[float]:
    share = part.n_candidate / (part.n_candidate + part.n_stable)
    q0 = min(max(guess, 1e-6), 1.0 - 1e-6)
    logit = log(q0) - log1p(-q0)
    in_time = part.n_candidate - part.above_candidate
    stable_in_time = part.n_stable - part.above_stable
    factors = []
    for shift in _SHIFTS:
        q1 = 1.0 / (1.0 + exp(-logit - shift))
        mixed = share * q1 + (1.0 - share) * q0
        log_mixed, log_rest = log(mixed), log1p(-mixed)
        factor = (
            part.above_candidate * (log(q1) - log_mixed)
            + in_time * (log1p(-q1) - log_rest)
            + part.above_stable * (log(q0) - log_mixed)
            + stable_in_time * (log1p(-q0) - log_rest)
        )
        factors.append(min(_MOST_OF_A_POLL, factor))
    return factors


def worst(order: Order) -> int:
    """Which boundary speaks most against the candidate."""
    size = len(_SHIFTS)
    weights = order.mixture.log_weights
    return max(range(len(order.boundaries)), key=lambda i: max(weights[i * size : (i + 1) * size]))


def least_requests(order: Order, log_threshold: float) -> float:
    """Candidate requests that any test needs at the best of the boundaries; inf when none differs.

    Source: Wald (1945), at the shares seen.
    """
    return min((_least(part, log_threshold) for part in order.seen), default=inf)


def _least(part: Slower, log_threshold: float) -> float:
    if part.n_candidate == 0 or part.n_stable == 0:
        return inf
    slow = part.above_candidate / part.n_candidate
    stable = part.above_stable / part.n_stable
    if slow <= stable:
        return inf
    share = part.n_candidate / (part.n_candidate + part.n_stable)
    return least_requests_ratio(slow, stable, share, 1.0, log_threshold)
