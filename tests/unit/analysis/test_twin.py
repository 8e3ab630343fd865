"""The benchmark's fast twin is the real thing: poll for poll, path for path."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.detection.twin import Twin, polls_until_failed
from tests.unit.analysis.traffic import (
    AVAILABILITY,
    CANDIDATE,
    CONFIG,
    STABLE,
    Router,
    poll,
)

from sluice.analysis import AnalysisConfig, observe, start
from sluice.nouns import VerdictKind


@pytest.mark.parametrize(
    ("config", "rates"),
    [
        pytest.param(CONFIG, (0.05, 0.005), id="regression"),
        pytest.param(CONFIG, (0.005, 0.005), id="equal"),
        pytest.param(replace(CONFIG, gamma0=1.0), (0.02, 0.01), id="no-restarts"),
        pytest.param(replace(CONFIG, polls=40), (0.02, 0.002), id="stake-runs-out"),
        pytest.param(CONFIG, (0.05, 0.04), id="stable-breaks-the-slo"),
        pytest.param(replace(CONFIG, latency_order=False), (0.05, 0.01), id="no-latency-order"),
        pytest.param(
            replace(CONFIG, objectives=(replace(AVAILABILITY, target=0.9, max_ratio=1.0),)),
            (0.2, 0.1),
            id="other-objective",
        ),
    ],
)
def test_the_twin_equals_observe_path_for_path(
    config: AnalysisConfig, rates: tuple[float, float]
) -> None:
    random = np.random.default_rng(11)
    paths, polls = 4, 120
    twin = Twin(config, paths)
    states = [start(config, ()) for _ in range(paths)]
    routers = [Router() for _ in range(paths)]
    for k in range(polls):
        # Weight and traffic change from poll to poll; some polls leave an arm without requests.
        requests = (int(random.integers(0, 30)), int(random.integers(0, 120)) if k % 7 else 0)
        bad = [random.binomial(n, p, paths) for n, p in zip(requests, rates, strict=True)]
        twin.step(requests[0], bad[0], requests[1], bad[1])
        log_e, passed = twin.log_e, twin.passed
        for i in range(paths):
            routers[i].count(CANDIDATE, requests[0], int(bad[0][i]))
            routers[i].count(STABLE, requests[1], int(bad[1][i]))
            states[i], verdict = observe(config, states[i], poll(routers[i]))
            assert verdict.log_e == pytest.approx(log_e[i], abs=1e-9)
            proof = verdict.checks[2]
            assert (proof.kind is VerdictKind.PASSED) == passed[i]
            assert proof.log_e == pytest.approx(max(twin.log_ratio[i], twin.log_budget[i]))


def test_the_twin_counts_polls_until_the_first_failure_of_each_path() -> None:
    found = polls_until_failed(CONFIG, lambda _: (3, 1.0, 27, 0.0), paths=5, polls=9, seed=1)
    assert found.tolist() == [1] * 5
    found = polls_until_failed(
        CONFIG, lambda k: (10, float(k > 5), 90, 0.0), paths=5, polls=9, seed=1
    )
    assert found.tolist() == [6] * 5
    found = polls_until_failed(CONFIG, lambda _: (10, 0.0, 90, 0.0), paths=5, polls=9, seed=1)
    assert found.tolist() == [10] * 5
