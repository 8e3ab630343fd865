"""Golden files of the spec: what example documents compile to, and what is said of bad ones."""

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sluice.errors import SpecError
from sluice.spec import Text, analysis_settings, load, revision_of, to_plan


def plan(path: Path) -> str:
    """Revision, plan and analysis settings of the one release in a file, as JSON."""
    documents = load([Text(text=path.read_bytes(), name=path.name)])
    (release,) = documents.releases
    policy = documents.policy_of(release)
    result = {
        "revision": revision_of(release),
        "plan": to_plan(release, policy),
        "analysis": analysis_settings(release, policy, documents.slos),
    }
    return json.dumps(_plain(result), indent=2) + "\n"


def faults(path: Path) -> str:
    """Every fault that loading a file raises, a line each.

    Raises:
        AssertionError: the file is accepted.
    """
    try:
        load([Text(text=path.read_bytes(), name=path.name)])
    except SpecError as error:
        return f"{error}\n"
    raise AssertionError(f"{path} was accepted")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        content = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, **content}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
