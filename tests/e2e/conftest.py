"""Stories on a laptop; what each of them measured is printed at the end of the run."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sluice.testing.laptop import Laptop
from sluice.testing.scene import Model
from sluice.testing.story import Story

SERVER = Path(__file__).with_name("server.py")
ROOT = Path(__file__).parents[2]
FACTS = ("story", "end", "rps", "requests", "lost", "harmed", "due", "judged", "seconds")


def _tiny(version: str, faults: Mapping[str, float], file: Path) -> Mapping[str, str]:
    file.write_text(json.dumps(dict(faults)), encoding="utf-8")
    return {"VERSION": version, "FAULTS": str(file)}


TINY = Model(command=[sys.executable, "-I", "-S", str(SERVER)], env=_tiny)
"""A server of a few lines that costs next to nothing per request."""


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    with Laptop(tmp_path) as machine:
        yield machine


@pytest.fixture
def story(laptop: Laptop, request: pytest.FixtureRequest) -> Iterator[Story]:
    """A story about the tiny model; what it measured goes into the summary."""
    with Story(laptop=laptop, model=TINY) as told:
        request.node.user_properties.append(("story", told.facts))
        yield told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        {"story": report.nodeid.rpartition("::")[2], **facts}
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
        for name, facts in report.user_properties
        if name == "story"
    ]
    if not rows:
        return
    terminalreporter.section("stories")
    for row in [dict(zip(FACTS, FACTS, strict=True)), *rows]:
        cells = [str(row.get(name, "")) for name in FACTS]
        terminalreporter.write_line(
            f"{cells[0][:66]:<66} {cells[1]:<32} " + " ".join(f"{cell:>8}" for cell in cells[2:])
        )
