"""What came of the scenarios in each world, kept beside the goldens."""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.conformance.story import Facts

FOLDER = Path(__file__).parents[1] / "golden" / "conformance"
UPDATE = "make conformance"
"""Writes what the memory world gives now."""


def path_of(world: str) -> Path:
    """Where the results of a world lie."""
    return FOLDER / f"{world}.json"


def read(world: str) -> dict[str, Facts]:
    """Results by name of the scenario; none when there is no file."""
    path = path_of(world)
    if not path.exists():
        return {}
    return {name: Facts(**row) for name, row in json.loads(path.read_text()).items()}


def keep(world: str, name: str, facts: Facts) -> None:
    """Keep one result beside the others; several processes may do so at once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        write(world, dict(sorted({**read(world), name: facts}.items())))
    finally:
        os.close(folder)


def write(world: str, rows: Mapping[str, Facts]) -> bool:
    """Keep results in this order, one line each; whether anything changed."""
    lines = [f"{json.dumps(name)}: {json.dumps(asdict(facts))}" for name, facts in rows.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    path = path_of(world)
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return True
