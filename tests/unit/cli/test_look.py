import json
import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from tests.unit.cli.conftest import Place, Run
from tests.unit.cli.fake import FakeSupervisor, named
from tests.unit.cli.keepers import Keeper
from tests.unit.reports.samples import (
    ABORTED,
    CHANGED,
    ENTERED,
    HEALTHY,
    POLLS,
    PROMOTED,
    RUNNING,
    STARTED,
    TURNED_BACK,
)

from sluice.cli import look, watch
from sluice.cli.exits import ExitCode
from sluice.cli.main import EXAMPLES
from sluice.reports import document
from sluice.reports.model import Decision, ReleaseStatus


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_verb_has_help_with_an_example_of_itself(sluice: Run, verb: str) -> None:
    ran = sluice(verb, "--help")
    assert ran.code == 0
    assert f"Example: {EXAMPLES[verb].split(' -')[0]}" in ran.out
    assert EXAMPLES[verb].startswith(f"sluice {verb}")


def test_without_words_the_help_is_shown(sluice: Run) -> None:
    ran = sluice()
    assert ran.code == 0
    assert "First steps: sluice up" in ran.out


def test_status_of_the_only_release_is_its_view(sluice: Run, keeper: Keeper) -> None:
    ran = sluice("status")
    assert ran.code == 0
    assert "candidate v2 12.5%" in ran.out
    assert "against it" in ran.out


def test_status_of_several_releases_is_a_table(sluice: Run, keeper: Keeper) -> None:
    keeper.keep(named(HEALTHY, "fare"))
    ran = sluice("status")
    assert sorted(line.split()[:2] for line in ran.out.splitlines()[1:]) == [
        ["fare", "Healthy"],
        ["taxi", "Progressing"],
    ]


def test_status_says_what_to_do_when_there_is_no_release(
    sluice: Run, keeper: Keeper, place: Place
) -> None:
    keeper.clear()
    ran = sluice("status")
    assert ran.code == 0
    assert f"`{place.program} deploy" in ran.out


def test_json_and_yaml_are_the_same_document_and_read_back_as_the_status(
    sluice: Run, keeper: Keeper
) -> None:
    as_json = sluice("status", "taxi", "-o", "json").out
    as_yaml = sluice("status", "taxi", "-o", "yaml").out
    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    read = document.parse(ReleaseStatus, as_json)
    assert replace(read, updated_ms=RUNNING.updated_ms) == RUNNING


def test_without_a_name_the_document_is_always_a_list(sluice: Run, keeper: Keeper) -> None:
    found = document.parse(tuple[ReleaseStatus, ...], sluice("status", "-o", "json").out)
    assert [replace(item, updated_ms=RUNNING.updated_ms) for item in found] == [RUNNING]


def test_unknown_release_names_the_known_ones(sluice: Run, keeper: Keeper) -> None:
    ran = sluice("status", "fare")
    assert ran.code == ExitCode.NOTHING_THERE
    assert re.fullmatch(r"[a-z ]+: no release fare.*; there is taxi\n", ran.err)


def test_with_nothing_running_every_verb_says_how_to_start(sluice: Run, folder: Path) -> None:
    for verb in ("status", "explain", "history", "logs", "promote", "abort", "undo"):
        ran = sluice(verb)
        assert ran.code == ExitCode.NOTHING_THERE
        assert "start it with `sluice up`" in ran.err


def test_a_name_is_needed_when_there_are_several_releases(sluice: Run, keeper: Keeper) -> None:
    keeper.keep(named(HEALTHY, "fare"))
    ran = sluice("explain")
    assert ran.code == ExitCode.USAGE
    assert "name one of fare, taxi" in ran.err


def test_explain_prints_evidence_rule_and_cost_of_each_decision(
    sluice: Run, keeper: Keeper
) -> None:
    keeper.decide(STARTED, ENTERED, ABORTED)
    out = sluice("explain").out
    assert "21% bad (13 of 62), likely 8.1–40%" in out
    assert "cost 62 candidate requests" in out
    assert "in effect on every router after 11ms" in out
    assert "fails when the bad rate is proven above 1%" in out


def test_explain_shows_the_newest_pass_and_names_the_others(sluice: Run, keeper: Keeper) -> None:
    old = Decision(at_ms=1, kind="Promoted", reason="FirstRevision", message="m", pass_number=1)
    keeper.decide(old, STARTED, ENTERED)
    assert "1 more passes" in sluice("explain").out
    assert "pass 1" in sluice("explain", "--pass", "1").out
    both = sluice("explain", "--all").out
    assert both.index("pass 1") < both.index("pass 3")
    wrong = sluice("explain", "--pass", "2")
    assert (wrong.code, "it has: 1, 3" in wrong.err) == (ExitCode.NOTHING_THERE, True)


def test_explain_writes_a_page_of_the_pass_with_its_traffic(
    sluice: Run, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    supervisor.decisions = (STARTED, ENTERED, ABORTED)
    supervisor.kept = POLLS
    path = tmp_path / "pass.html"
    ran = sluice("explain", "--html", str(path))
    assert ran.out == f"wrote pass 3 of taxi to {path}\n"
    assert "Requests per second" in path.read_text()
    ran = sluice("explain", "--html", str(tmp_path / "missing" / "pass.html"))
    assert (ran.code, "cannot be written" in ran.err) == (ExitCode.NOTHING_THERE, True)
    assert sluice("explain", "--html", str(path), "--all").code == ExitCode.USAGE


def test_explain_judges_a_pass_again_and_fails_on_a_difference(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    assert sluice("explain", "--replay").code == ExitCode.NOTHING_THERE
    supervisor.decisions = (STARTED,)
    ran = sluice("explain", "--replay")
    assert (ran.code, "all the same" in ran.out) == (ExitCode.DONE, True)
    assert "the journal has no poll of it" in ran.out
    assert ("GET", "/v1/releases/taxi/kept", {"pass": "3"}) in supervisor.asked
    assert ABORTED.verdict is not None
    forged = replace(ABORTED, verdict=replace(ABORTED.verdict, log_e=99.0))
    supervisor.decisions = (STARTED, forged)
    ran = sluice("explain", "--replay")
    assert (ran.code, "differ" in ran.out) == (ExitCode.FAILED, True)
    assert "then  ln e 99" in ran.out
    assert sluice("explain", "--replay", "--all").code == ExitCode.USAGE


def test_history_has_a_line_a_decision(sluice: Run, keeper: Keeper) -> None:
    keeper.decide(STARTED, ENTERED, CHANGED, PROMOTED)
    lines = sluice("history").out.splitlines()
    assert "promoted" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == [
        "PassStarted",
        "RungEntered",
        "WeightChanged",
        "Promoted",
    ]


def test_logs_name_the_replica_of_each_line(sluice: Run, supervisor: FakeSupervisor) -> None:
    supervisor.lines = [("taxi-7f3a-0", "ready"), ("taxi-7f3a-1", "GET /v2 200")]
    ran = sluice("logs", "-r", "7f3a", "--tail", "5")
    assert ran.out == "taxi-7f3a-0 | ready\ntaxi-7f3a-1 | GET /v2 200\n"
    assert supervisor.last[2] == {"revision": "7f3a", "tail": "5"}


def test_followed_logs_go_on_from_the_cursor_until_interrupted(
    sluice: Run, supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.lines = [("r", "one")]
    waits = iter([None, None])

    def pause(_: float) -> None:
        if next(waits, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr(look, "time", SimpleNamespace(sleep=pause))
    ran = sluice("logs", "--follow", "-o", "json")
    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"replica": "r", "line": "one"}
    ] * 3
    assert [asked[2] for asked in supervisor.asked] == [
        {"tail": "100"},
        {"since": "7"},
        {"since": "7"},
    ]


def test_watch_without_a_terminal_prints_a_line_per_change(
    sluice: Run, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([RUNNING, TURNED_BACK])

    def pause(_: float) -> None:
        following = next(steps, None)
        if following is None:
            raise KeyboardInterrupt
        keeper.keep(following)

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    ran = sluice("status", "--watch")
    assert ran.code == 0
    first, second = ran.out.splitlines()
    assert "Progressing  12.5%" in first
    assert "Aborted  10%->0%  CheckFailed" in second
    assert "e 19,777 of 1,000, 62 requests, 13 harmed" in second
