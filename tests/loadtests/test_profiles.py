from pathlib import Path

import pytest
from loadtests.profiles import constant, known, load_profile

from sluice.errors import SpecError


@pytest.mark.parametrize("name", known())
def test_every_profile_of_the_project_loads_and_asks_for_something(name: str) -> None:
    profile = load_profile(name)
    assert profile.asked > 0
    assert name in str(profile)


def written(folder: Path, text: str) -> str:
    path = folder / "p.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "at", "rate", "asked"),
    [
        pytest.param("{kind: constant, rate: 50, duration: 10s}", 5, 50, 500, id="constant"),
        pytest.param("{kind: ramp, from: 0, to: 100, duration: 10s}", 5, 50, 500, id="ramp"),
        pytest.param(
            "{kind: spike, base: 10, peak: 100, at: 4s, length: 2s, duration: 10s}",
            5,
            100,
            280,
            id="spike",
        ),
        pytest.param(
            "{kind: diurnal, low: 0, high: 10, day: 20s, duration: 20s}", 10, 10, 100, id="diurnal"
        ),
        pytest.param("{kind: steps, from: 10, by: 10, steps: 3, each: 10s}", 15, 20, 600, id="up"),
    ],
)
def test_a_profile_asks_for_what_it_says(
    text: str, at: float, rate: float, asked: float, tmp_path: Path
) -> None:
    profile = load_profile(written(tmp_path, text))
    assert profile.rate(at) == pytest.approx(rate)
    assert profile.asked == pytest.approx(asked, rel=1e-3)


def test_rate_and_length_scale_a_profile(tmp_path: Path) -> None:
    name = written(tmp_path, "{kind: ramp, from: 0, to: 100, duration: 10s}")
    profile = load_profile(name, rate=20, duration_s=100)
    assert profile.rate(50) == pytest.approx(10)
    assert profile.asked == pytest.approx(1_000, rel=1e-3)


def test_a_log_is_replayed_from_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"at": 7.5, "path": "/x", "user": "u"}\n{"at": 5}\n')
    profile = load_profile(written(tmp_path, "{kind: replay, log: log.jsonl, speed: 2}"))
    assert [entry.at_s for entry in profile.recorded] == [0, 1.25]
    assert profile.recorded[1].path == "/x"
    assert profile.asked == 2
    with pytest.raises(SpecError, match="keeps its own timing"):
        load_profile(written(tmp_path, "{kind: replay, log: log.jsonl}"), rate=3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{kind: sawtooth}", "must be one of constant", id="kind"),
        pytest.param("{kind: constant, rate: -1, duration: 1m}", "rate: must be", id="negative"),
        pytest.param("{kind: constant, rate: yes, duration: 1m}", "rate: must be", id="flag"),
        pytest.param("{kind: constant, rate: 1, duration: 60}", "has no unit", id="unit"),
        pytest.param("{kind: constant, rate: 1, duration: 0s}", "longer than 0s", id="nothing"),
        pytest.param("{kind: constant, rate: 1, durations: 1m}", "durations: is not", id="field"),
        pytest.param("{kind: constant, rate: 1, duration: 1m, arrivals: x}", "poisson", id="how"),
        pytest.param("[1, 2]", "must be an object", id="list"),
        pytest.param("{kind: [", "is no YAML", id="yaml"),
        pytest.param("{kind: replay}", "cannot be read", id="no-log"),
        pytest.param("{kind: replay, log: p.yaml}", "line 1 needs", id="no-json"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_profile(written(tmp_path, text))
    assert said in str(caught.value)
    assert "p.yaml" in str(caught.value)


def test_every_fault_of_a_profile_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_profile(written(tmp_path, "{kind: ramp, from: x, too: 3}"))
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize(("length_s", "slice_s"), [(1, 0.1), (12, 0.2), (60, 1.0), (3_600, 1.0)])
def test_a_run_has_sixty_slices_where_it_can(length_s: float, slice_s: float) -> None:
    assert constant(10, length_s).slice_s == pytest.approx(slice_s)
