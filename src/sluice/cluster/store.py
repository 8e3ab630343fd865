"""Releases, policies and SLOs as they are in the cluster, and what has changed since one looked."""

from collections.abc import Iterable, Mapping
from typing import Any

from sluice.cluster.asked import PREFIX
from sluice.cluster.hosts import Hosts, assign
from sluice.cluster.keys import Object, key_of, split
from sluice.cluster.shelf import Shelf, shelf_of
from sluice.errors import InvariantError

RELEASE, POLICY, SLOS = "Release", "ReleasePolicy", "ConfigMap"
KINDS = (RELEASE, POLICY, SLOS)


class Store:
    """What was last heard of. Whoever changes it need not know what depends on it."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}
        self._shelves: dict[str, Shelf] = {}
        self._hosts: Mapping[str, Hosts] = {}
        self._rehost = False
        self._changed: set[str] = set()

    @property
    def releases(self) -> Mapping[str, Object]:
        """Every Release by key, without its status."""
        return self._objects[RELEASE]

    def put(self, obj: Object) -> bool:
        """An object is new or has changed; True when somebody should look."""
        kind, key = str(obj["kind"]), key_of(obj)
        objects = self._of(kind)
        before = objects.get(key)
        objects[key] = after = _lean(obj)
        if before is not None and _asks(before) == _asks(after):
            return False
        self._note(kind, key)
        return True

    def drop(self, kind: str, key: str) -> bool:
        """An object is gone; True when it was known."""
        if self._of(kind).pop(key, None) is None:
            return False
        self._note(kind, key)
        return True

    def reset(self, kind: str, objects: Iterable[Object]) -> bool:
        """These are all objects of a kind; True when that was not known."""
        given = {key_of(obj): obj for obj in objects}
        gone = [key for key in self._of(kind) if key not in given]
        changes = [self.drop(kind, key) for key in gone]
        changes += [self.put(obj) for obj in given.values()]
        return any(changes)

    def mark(self, key: str) -> None:
        """Look at a release again."""
        self._changed.add(key)

    def take(self) -> set[str]:
        """Keys of releases to look at; nothing twice, until it changes again."""
        if self._rehost:
            before, self._hosts, self._rehost = self._hosts, assign(self.releases.values()), False
            moved = {key for key, hosts in self._hosts.items() if before.get(key) != hosts}
            self._changed |= moved
        changed, self._changed = self._changed, set()
        return changed

    def hosts(self, key: str) -> Hosts:
        """Host names of a release, as of the last :meth:`take`."""
        found = self._hosts.get(key)
        if found is None:
            raise InvariantError(f"{key} has no hosts: it was never taken")
        return found

    def shelf(self, namespace: str) -> Shelf:
        """What the releases of a namespace may refer to."""
        if namespace not in self._shelves:
            self._shelves[namespace] = shelf_of(
                namespace, self._in(POLICY, namespace), self._in(SLOS, namespace)
            )
        return self._shelves[namespace]

    def counts(self) -> Mapping[str, int]:
        """How many objects of each kind there are."""
        return {kind: len(objects) for kind, objects in self._objects.items()}

    def _of(self, kind: str) -> dict[str, Object]:
        return self._objects[kind]

    def _in(self, kind: str, namespace: str) -> list[Object]:
        return [obj for key, obj in self._of(kind).items() if split(key)[0] == namespace]

    def _note(self, kind: str, key: str) -> None:
        if kind == RELEASE:
            self._changed.add(key)
            self._rehost = True
            return
        namespace, _ = split(key)
        self._shelves.pop(namespace, None)
        self._changed |= {other for other in self.releases if split(other)[0] == namespace}


def _lean(obj: Object) -> dict[str, Any]:
    """Without status, and of ``managedFields`` what says who asked for a verb.

    A status of ours is 60 KB; a thousand of them would be the controller's memory.
    """
    metadata: dict[str, Any] = dict(obj["metadata"])
    managed = [item for item in metadata.pop("managedFields", None) or () if _asks_verb(item)]
    if managed:
        metadata["managedFields"] = managed
    annotations = metadata.get("annotations")
    if annotations:
        # What kubectl applied last is the whole object once more.
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name != _LAST_APPLIED
        }
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _asks_verb(entry: Mapping[str, Any]) -> bool:
    fields = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
    return any(name.startswith(f"f:{PREFIX}") for name in fields)


def _asks(obj: Object) -> tuple[object, ...]:
    """Everything but what the controller itself writes."""
    metadata = obj["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("annotations"),
        metadata.get("labels"),
        metadata.get("deletionTimestamp"),
        metadata.get("finalizers"),
        obj.get("spec"),
        obj.get("data"),
    )
