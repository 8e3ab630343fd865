"""Who had a first bad answer: sticky users, each counted once in a pass, in bounded memory."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from sluice.dataplanes.badanswers import parse_bad_answer
from sluice.nouns import RevisionId

log = structlog.get_logger(__name__)

MOST_USERS: Final = 50_000
"""Users remembered for a release, 5 MB; who comes after them is not counted."""
READ_BYTES: Final = 1 << 20
"""Read at a time, some 8,000 lines; older ones are passed over, whoever they are of."""
KEPT_BYTES: Final = 1 << 20
"""Size at which the file is emptied."""


@dataclass(slots=True)
class _Pass:
    """The users of one pass of a release; the salt of their hash tells passes apart."""

    salt: str
    users: set[bytes] = field(default_factory=set)


class BadUsers:
    """Counts, by the revision that gave it, users whose first bad answer of the pass it was.

    Args:
        path: Where Envoy writes bad answers.
        salts: Salt of each release whose users are sticky now, by release.
    """

    def __init__(self, path: Path, salts: Callable[[], Mapping[str, str]]) -> None:
        self._path = path
        self._salts = salts
        self._offset: int | None = None
        self._passes: dict[str, _Pass] = {}
        self._counts: dict[str, dict[RevisionId, int]] = {}

    def counts(self, release: str) -> Mapping[RevisionId, int] | None:
        """Users by revision, cumulative since this agent's start; None: they are not sticky."""
        return self._counts.setdefault(release, {}) if release in self._salts() else None

    def read(self) -> None:
        """Take what Envoy has written since the last time."""
        try:
            lines = self._lines()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("agent.bad_answers_unreadable", path=str(self._path), reason=str(error))
            return
        salts = self._salts()
        for release in self._passes.keys() - salts.keys():
            del self._passes[release]
        for line in lines:
            found = parse_bad_answer(line)
            if found is None or found[0].release not in salts:
                continue
            cluster, user = found
            self._take(cluster.release, cluster.revision, user, salts[cluster.release])

    def _take(self, release: str, revision: RevisionId, user: str, salt: str) -> None:
        known = self._passes.get(release)
        if known is None or known.salt != salt:
            known = self._passes[release] = _Pass(salt)
        key = blake2b(user.encode(), digest_size=8).digest()
        if key in known.users or len(known.users) >= MOST_USERS:
            return
        known.users.add(key)
        counts = self._counts.setdefault(release, {})
        counts[revision] = counts.get(revision, 0) + 1

    def _lines(self) -> list[bytes]:
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if self._offset is None:
                self._offset = size  # what an earlier agent has seen, or nobody
            start = 0 if size < self._offset else max(self._offset, size - READ_BYTES)
            file.seek(start)
            whole, newline, _ = file.read(size - start).rpartition(b"\n")
        skipped = start > self._offset
        self._offset = start + len(whole) + len(newline)
        if self._offset == size >= KEPT_BYTES:
            # Envoy appends: it goes on at the new end. A line of this moment may be lost.
            os.truncate(self._path, 0)
            self._offset = 0
        return whole.split(b"\n")[1 if skipped else 0 :]
