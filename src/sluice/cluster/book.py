"""What the controller knows of each Release object, and the one way in which it writes status."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.cluster.conditions import Acceptance
from sluice.cluster.fitting import merge_patch
from sluice.cluster.keys import split
from sluice.errors import TransientError
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import RELEASE


@dataclass(kw_only=True)
class Entry:
    """One Release object."""

    status: dict[str, Any] = field(default_factory=dict)
    """As the API server has it."""
    acceptance: Acceptance = field(default_factory=Acceptance)
    consumed: dict[str, str] = field(default_factory=dict)
    """Values of annotations that were done; written with the checkpoint that holds their effect."""
    command: dict[str, str] = field(default_factory=dict)
    """The answer to the newest verb."""
    uid: str = ""
    wanted: dict[str, Any] = field(default_factory=dict)
    """Fields that nobody has sent yet."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a patch of the object is under way."""


class Book:
    """All Release objects.

    Args:
        client: Writes status.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._entries: defaultdict[str, Entry] = defaultdict(Entry)
        self.patches = 0
        """Writes since the start."""

    def __getitem__(self, key: str) -> Entry:
        """The entry of a release; a new one when it is not known yet."""
        return self._entries[key]

    def drop(self, key: str) -> None:
        """The object is gone."""
        self._entries.pop(key, None)

    def read(self, key: str, status: Mapping[str, Any], uid: str) -> None:
        """Take up what another controller wrote before."""
        entry = self._entries[key]
        entry.status, entry.uid = dict(status), uid
        entry.consumed = dict(status.get("consumed") or {})
        entry.command = dict(status.get("command") or {})
        entry.acceptance = _acceptance(status)

    async def write(self, key: str, changes: Mapping[str, Any]) -> bool:
        """Make fields of a status so; False when they were so already.

        A caller that gives up leaves its request under way, and nobody else's begins before that
        has ended: an older checkpoint must never arrive after a newer one. What could not be sent
        in time goes with the next write.

        Raises:
            TransientError: the API server cannot be reached.
            RefusedError: it does not allow this.
            SpecError: a field is not as the CRD has it.
        """
        entry = self._entries[key]
        entry.wanted |= changes
        await entry.lock.acquire()
        wanted, entry.wanted = entry.wanted, {}
        sending = asyncio.ensure_future(self._send(key, entry, wanted))
        sending.add_done_callback(lambda task: _ended(task, entry.lock))
        return await asyncio.shield(sending)

    async def _send(self, key: str, entry: Entry, wanted: Mapping[str, Any]) -> bool:
        patch = merge_patch(entry.status, wanted)
        if not patch:
            return False
        namespace, name = split(key)
        try:
            self.patches += 1
            await self._client.patch(
                RELEASE, name, namespace, {"status": patch}, subresource="status"
            )
        except NotThere:
            return False  # deleted meanwhile: nobody reads it any more
        except TransientError:
            # It may have arrived all the same: what is there now is unknown, so it is sent again.
            entry.status.pop("checkpoint", None)
            raise
        entry.status |= wanted
        for gone in [name for name, value in entry.status.items() if value is None]:
            del entry.status[gone]
        return True


def _ended(task: "asyncio.Task[bool]", lock: asyncio.Lock) -> None:
    lock.release()
    if not task.cancelled():
        task.exception()  # who gave up does not hear of it


def _acceptance(status: Mapping[str, Any]) -> Acceptance:
    """What was said of the spec before this process began."""
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    running = conditions.get("Promoted", {}).get("observedGeneration", 0)
    accepted = conditions.get("Accepted", {})
    known = {key: accepted[key] for key in ("reason", "message") if accepted.get(key)}
    return Acceptance(seen=status.get("observedGeneration", 0), running=running, **known)
