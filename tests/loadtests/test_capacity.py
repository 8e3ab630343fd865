"""The search, against a server whose capacity is known beforehand."""

import pytest
from loadtests.capacity import find, main, summary
from tests.unit.analysis.test_load import FAST, run_of

from sluice.analysis.load import LoadRules
from sluice.analysis.loadrun import LoadRun
from sluice.nouns import VerdictKind


def server(capacity: float) -> "tuple[list[float], object]":
    tried: list[float] = []

    def measure(rate: float) -> LoadRun:
        tried.append(rate)
        return run_of([(100, 0)] * 40, slow=0 if rate <= capacity else 40)

    return tried, measure


@pytest.mark.parametrize("capacity", [37.0, 100.0, 333.0])
def test_the_highest_rate_is_found_within_the_precision(capacity: float) -> None:
    tried, measure = server(capacity)
    assert callable(measure)
    found = find(measure, [FAST], LoadRules(), low=10, high=1_000, precision=0.05)
    assert found.highest is not None
    assert found.lowest_bad is not None
    assert found.highest <= capacity < found.lowest_bad
    assert found.lowest_bad - found.highest <= 0.05 * found.lowest_bad
    assert found.knee == found.lowest_bad
    assert len(tried) < 16


def test_a_server_that_holds_everything_is_tried_up_to_the_limit() -> None:
    tried, measure = server(1e9)
    assert callable(measure)
    found = find(measure, [FAST], LoadRules(), low=10, high=100, precision=0.05)
    assert (found.highest, found.lowest_bad, found.knee) == (100, None, None)
    assert tried == [10, 20, 40, 80, 100]
    assert "the highest that was tried" in summary(found)


def test_a_server_that_holds_nothing_is_told_with_the_reason() -> None:
    _, measure = server(1.0)
    assert callable(measure)
    found = find(measure, [FAST], LoadRules(), low=10, high=100, precision=0.05)
    assert found.highest is None
    assert found.rungs[0].kind is VerdictKind.FAILED
    assert "no rate passed: 10 a second is failed" in summary(found)


@pytest.mark.parametrize(
    "words", [["--from", "0"], ["--from", "9", "--to", "3"], ["--precision", "2"], []]
)
def test_bad_input_is_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 64
    assert capsys.readouterr().err.startswith("usage")
