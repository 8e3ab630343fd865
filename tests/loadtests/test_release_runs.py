"""``make load-release`` in full: real router, real models, real load, short times."""

from pathlib import Path

import pytest
from loadtests.release import EXAMPLES, main
from loadtests.run import _free_port

from sluice.analysis.loadrun import LoadRun
from sluice.reports import document
from sluice.reports.load import LoadReport

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        pytest.param("bluegreen", {"routing 0% to 100%"}, id="bluegreen"),
        pytest.param("ab", {"routing 0% to 50%", "routing 50% to 100%"}, id="ab"),
    ],
)
def test_a_release_under_load_loses_nothing_round_any_change(
    strategy: str, changes: set[str], tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in EXAMPLES.glob("*.html")}
    words = ["--strategy", strategy, "--rate", "25", "--before", "6s", "--after", "6s"]
    words += ["--port", str(_free_port()), "--late-ms", "5000", "--out", str(tmp_path)]
    code = main(words)
    report = document.parse(LoadReport, (tmp_path / "report.json").read_bytes())
    windows = {item.name: item for item in report.windows}
    assert {"before", "during", "after"} | changes <= set(windows)
    assert report.lost == sum(item.lost for item in windows.values()) == 0
    assert code in (0, 2, 3), "short times may decide nothing, and a busy machine may be late"
    counted = document.parse(LoadRun, (tmp_path / "run.json").read_bytes())
    assert len(counted.versions) == 2
    assert any(event.what.startswith("Promoted") for event in counted.events)
    assert (tmp_path / "report.html").stat().st_size < 150_000
    assert {path: path.stat().st_mtime_ns for path in EXAMPLES.glob("*.html")} == before
