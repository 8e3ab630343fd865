"""Objects with versions, owners of fields, owners of objects, and a history for watches."""

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.kube.kinds import NAMESPACE, POD, Kind
from sluice.testing.kube.fields import Path, drop, leaves, named, put, value_at

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Resource, namespace (empty without one), name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the history."""

    version: int
    resource: str
    before: Object | None
    after: Object | None


@dataclass(slots=True, kw_only=True)
class Stored:
    """An object and who manages its fields."""

    kind: Kind
    obj: Object
    owners: dict[str, set[Path]] = field(default_factory=dict)


class FieldConflict(Exception):  # noqa: N818  # what happened
    """Another manager has another value there."""


class Store:
    """What an API server keeps. ``told`` is called after every change."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now
        self._objects: dict[Key, Stored] = {}
        self._uids = itertools.count(1)
        self.version = 1
        self.oldest = 0
        """Changes up to this version are forgotten."""
        self.history: list[Change] = []
        self.told: list[Callable[[], None]] = []

    def find(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        """An object as it is kept; not to be written to."""
        return self._objects.get((kind.resource, namespace if kind.namespaced else "", name))

    def all(self, kind: Kind, namespace: str | None) -> Iterator[Stored]:
        """Objects of a kind by namespace and name."""
        for (resource, place, _), stored in sorted(self._objects.items()):
            if resource == kind.resource and namespace in (None, place):
                yield stored

    def compact(self) -> None:
        """Forget the history: watches from before now must list again."""
        self.history.clear()
        self.oldest = self.version

    def put(
        self, kind: Kind, obj: Object, owners: dict[str, set[Path]], *, dry_run: bool = False
    ) -> Object:
        """Keep a new state of an object; the same state again is no change."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "") if kind.namespaced else ""
        key = (kind.resource, namespace, metadata["name"])
        before = self._objects.get(key)
        obj = copy.deepcopy(obj)
        metadata = obj["metadata"]
        if before is None:
            metadata["uid"] = f"00000000-0000-4000-8000-{next(self._uids):012d}"
            metadata["creationTimestamp"] = self._now()
            metadata["generation"] = 1
        else:
            for name in ("uid", "creationTimestamp", "generation", "deletionTimestamp"):
                if name in before.obj["metadata"]:
                    metadata[name] = before.obj["metadata"][name]
            if _desired(before.obj) != _desired(obj):
                metadata["generation"] += 1
            metadata["resourceVersion"] = before.obj["metadata"]["resourceVersion"]
            if before.obj == obj and before.owners == owners:
                return copy.deepcopy(obj)
        if dry_run:
            return obj
        self._keep(key, before, Stored(kind=kind, obj=obj, owners=owners))
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and not _runs(obj):
            self.drop(kind, namespace, metadata["name"])
        return copy.deepcopy(obj)

    def delete(self, kind: Kind, namespace: str, name: str, *, now: bool = False) -> Object | None:
        """As a user asks for it: finalizers hold it, and a pod on a node goes when the node says
        so, which is ``now``.
        """
        stored = self.find(kind, namespace, name)
        if stored is None:
            return None
        obj = copy.deepcopy(stored.obj)
        if obj["metadata"].get("finalizers") or (_runs(obj) and not now):
            if "deletionTimestamp" not in obj["metadata"]:
                obj["metadata"]["deletionTimestamp"] = self._now()
                key = (kind.resource, namespace if kind.namespaced else "", name)
                self._keep(key, stored, Stored(kind=kind, obj=obj, owners=stored.owners))
            return obj
        self.drop(kind, namespace, name)
        return obj

    def drop(self, kind: Kind, namespace: str, name: str) -> None:
        """Take an object away, and what it owned."""
        gone = self._objects.pop((kind.resource, namespace if kind.namespaced else "", name))
        last = copy.deepcopy(gone.obj)
        self.version += 1
        last["metadata"]["resourceVersion"] = str(self.version)
        self._record(kind, last, None)
        self._collect(gone)

    def _keep(self, key: Key, before: Stored | None, after: Stored) -> None:
        self.version += 1
        after.obj["metadata"]["resourceVersion"] = str(self.version)
        self._objects[key] = after
        self._record(after.kind, before.obj if before else None, after.obj)

    def _record(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        self.history.append(
            Change(version=self.version, resource=kind.resource, before=before, after=after)
        )
        for told in tuple(self.told):
            told()

    def _collect(self, gone: Stored) -> None:
        """Delete what nobody owns any more, as the garbage collector does, only at once."""
        living = {stored.obj["metadata"]["uid"] for stored in self._objects.values()}
        for (_, namespace, name), stored in list(self._objects.items()):
            owners = stored.obj["metadata"].get("ownerReferences") or ()
            orphan = owners and not any(owner["uid"] in living for owner in owners)
            inside = gone.kind == NAMESPACE and namespace == gone.obj["metadata"]["name"]
            if (orphan or inside) and self.find(stored.kind, namespace, name) is not None:
                self.delete(stored.kind, namespace, name)


def applied(
    before: Stored | None, obj: Mapping[str, Any], manager: str, *, force: bool
) -> tuple[Object, dict[str, set[Path]]]:
    """What server-side apply makes of an object.

    Raises:
        FieldConflict: another manager has another value, and this one does not force it.
    """
    wanted = set(leaves(obj))
    if before is None:
        return copy.deepcopy(dict(obj)), {manager: wanted}
    merged = copy.deepcopy(before.obj)
    owners = {name: set(paths) for name, paths in before.owners.items()}
    for path in sorted(wanted):
        value = value_at(obj, path)
        differs = value_at(merged, path) != value
        others = [name for name, paths in owners.items() if name != manager and path in paths]
        if differs and others and not force:
            raise FieldConflict(f'conflict with "{others[0]}": {named(path)}')
        if differs:
            for other in others:
                owners[other].discard(path)
    for path in owners.get(manager, set()) - wanted:
        if not any(path in paths for name, paths in owners.items() if name != manager):
            drop(merged, path)
    for path in sorted(wanted):
        put(merged, path, value_at(obj, path))
    owners[manager] = wanted
    return merged, {name: paths for name, paths in owners.items() if paths}


def updated(before: Stored | None, obj: Mapping[str, Any], manager: str) -> dict[str, set[Path]]:
    """Owners of fields after a manager wrote an object without apply."""
    owners = {name: set(paths) for name, paths in before.owners.items()} if before else {}
    there = set(leaves(obj))
    changed = {
        path
        for path in there
        if before is None or value_at(before.obj, path) != value_at(obj, path)
    }
    owners = {name: (paths & there) - changed for name, paths in owners.items()}
    owners[manager] = owners.get(manager, set()) | changed
    return {name: paths for name, paths in owners.items() if paths}


def _desired(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _runs(obj: Mapping[str, Any]) -> bool:
    return obj["kind"] == POD.kind and bool(value_at(obj, ("spec", "nodeName")))
