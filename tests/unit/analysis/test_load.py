import random
from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import pytest

from sluice.analysis.latency import bucket_of
from sluice.analysis.load import LoadRules, certain_failure, judge
from sluice.analysis.loadrun import Cell, LoadRun
from sluice.nouns import Objective, VerdictKind

UP = Objective(name="up", kind="availability", target=0.99)
FAST = Objective(name="fast", kind="latency", target=0.95, threshold_ms=200)


def run_of(series: Sequence[tuple[int, int]], *, slow: int = 0, asked: float = 0) -> LoadRun:
    """A run whose slices had so many requests and errors; ``slow`` of each slice's are slow."""
    cells = tuple(
        Cell(
            slice=at,
            version="v1",
            total=n,
            errors=k,
            buckets={bucket_of(50): n - slow, bucket_of(900): slow},
        )
        for at, (n, k) in enumerate(series)
    )
    total = sum(n for n, _ in series)
    return LoadRun(
        url="http://x",
        profile="test",
        started_ms=0,
        duration_s=float(len(series)),
        slice_s=1.0,
        asked=asked or total,
        lateness={bucket_of(0.5): total},
        cells=cells,
    )


def test_a_healthy_run_passes() -> None:
    verdict = judge(run_of([(100, 0)] * 40), [UP, FAST])
    assert verdict.kind is VerdictKind.PASSED
    assert [item.kind for item in verdict.objectives] == [VerdictKind.PASSED] * 2


def test_a_broken_run_fails_with_its_bound() -> None:
    verdict = judge(run_of([(100, 5)] * 40), [UP])
    assert verdict.kind is VerdictKind.FAILED
    assert verdict.objectives[0].low > 0.01
    assert "allowed 1%" in verdict.reason


def test_slow_answers_fail_the_latency_objective_only() -> None:
    verdict = judge(run_of([(100, 0)] * 40, slow=20), [UP, FAST])
    assert [item.kind for item in verdict.objectives] == [VerdictKind.PASSED, VerdictKind.FAILED]


def test_an_unanswered_request_is_bad_for_every_objective() -> None:
    cell = Cell(slice=0, total=3, errors=3, lost=3)
    assert cell.bad(UP) == cell.bad(FAST) == 3


def test_zero_errors_in_a_hundred_prove_nothing_about_999() -> None:
    strict = replace(UP, target=0.999)
    verdict = judge(run_of([(3, 0)] * 34), [strict])
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert verdict.objectives[0].more == 2_995 - 102
    assert "2,893 more requests" in verdict.reason


def test_the_number_that_is_missing_is_enough() -> None:
    first = run_of([(10, 0)] * 20 + [(10, 1)] + [(10, 0)] * 20)
    item = judge(first, [UP]).objectives[0]
    assert item.kind is VerdictKind.INCONCLUSIVE
    assert item.more is not None
    times = ceil(1 + item.more / item.requests)
    more = run_of(first.series(UP) * times)
    assert judge(more, [UP]).objectives[0].kind is VerdictKind.PASSED


def test_a_short_run_decides_nothing() -> None:
    verdict = judge(run_of([(1_000, 0)] * 10), [UP])
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert "30 s" in verdict.reason


def test_without_a_request_nothing_is_measured() -> None:
    assert judge(run_of([]), [UP]).kind is VerdictKind.ERROR


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"lateness": {bucket_of(50): 5, 1: 995}}, "over 10 ms late", id="late"),
        pytest.param({"cpu": dict.fromkeys(range(40), 0.95)}, "of a core", id="saturated"),
        pytest.param({"asked": 9_000.0}, "the rate cannot be reached", id="short"),
    ],
)
def test_a_generator_at_fault_makes_the_run_invalid(change: dict[str, object], said: str) -> None:
    run = replace(run_of([(100, 0)] * 40), **change)  # type: ignore[arg-type]
    verdict = judge(run, [UP])
    assert verdict.kind is VerdictKind.INVALID
    assert said in verdict.reason


def test_wrong_requests_make_the_run_invalid_and_not_passed() -> None:
    cells = tuple(replace(cell, client_errors=60) for cell in run_of([(100, 0)] * 40).cells)
    verdict = judge(replace(run_of([(100, 0)] * 40), cells=cells), [UP])
    assert verdict.kind is VerdictKind.INVALID
    assert "400 to 499" in verdict.reason


def test_drops_count_as_bad_and_it_is_said_whose_fault_they_are() -> None:
    base = run_of([(100, 0)] * 40)
    cells = tuple(replace(cell, errors=10, dropped=10) for cell in base.cells)
    server = judge(replace(base, cells=cells), [UP])
    assert server.kind is VerdictKind.FAILED
    assert "counts as bad" in server.notes[0]
    late = replace(base, cells=cells, lateness={bucket_of(50): 4_000})
    generator = judge(late, [UP])
    assert generator.kind is VerdictKind.INVALID
    assert "generator's fault" in generator.notes[0]


def test_a_part_of_a_run_is_judged_like_a_run() -> None:
    run = run_of([(100, 0)] * 40 + [(100, 50)] * 40)
    assert judge(run.between(0, 40), [UP]).kind is VerdictKind.PASSED
    assert judge(run.between(40, 80), [UP]).kind is VerdictKind.FAILED


# --- how often it is wrong ---


def bursts(draw: random.Random, share: float, *, length: int) -> list[tuple[int, int]]:
    """Slices of 50 requests in which whole stretches fail together.

    Sixty stretches of four: with fewer than 58, none may be sick in one run of twenty, and what a
    run has not seen no bound can know (docs/explanation/limits.md).
    """
    series: list[tuple[int, int]] = []
    while len(series) < 240:
        sick = draw.random() < share
        series += [(50, 50 if sick else 0)] * length
    return series[:240]


def independent(draw: random.Random, share: float) -> list[tuple[int, int]]:
    return [(20, sum(draw.random() < share for _ in range(20))) for _ in range(60)]


def passed_share(runs: int, make: object) -> float:
    assert callable(make)
    draw = random.Random(11)
    rules = LoadRules()
    limit = replace(UP, target=0.95)
    kinds = [judge(run_of(make(draw)), [limit], rules).kind for _ in range(runs)]
    return sum(kind is VerdictKind.PASSED for kind in kinds) / runs


def test_a_true_violator_passes_in_at_most_one_of_twenty_runs() -> None:
    # at the very edge of the objective, where a pass is most likely; 500 runs, 3 sigma of 5%
    assert passed_share(500, lambda draw: independent(draw, 0.0501)) <= 0.05 + 0.029


@pytest.mark.parametrize("length", [1, 4])
def test_neither_does_one_whose_requests_fail_together(length: int) -> None:
    share = passed_share(300, lambda draw: bursts(draw, 0.06, length=length))
    assert share <= 0.05 + 0.038


def test_without_the_design_effect_it_would_pass_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sluice.analysis.load.design_effect", lambda _: 1.0)
    assert passed_share(60, lambda draw: bursts(draw, 0.06, length=4)) > 0.2


# --- early stop ---


def test_a_dead_server_is_certain_after_ten_slices() -> None:
    dead = [(20, 20)] * 10
    assert certain_failure(dead, UP, alpha=0.001)
    assert not certain_failure(dead[:9], UP, alpha=0.001)


def test_a_bad_second_at_the_start_stops_nothing() -> None:
    assert not certain_failure([(20, 20), *[(20, 0)] * 20], UP, alpha=0.001)


def test_a_healthy_run_is_never_stopped() -> None:
    draw = random.Random(4)
    stopped = 0
    for _ in range(200):
        series = [(20, sum(draw.random() < 0.01 for _ in range(20))) for _ in range(60)]
        stopped += any(certain_failure(series[:n], UP, alpha=0.001) for n in range(10, 61, 5))
    assert stopped <= 2
