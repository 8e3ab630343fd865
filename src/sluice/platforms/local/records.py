"""What is on record of each process, so that the next supervisor finds it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from sluice.platforms.local.folder import read_json, replace_file, state_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process: enough to know it again, to reach it, and to say what it is."""

    name: str
    """Name of the replica or daemon; unique in the folder."""
    kind: Literal["replica", "daemon"]
    pid: int
    ticks: int
    """Start of the process, clock ticks since boot: tells it from a later one of the same pid."""
    boot: str
    """Boot id of the machine."""
    token: str
    """Value of SLUICE_PROCESS in its environment and in that of all it starts."""
    argv: tuple[str, ...]
    log: str
    started_ms: int
    ports: Mapping[str, int] = field(default_factory=dict)
    """Ports it was given, by name of the container port."""
    release: str = ""
    revision: str = ""
    restarts: int = 0
    """Restarts of this replica or daemon before this process."""
    ready_since_ms: int | None = None
    draining: bool = False


def write_record(folder: Path, record: ProcessRecord) -> None:
    """Write or replace the record of ``record.name``.

    Raises:
        StateError: it cannot be written.
    """
    # Not fsynced: a power cut that loses the record loses the process too.
    replace_file(_path(folder, record.name), json.dumps(asdict(record)), durable=False)


def drop_record(folder: Path, name: str) -> None:
    """Forget a process; unknown names are fine.

    Raises:
        StateError: the record is there and cannot be removed.
    """
    path = _path(folder, name)
    with state_errors("remove", path):
        path.unlink(missing_ok=True)


def read_records(folder: Path) -> list[ProcessRecord]:
    """Every record that makes sense, by name; torn ones, left by a power cut, are removed.

    Raises:
        StateError: the folder cannot be read.
    """
    with state_errors("read", folder):
        paths = sorted(folder.glob("*.json"))
    records = []
    for path in paths:
        record = _parse(read_json(path))
        if record is None:
            drop_record(folder, path.stem)
        else:
            records.append(record)
    return records


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _parse(value: Mapping[str, Any] | None) -> ProcessRecord | None:
    known = {item.name for item in fields(ProcessRecord)}
    if value is None or not known >= value.keys():
        return None
    try:
        return ProcessRecord(**{**value, "argv": tuple(value["argv"])})
    except (KeyError, TypeError):
        return None
