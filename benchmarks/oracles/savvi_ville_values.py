"""Prints what ``ville`` and ``savvi`` say of some small samples.

Their values stand in ``tests/unit/analysis/test_oracles.py``.

They need an environment of their own (600 MB)::

    python3.11 -m venv /tmp/oracles
    /tmp/oracles/bin/pip install ville==0.1.0 savvi==0.3.1 matplotlib
    /tmp/oracles/bin/python benchmarks/oracles/savvi_ville_values.py
"""

import json

import numpy as np
from savvi.multinomial import (  # type: ignore[import-not-found]  # in its own environment
    Multinomial,
)
from ville import (  # type: ignore[import-not-found]  # likewise
    BernoulliCS,
    BernoulliTest,
)

INTERVALS = ((0, 30, 0.01), (3, 200, 0.01), (61, 1_000, 0.05), (25, 25, 0.01), (400, 9_000, 0.001))
TESTS = ((3, 200, 0.01), (20, 500, 0.01), (60, 1_000, 0.05), (0, 400, 0.02))
SHARES = (((90, 910), (0.1, 0.9)), ((160, 840), (0.1, 0.9)), ((210, 330, 460), (0.2, 0.3, 0.5)))


def answers(bad: int, requests: int) -> list[int]:
    return [1] * bad + [0] * (requests - bad)


def main() -> None:
    """One JSON document."""
    intervals = []
    for bad, requests, delta in INTERVALS:
        found = BernoulliCS(alpha=delta, prior=(0.5, 0.5), intersect=False)
        found.update(answers(bad, requests))
        low, high = found.interval()
        intervals.append([bad, requests, delta, float(low), float(high)])
    tests = []
    for bad, requests, null in TESTS:
        test = BernoulliTest(null, prior=(0.5, 0.5))
        test.update(answers(bad, requests))
        tests.append([bad, requests, null, float(test.log_e_values_[-1])])
    shares = []
    for counts, planned in SHARES:
        srm = Multinomial(0.001, np.array(planned), k=1_000)
        srm.update(np.array(counts))
        shares.append([list(counts), list(planned), float(np.log(srm.odds))])
    print(json.dumps({"intervals": intervals, "tests": tests, "shares": shares}, indent=2))


if __name__ == "__main__":
    main()
