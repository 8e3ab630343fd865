"""Makes objects so, and calls nobody when they are."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.kube.client import KubeClient
from sluice.kube.kinds import kind_of
from sluice.platforms.kubernetes.names import MANAGER

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Resource, namespace and name."""
ATOMIC = frozenset({"selector"})
"""A key more selects something else."""
UNSEEN_S = 30.0
"""An object that no watch has shown for so long after it was applied is taken for gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An object as it should be."""

    obj: Object
    key: Key
    digest: str

    @classmethod
    def of(cls, obj: Object) -> "Wanted":
        """Of an object that is not written to any more."""
        metadata = obj["metadata"]
        key = (kind_of(obj).resource, metadata.get("namespace", ""), metadata["name"])
        text = json.dumps(obj, sort_keys=True, separators=(",", ":"))
        return cls(obj=obj, key=key, digest=hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What an object was when it last was as it should be."""

    digest: str
    version: str
    generation: int | None
    at_s: float
    seen: bool
    """A watch has shown it since."""


class Applier:
    """Remembers which version of every object was found, or made, as it should be.

    Args:
        client: The API server.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: dict[Key, _Known] = {}

    async def ensure(self, wanted: Wanted, seen: Mapping[str, Any] | None) -> None:
        """Apply an object unless it is so already.

        Args:
            wanted: As it should be.
            seen: As a watch last saw it.
        """
        if not self.holds(wanted, seen):
            self.made(wanted, await self._client.apply(wanted.obj, manager=MANAGER))

    def made(self, wanted: Wanted, answer: Mapping[str, Any]) -> None:
        """The server says that it is so now."""
        self._remember(wanted, answer, seen=False)

    def holds(self, wanted: Wanted, seen: Mapping[str, Any] | None) -> bool:
        """Whether an object is as it should be, as far as was seen; asks nobody.

        What a watch shows may be older than what was done last: that says nothing.
        """
        known = self._known.get(wanted.key)
        if known is not None and known.digest != wanted.digest:
            known = None
        if seen is None:
            return known is not None and not known.seen and _now_s() - known.at_s < UNSEEN_S
        metadata = seen["metadata"]
        version, generation = metadata["resourceVersion"], metadata.get("generation")
        if known is not None:
            if version == known.version:
                self._known[wanted.key] = replace(known, seen=True)
                return True
            if _older(version, known.version):
                return True
            same = generation is not None and generation == known.generation
            if same and contains(metadata, wanted.obj["metadata"]):
                self._remember(wanted, seen, seen=True)
                return True
        if not contains(seen, wanted.obj):
            return False
        self._remember(wanted, seen, seen=True)
        return True

    def forget(self, key: Key) -> None:
        """It was deleted, or changed by other means: what was known of it says nothing."""
        self._known.pop(key, None)

    def _remember(self, wanted: Wanted, obj: Mapping[str, Any], *, seen: bool) -> None:
        metadata = obj["metadata"]
        self._known[wanted.key] = _Known(
            digest=wanted.digest,
            version=metadata["resourceVersion"],
            generation=metadata.get("generation"),
            at_s=_now_s(),
            seen=seen,
        )


def contains(there: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; lists item by item, selectors as a whole."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            there.get(key) == value if key in ATOMIC else contains(there.get(key), value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(there, list | tuple)
            and len(there) == len(wanted)
            and all(map(contains, there, wanted))
        )
    return bool(there == wanted)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _older(version: str, than: str) -> bool:
    # Comparable by promise since Kubernetes 1.35, and before it by how etcd counts.
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
