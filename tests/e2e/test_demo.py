"""``make demo``: the first thing that anybody runs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_demo_starts() -> None:
    """Whatever it imports is there: the demo itself takes a minute."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.taxi.demo", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
@pytest.mark.timeout(420)
def test_demo_promotes_the_good_version_and_turns_the_bad_one_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.taxi.demo"],
        cwd=ROOT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
    assert "promoted" in done.stdout
    assert "turned back" in done.stdout
    assert "0 of them lost" in done.stdout
