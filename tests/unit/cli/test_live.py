import io
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake import FakeSupervisor, named
from tests.unit.cli.keepers import Keeper
from tests.unit.reports.samples import HEALTHY, RUNNING, TURNED_BACK

from sluice.cli import watch
from sluice.cli.main import run
from sluice.cli.program import PLUGIN, SLUICE
from sluice.cli.watch import LiveShow


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, highlight=False)
    monkeypatch.setattr(watch, "console", lambda: console)
    return out


def test_live_view_is_drawn_in_place_and_its_last_state_stays(screen: io.StringIO) -> None:
    with LiveShow() as show:
        show.update((RUNNING,))
        first = len(screen.getvalue())
        show.update((TURNED_BACK,))
    drawn = screen.getvalue()
    assert "Progressing" in drawn[:first]
    assert "\x1b[1A\x1b[2K" in drawn[first:]
    assert "Aborted" in drawn[first:]


def test_live_view_keeps_the_last_values_while_nothing_answers(screen: io.StringIO) -> None:
    with LiveShow() as show:
        show.update((RUNNING,))
        first = len(screen.getvalue())
        show.gap("the supervisor has gone")
    drawn = screen.getvalue()[first:]
    assert "no answer: the supervisor has gone" in drawn
    assert "12.5%" in drawn


def test_live_view_of_several_releases_is_the_table(screen: io.StringIO) -> None:
    with LiveShow() as show:
        show.update((RUNNING, named(HEALTHY, "fare")))
    assert "fare" in screen.getvalue()


def test_watch_in_a_terminal_is_live_and_ctrl_c_is_its_normal_end(
    sluice: Run,
    keeper: Keeper,
    screen: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sluice.cli.look.is_live", lambda: True)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=interrupt, monotonic=time.monotonic))
    assert sluice("status", "taxi", "--watch").code == 0
    assert "candidate v2" in screen.getvalue()


def test_watch_as_a_document_is_refused(sluice: Run, keeper: Keeper) -> None:
    assert sluice("status", "--watch", "-o", "json").code == 64


@pytest.mark.parametrize(("term", "live"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch, term: str, live: bool) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    assert watch.is_live() is live


def completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("_SLUICE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "sluice promote ")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        run([])
    caught = capsys.readouterr()
    assert caught.err == ""
    return caught.out.split()


def test_shells_complete_the_names_of_releases(
    supervisor: FakeSupervisor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor.releases["fare"] = named(HEALTHY, "fare")
    assert completed(capsys, monkeypatch) == ["taxi", "fare"]


def test_completion_with_nothing_running_is_silent(
    folder: os.PathLike[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert completed(capsys, monkeypatch) == []


GOLDEN = Path(__file__).parents[2] / "golden" / "cli"


@pytest.mark.parametrize("program", [SLUICE, PLUGIN])
def test_help_is_as_it_was_looked_at(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    run(["--help"], program)
    said = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).strip() + "\n"
    kept = GOLDEN / f"help-{program.replace(' ', '-')}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(said)
    assert said == kept.read_text()
