"""Who owns which field, kept simple: maps are merged by key, lists are one value.

The API server merges some lists by a key (containers by name); a test that leans on that runs
against a real one.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
Object = dict[str, Any]

_IDENTITY = ("apiVersion", "kind")
_ATOMIC = frozenset({"selector"})
"""Maps that the API server takes as one value."""
_SERVERS = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "managedFields",
    }
)


def leaves(value: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """Paths of everything that is no map, and of empty maps; the server's own are left out."""
    for key, below in value.items():
        path = (*at, key)
        if path[0] in _IDENTITY or (len(path) == 2 and path[0] == "metadata" and key in _SERVERS):
            continue
        if isinstance(below, Mapping) and below and key not in _ATOMIC:
            yield from leaves(below, path)
        else:
            yield path


def value_at(obj: Mapping[str, Any], path: Path) -> Any:
    """What stands there; None when nothing does."""
    found: Any = obj
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def put(obj: Object, path: Path, value: Any) -> None:
    """Set a field, with the maps above it."""
    for key in path[:-1]:
        if not isinstance(obj.get(key), dict):
            obj[key] = {}
        obj = obj[key]
    obj[path[-1]] = copy.deepcopy(value)


def drop(obj: Object, path: Path) -> None:
    """Take a field away, with the maps above it that become empty."""
    above = value_at(obj, path[:-1]) if len(path) > 1 else obj
    if not isinstance(above, dict):
        return
    above.pop(path[-1], None)
    if not above and len(path) > 2:
        drop(obj, path[:-1])


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def named(path: Path) -> str:
    """As the API server writes it: ``.spec.replicas``."""
    return "." + ".".join(path)
