"""The journal of a cluster: checkpoints live in the status of their Releases; ``ports.Journal``."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.cluster.book import Book
from sluice.cluster.fitting import packed_checkpoint
from sluice.cluster.keys import key_of
from sluice.errors import RefusedError, SpecError, StateError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import RELEASE
from sluice.kube.packed import unpack
from sluice.ports import Journal
from sluice.runtime.checkpoint import from_record

WRITE_S = 3.0
"""An API server that hangs must not hold a candidate's users: after so long traffic goes back to
stable without a checkpoint, as it does when the server cannot be reached."""
Told = Callable[[str, Mapping[str, Any]], None]


class StatusJournal:
    """Keeps checkpoints in ``status.checkpoint``, and beside them the routing for new agents.

    The log goes to ``files`` where there is a volume for it. Without, every poll is forgotten, and
    of the decisions those are kept that are in the checkpoint: the newest fifty.

    Args:
        client: Reads Releases.
        book: Writes their status.
        namespaces: Whose Releases; None among them: all.
        told: Hears of every decision.
        files: Keeps the log; None: nobody does.
        check: Raises StateError for a record that cannot be used.
    """

    def __init__(
        self,
        client: KubeClient,
        book: Book,
        namespaces: Sequence[str | None] = (None,),
        *,
        told: Told = lambda _, __: None,
        files: Journal | None = None,
        check: Callable[[Mapping[str, Any]], object] = from_record,
    ) -> None:
        self._client = client
        self._book = book
        self._namespaces = namespaces
        self._told = told
        self._files = files
        self._check = check
        self._decisions: dict[str, list[Mapping[str, Any]]] = {}
        self.unreadable: dict[str, str] = {}
        """Why the checkpoint of a release cannot be used, by key: it must not stop the others."""

    async def load(self) -> Mapping[str, Mapping[str, Any]]:
        """See ``ports.Journal``."""
        found = {}
        try:
            for namespace in self._namespaces:
                for obj in await self._client.list(RELEASE, namespace):
                    key, status = key_of(obj), obj.get("status") or {}
                    self._book.read(key, status, obj["metadata"]["uid"])
                    record = self._record(key, status.get("checkpoint"))
                    if record is not None:
                        found[key] = record
        except (TransientError, RefusedError) as error:
            raise StateError(f"checkpoints cannot be read: {error}") from error
        return found

    def _record(self, key: str, text: object) -> Mapping[str, Any] | None:
        if not text:
            return None
        try:
            record: Mapping[str, Any] = unpack(str(text))
            self._check(record)
        except (SpecError, StateError) as error:
            self.unreadable[key] = (
                f"status.checkpoint cannot be used: {error}; remove it to begin anew with what runs"
            )
            return None
        self.unreadable.pop(key, None)
        self._decisions[key] = list(record.get("decisions", ()))
        return record

    async def checkpoint(self, release: str, record: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        entry = self._book[release]
        changes: dict[str, Any] = {
            "checkpoint": packed_checkpoint(record),
            "routing": (record.get("state") or {}).get("routing"),
            # With the state that they led to: a verb is done once, wherever this process ends.
            "consumed": dict(entry.consumed),
            "command": dict(entry.command) or None,
        }
        await self._write(release, changes)
        self._decisions[release] = list(record.get("decisions", ()))

    async def append(self, release: str, entry: Mapping[str, Any]) -> None:
        """See ``ports.Journal``."""
        if self._files is not None:
            await self._files.append(release, entry)
        if entry.get("entry") == "decision":
            self._told(release, entry)

    async def entries(self, release: str) -> Sequence[Mapping[str, Any]]:
        """See ``ports.Journal``; without files the decisions of the checkpoint."""
        if self._files is not None:
            return await self._files.entries(release)
        return [{"entry": "decision", **item} for item in self._decisions.get(release, ())]

    async def forget(self, release: str) -> None:
        """See ``ports.Journal``."""
        await self._write(release, {"checkpoint": None, "routing": None})

    async def _write(self, release: str, changes: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                await self._book.write(release, changes)
        except TimeoutError as error:
            reason = f"the API server has not answered for {WRITE_S:g} s"
            raise StateError(f"status cannot be written: {reason}") from error
        except (TransientError, RefusedError, SpecError) as error:
            raise StateError(f"status cannot be written: {error}") from error
