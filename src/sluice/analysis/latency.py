"""Latencies in buckets fine enough for percentiles and exact at every threshold of an SLO."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from math import ceil, inf, log

from sluice.nouns import LATENCY_GRID_MS

FINENESS = 1.02
"""Largest ratio of a bucket's ends: a percentile is within 2% of the true one."""
_SHORTEST_MS, _LONGEST_MS = 0.01, 600_000.0


def _edges() -> tuple[float, ...]:
    posts = (_SHORTEST_MS, *(float(ms) for ms in LATENCY_GRID_MS), _LONGEST_MS)
    edges = [_SHORTEST_MS]
    for low, high in pairwise(posts):
        parts = ceil(log(high / low) / log(FINENESS))
        edges += [low * (high / low) ** (part / parts) for part in range(1, parts)]
        edges.append(high)
    return tuple(edges)


EDGES_MS: tuple[float, ...] = _edges()
"""Upper ends of the buckets, milliseconds. All of ``LATENCY_GRID_MS`` are among them, so that the
number of requests above a threshold is counted and not interpolated."""
_GRID_INDEX = {ms: EDGES_MS.index(float(ms)) for ms in LATENCY_GRID_MS}


def bucket_of(ms: float) -> int:
    """Number of the bucket that a latency falls into; its upper end belongs to it."""
    return bisect_left(EDGES_MS, ms)


def slower_than(buckets: Mapping[int, int], threshold_ms: int) -> int:
    """How many were slower than a threshold of ``LATENCY_GRID_MS``, exactly.

    Raises:
        KeyError: the threshold is not on the grid.
    """
    last = _GRID_INDEX[threshold_ms]
    return sum(count for bucket, count in buckets.items() if bucket > last)


def quantile_ms(buckets: Mapping[int, int], q: float) -> float:
    """The q-quantile: the middle of its bucket, milliseconds; NaN without data.

    Args:
        buckets: Requests by bucket.
        q: Share of the requests that are not slower, in (0, 1].
    """
    left = q * sum(buckets.values())
    if left <= 0:
        return float("nan")
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left <= 1e-9:
            return middle_ms(bucket)
    return inf


def middle_ms(bucket: int) -> float:
    """The geometric middle of a bucket, milliseconds."""
    if bucket >= len(EDGES_MS):
        return EDGES_MS[-1]
    below = EDGES_MS[bucket - 1] if bucket else EDGES_MS[0] / FINENESS
    return float((below * EDGES_MS[bucket]) ** 0.5)
