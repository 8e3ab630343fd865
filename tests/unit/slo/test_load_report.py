import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.unit.analysis.test_load import FAST, UP, run_of
from tests.unit.cli.conftest import Run

from sluice.analysis.loadrun import LoadEvent, LoadRun
from sluice.nouns import VerdictKind
from sluice.reports import document
from sluice.reports.load import LoadReport, load_report
from sluice.reports.load_html import load_html
from sluice.reports.load_view import load_junit, load_view

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def two_versions() -> LoadRun:
    run = run_of([(50, 0)] * 60, slow=1)
    later = tuple(replace(cell, version="v2") for cell in run.cells if cell.slice >= 30)
    first = tuple(cell for cell in run.cells if cell.slice < 30)
    events = (LoadEvent(at_s=30, what="v2 <gets> all requests"),)
    return replace(run, cells=first + later, events=events)


def test_everything_reads_back_as_it_was() -> None:
    run = two_versions()
    assert document.parse(LoadRun, document.dump_json(run)) == run
    report = load_report(run, [UP, FAST], windows=[("before", 0, 30)])
    assert document.parse(LoadReport, document.dump_json(report)) == report


def test_versions_windows_and_baseline_are_in_every_form() -> None:
    run = two_versions()
    worse = run_of([(50, 20)] * 60)
    report = load_report(worse, [UP, FAST], baseline=run, windows=[("before", 0, 30)])
    assert [change.says for change in report.baseline] == ["worse", "better"]
    text = load_view(report).plain
    assert "before: failed" in text
    assert "worse" in text
    page = load_html(report, worse, [UP, FAST])
    assert "Against the baseline" in page
    assert "Windows" in page


def test_a_page_escapes_and_needs_nothing_from_anywhere() -> None:
    run = two_versions()
    page = load_html(load_report(run, [UP, FAST]), run, [UP, FAST])
    assert "v2 &lt;gets&gt; all requests" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_run_without_any_answer_still_has_a_page() -> None:
    run = run_of([])
    report = load_report(run, [UP])
    assert report.verdict.kind is VerdictKind.ERROR
    assert math.isnan(report.latencies[0].longest_ms)
    assert "No request was answered" in load_html(report, run, [UP])
    assert "error" in load_view(report).plain


@pytest.mark.parametrize(
    ("run", "failures", "errors"),
    [
        pytest.param(run_of([(100, 0)] * 40), 0, 0, id="passed"),
        pytest.param(run_of([(100, 9)] * 40), 1, 0, id="failed"),
        pytest.param(run_of([(3, 0)] * 40), 0, 1, id="inconclusive"),
        pytest.param(run_of([(100, 0)] * 40, asked=9_000), 0, 1, id="invalid"),
        pytest.param(run_of([]), 0, 1, id="error"),
    ],
)
def test_ci_never_takes_anything_else_for_passed(run: LoadRun, failures: int, errors: int) -> None:
    suite = ElementTree.fromstring(load_junit(load_report(run, [UP])))  # noqa: S314  # ours
    assert (int(suite.attrib["failures"]), int(suite.attrib["errors"])) == (failures, errors)


@pytest.mark.parametrize(
    ("run", "code"),
    [
        pytest.param(run_of([(100, 0)] * 40), 0, id="passed"),
        pytest.param(run_of([(100, 9)] * 40), 1, id="failed"),
        pytest.param(run_of([(3, 0)] * 40), 2, id="inconclusive"),
        pytest.param(run_of([(100, 0)] * 40, asked=9_000), 3, id="invalid"),
        pytest.param(run_of([]), 3, id="no-request"),
    ],
)
def test_check_ends_with_the_verdict(sluice: Run, tmp_path: Path, run: LoadRun, code: int) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(document.dump_json(run))
    assert sluice("slo", "check", str(path), "--threshold", "rate<0.02").code == code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "give --slo FILE", id="nothing-to-judge-by"),
        pytest.param(["--threshold", "rate<0.1", "--version", "v9"], "there is v1", id="version"),
        pytest.param(["--threshold", "rate<0.1", "--skip", "2m"], "lasted", id="skip"),
        pytest.param(["--threshold", "rate<0.1", "--window", "x"], "NAME=FROM..TO", id="window"),
        pytest.param(["--threshold", "rate<0.1", "--late-ms", "7"], "use one of", id="late"),
        pytest.param(["--threshold", "rate<0.1", "--baseline", "no"], "cannot be read", id="base"),
    ],
)
def test_bad_input_is_told(sluice: Run, tmp_path: Path, words: list[str], said: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(document.dump_json(run_of([(100, 0)] * 40)))
    ran = sluice("slo", "check", str(path), *words)
    assert ran.code == 64
    assert said in ran.err


def test_files_that_are_no_counts_are_told(sluice: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("{}")
    ran = sluice("slo", "check", str(path), "--threshold", "rate<0.1")
    assert ran.code == 64
    assert "is not the raw counts" in ran.err


def made() -> str:
    run = two_versions()
    report = load_report(run, [UP, FAST], baseline=run, windows=[("before", 0, 30)])
    return load_html(report, run, [UP, FAST])


EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "images").glob("load-release-*.html"))
SOURCES = [made, *(path.read_text for path in EXAMPLES)]
NAMES = ["made", *(path.stem for path in EXAMPLES)]


def test_there_is_a_small_example_of_every_strategy() -> None:
    strategies = {path.stem.removeprefix("load-release-") for path in EXAMPLES}
    assert strategies == {"canary", "bluegreen", "rolling", "shadow", "ab"}
    for path in EXAMPLES:
        page = path.read_text()
        assert len(page) < 150_000, path.name
        assert re.search(r"routing \d", page), f"{path.name} shows no change of routing"
        assert "were lost" in page, path.name


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_browser_shows_it_on_a_phone(
    tmp_path: Path, dark: bool, source: Callable[[], str]
) -> None:
    frame = tmp_path / "frame.html"
    page = tmp_path / "page.html"
    # in a frame of 400 pixels: headless browsers have a wider least window
    page.write_text(source())
    frame.write_text(
        '<body style="margin:0"><iframe id="f" src="page.html" width="400" height="900"></iframe>'
        "<script>f.onload=()=>{const d=f.contentDocument,s=getComputedStyle(d.body);"
        "const c=[...d.querySelectorAll('.chart svg')].map(e=>e.getBoundingClientRect().height);"
        "document.body.dataset.said=JSON.stringify({width:d.documentElement.scrollWidth,"
        "charts:c.length,low:Math.min(...c),page:s.backgroundColor})}</script>"
    )
    assert CHROMIUM is not None
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    words += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    words += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [CHROMIUM, *words, f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r'data-said="([^"]+)"', done.stdout)
    assert found is not None, done.stderr
    said = document.parse(dict, found[1].replace("&quot;", '"'))  # type: ignore[type-var]
    assert said["width"] <= 400
    assert said["charts"] == 4
    assert said["low"] > 50
    assert said["page"] == ("rgb(16, 20, 24)" if dark else "rgb(246, 247, 249)")
    assert "CONSOLE" not in done.stderr
