"""Random numbers that the standard library does not have."""

import math
import random


def binomial(source: random.Random, n: int, p: float) -> int:
    """One draw from Bin(n, p), exact, by waiting times: about n·min(p, 1-p) random numbers."""
    if p <= 0.0 or n <= 0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - binomial(source, n, 1.0 - p)
    scale = math.log1p(-p)
    hits, place = 0, 0
    while True:
        # Compared before it is rounded: at the smallest rates the wait is infinite.
        wait = math.log(1.0 - source.random()) / scale
        if wait > n or place + int(wait) + 1 > n:
            return hits
        place += int(wait) + 1
        hits += 1
