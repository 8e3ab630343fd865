"""What Gateways say of a route in its status."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.dataplanes.gateway.settings import ParentRef

WAITS_FOR = frozenset({"BackendNotFound", "Pending", "NoMatchingParent"})
"""Reasons that may pass by themselves: a Service or a listener that is made just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one Gateway says of one version of a route."""

    parent: ParentRef
    accepted: bool = False
    refused: str = ""
    """Why it will not serve it; empty: it has not said so."""
    waits: str = ""
    """Why it does not serve it yet."""


def words_of(route: Mapping[str, Any], parents: Sequence[ParentRef]) -> tuple[Word, ...]:
    """What every Gateway says of a route as it is now; what it said of older ones does not count.

    Args:
        route: As read from the API server.
        parents: Whose word is wanted.
    """
    version = int(route.get("metadata", {}).get("generation", 0))
    said = route.get("status", {}).get("parents") or []
    return tuple(_word(parent, list(_conditions(parent, said)), version) for parent in parents)


def _conditions(
    parent: ParentRef, said: Sequence[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Conditions of all controllers that speak for this Gateway."""
    for entry in said:
        ref = entry.get("parentRef", {})
        # A status names the namespace only where it is not the route's own: then it is ours.
        same = ref.get("name") == parent.name and ref.get("namespace") in (None, parent.namespace)
        if same and ref.get("sectionName", "") in ("", parent.section):
            yield from entry.get("conditions") or []


def _word(parent: ParentRef, conditions: Sequence[Mapping[str, Any]], version: int) -> Word:
    newest = [item for item in conditions if int(item.get("observedGeneration", 0)) >= version]
    no = [item for item in newest if item.get("status") == "False"]
    no = [item for item in no if item.get("type") in ("Accepted", "ResolvedRefs")]
    for item in no:
        why = f"{item.get('reason', '')}: {item.get('message', '')}".strip(": ")
        if item.get("reason") in WAITS_FOR:
            return Word(parent=parent, waits=why)
        return Word(parent=parent, refused=why or "no reason given")
    yes = any(item.get("type") == "Accepted" and item.get("status") == "True" for item in newest)
    if yes:
        return Word(parent=parent, accepted=True)
    older = "it speaks of an older version of it" if conditions else "it has said nothing of it"
    return Word(parent=parent, waits=older)
