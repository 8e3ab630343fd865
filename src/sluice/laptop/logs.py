"""What replicas wrote: the last lines, and what came since."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from sluice.errors import RefusedError
from sluice.nouns import RevisionId

MAX_BYTES = 1 << 20
"""Read of one log for one answer; older lines are left out."""


def read_logs(
    folder: Path,
    *,
    revision: RevisionId | None,
    tail: int,
    since: str | None,
) -> tuple[list[dict[str, str]], str]:
    """Lines of all replicas of a release.

    Args:
        folder: Where the release's logs lie, one file per replica.
        revision: Only replicas of this revision.
        tail: Lines per replica, when ``since`` is None.
        since: Cursor of an earlier answer: only what was written after it.

    Returns:
        ``{"replica", "line"}`` in order, replica by replica, and the cursor to go on from.

    Raises:
        RefusedError: the cursor is not one of ours.
    """
    places = _decode(since) if since is not None else {}
    lines: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.log")):
        if revision is not None and f"-{revision}-" not in path.name:
            continue
        begin = places.get(path.name, 0 if since is not None else None)
        found, places[path.name] = _read(path, begin)
        if since is None:
            found = found[-tail:] if tail > 0 else []
        lines += [{"replica": path.stem, "line": line} for line in found]
    return lines, _encode(places)


def _read(path: Path, begin: int | None) -> tuple[list[str], int]:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        start = max(0, end - MAX_BYTES) if begin is None or begin > end else begin
        file.seek(max(start, end - MAX_BYTES))
        data = file.read(end - file.tell())
    complete = data.rfind(b"\n") + 1
    rest = len(data) - complete
    return data[:complete].decode(errors="replace").splitlines(), end - rest


def _encode(places: Mapping[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(places).encode()).decode()


def _decode(cursor: str) -> dict[str, int]:
    try:
        places = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return {str(name): max(0, int(place)) for name, place in places.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise RefusedError("`since` must be the cursor of an earlier answer") from error
