import json
from dataclasses import replace

from loadtests.record import Counts
from loadtests.release import code_of_report, windows_of
from tests.unit.analysis.test_load import run_of

from sluice.analysis.loadrun import LoadRun
from sluice.reports.load import load_report
from sluice.reports.model import Decision

ABOUT = {
    "url": "http://x",
    "profile": "p",
    "started_ms": 1_000_000,
    "duration_s": 60.0,
    "slice_s": 1.0,
    "asked": 6.0,
}


def counted() -> Counts:
    counts = Counts()
    fine = {"latency_ms": 12.0, "wrong": False, "body": b""}
    counts.answered(0, version="a", status=200, **fine)  # type: ignore[arg-type]
    counts.answered(0, version="b", status=404, **{**fine, "wrong": True})  # type: ignore[arg-type]
    counts.answered(1, version="b", status=500, **fine)  # type: ignore[arg-type]
    counts.answered(1, version="b", status=200, **{**fine, "wrong": True})  # type: ignore[arg-type]
    words = {**fine, "body": b"no healthy upstream"}
    counts.answered(1, version="b", status=503, **words)  # type: ignore[arg-type]
    counts.unanswered(2, "reset")
    counts.dropped(2)
    return counts


def test_each_end_of_a_request_is_counted_as_what_it_is() -> None:
    whole = counted().run(**ABOUT).whole()
    assert (whole.total, whole.errors, whole.client_errors) == (7, 5, 1)
    assert (whole.lost, whole.dropped) == (2, 1)
    assert sum(whole.buckets.values()) == 5


def test_processes_are_merged_by_adding_over_the_wire() -> None:
    merged = Counts()
    for _ in range(2):
        taken = json.loads(json.dumps(counted().take()))
        for cell in taken["cells"]:
            cell[3] = {int(bucket): count for bucket, count in cell[3].items()}
        merged.add({**taken, "cpu": {1: 0.5}})
    assert merged.run(**ABOUT).whole().total == 14
    assert merged.run(**ABOUT).codes["500"] == 2


def test_what_was_taken_is_gone() -> None:
    counts = counted()
    counts.take()
    assert counts.take()["cells"] == []


# --- a release under load ---


def decision(
    at_s: float, old: int | None, new: int | None, generation: int = 0, kind: str = "Ramp"
) -> Decision:
    return Decision(
        at_ms=round(1_000_000 + 1000 * at_s),
        kind=kind,
        reason="r",
        message="m",
        pass_number=2,
        from_bp=old,
        to_bp=new,
        generation=generation,
        effect_ms=500,
    )


def quiet() -> LoadRun:
    return replace(run_of([(50, 0)] * 60), started_ms=1_000_000)


def test_windows_lie_round_each_change_of_routing() -> None:
    decisions = [
        decision(2, None, 100, 1),
        decision(20, 0, 500, 2),
        decision(30, 500, 500, 2),
        decision(35, 500, 500, 3, "RungEntered"),
    ]
    events, windows, changes = windows_of(decisions, quiet(), deployed_s=10, ended_s=40)
    assert [event.at_s for event in events] == [20, 30, 35]
    assert windows == [("before", 0.0, 10), ("during", 10, 40), ("after", 40, 60.0)]
    assert changes == [
        ("routing 0% to 5%", 19.0, 23.0),
        ("routing 3: RungEntered", 34.0, 38.0),
    ]


def test_one_lost_request_or_a_release_turned_back_is_a_failure() -> None:
    from tests.unit.analysis.test_load import UP

    run = quiet()
    good = load_report(run, [UP], windows=[("w", 0, 30)])
    assert code_of_report(good, 0) == 0
    assert code_of_report(good, 1) == 1
    cells = (replace(run.cells[0], lost=1, errors=1), *run.cells[1:])
    lost = load_report(replace(run, cells=cells), [UP], changes=[("w", 0, 3)])
    assert lost.windows[0].verdict.reason == "1 of 150 requests were lost"
    assert code_of_report(lost, 0) == 1
