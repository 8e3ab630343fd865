"""Envoy started again in its container: as the first time, without half a second of imports.

Users wait for it (decision 126). What the first start worked out lies beside Envoy's files; it
holds for the same settings and the same binary.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

PREFIX = "SLUICE_ROUTER_"
NOT_ENVOYS = {f"{PREFIX}TOKEN"}


def _file(folder: str) -> Path:
    return Path(folder) / "state" / "envoy.json"


def _made_from(environment: Mapping[str, str], binary: str) -> str:
    settings = sorted(
        (name, value)
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in NOT_ENVOYS
    )
    seen = Path(binary).stat()
    text = json.dumps([settings, binary, seen.st_size, seen.st_mtime_ns])
    return hashlib.sha256(text.encode()).hexdigest()


def remember(folder: Path, argv: Sequence[str], files: Sequence[Path]) -> None:
    """Keep how Envoy is started; a disk that is full only makes the next start slower."""
    path = _file(str(folder))
    known = {
        "argv": list(argv),
        "files": [str(item) for item in files],
        "made_from": _made_from(os.environ, argv[0]),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(known))
        new.replace(path)
    except OSError:
        return


def remembered() -> list[str]:
    """How Envoy was started before, where nothing has changed since; empty otherwise."""
    try:
        known = json.loads(_file(os.environ[f"{PREFIX}CONFIG_DIR"]).read_bytes())
        argv = [str(word) for word in known["argv"]]
        if known["made_from"] != _made_from(os.environ, argv[0]):
            return []
        return argv if all(Path(item).exists() for item in known["files"]) else []
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
