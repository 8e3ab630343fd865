"""What documents say of one another: names used once, references that lead somewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.spec.base import Loc
from sluice.spec.places import Place
from sluice.spec.scalars import shown
from sluice.spec.template import items
from sluice.spec.words import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One unchecked document and where it stands."""

    value: Any
    place: Place

    @property
    def kind(self) -> str:
        """Its kind as it is written; empty when it is no text."""
        kind = get(self.value, "kind")
        return kind if isinstance(kind, str) else ""

    @property
    def name(self) -> str | None:
        """Its name as it is written; None when it is no text."""
        name = get(self.value, "metadata", "name")
        return name if isinstance(name, str) else None


def get(raw: object, *path: str) -> object:
    """The value at ``path`` of an unchecked value, None where there is none."""
    for key in path:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw


def broken_links(sources: Sequence[Source]) -> Iterator[tuple[Source, Loc, str]]:
    """Every fault between documents, as (document, place, reason).

    Reads unchecked values, so that a fault inside a document hides none between documents.
    """
    yield from _twice(sources)
    yield from _claimed_hosts(sources)
    policies = [s.name for s in sources if s.kind == "ReleasePolicy" and s.name is not None]
    slos = [s.name for s in sources if s.kind == "SLO" and s.name is not None]
    for source in sources:
        if source.kind == "Release":
            name = get(source.value, "spec", "policyRef", "name")
            if isinstance(name, str) and name not in policies:
                reason = _nowhere("ReleasePolicy", name, policies)
                yield source, ("spec", "policyRef", "name"), reason
        elif source.kind == "ReleasePolicy":
            for i, objective in enumerate(items(source.value, "spec", "objectives")):
                name = get(objective, "sloRef")
                if isinstance(name, str) and name not in slos:
                    reason = _nowhere("SLO", name, slos)
                    yield source, ("spec", "objectives", i, "sloRef"), reason


def _nowhere(kind: str, name: str, known: Sequence[str]) -> str:
    hint = nearest(name, known)
    if not hint:
        hint = f": give its file too (here: {', '.join(map(shown, known)) or 'none'})"
    return f"no {kind} {shown(name)} is in the given files{hint}"


def _twice(sources: Sequence[Source]) -> Iterator[tuple[Source, Loc, str]]:
    first: dict[tuple[str, str], Source] = {}
    for source in sources:
        if source.name is None:
            continue
        there = first.setdefault((source.kind, source.name), source)
        if there is not source:
            line = there.place.lines.of(("metadata", "name"))
            where = f"{there.place.file}:{line}" if there.place.file else f"line {line}"
            reason = f"{source.kind} {shown(source.name)} is given already at {where}: keep one"
            yield source, ("metadata", "name"), reason


def _claimed_hosts(sources: Sequence[Source]) -> Iterator[tuple[Source, Loc, str]]:
    owners: dict[str, str] = {}
    for source in sources:
        name = source.name
        if source.kind != "Release" or name is None:
            continue
        hosts = items(source.value, "spec", "traffic", "hosts")
        for i, host in enumerate(hosts or (name,)):
            if not isinstance(host, str) or owners.setdefault(host, name) == name:
                continue
            loc = ("spec", "traffic", "hosts", i)
            yield source, loc, f"{shown(host)} belongs to release {shown(owners[host])} already"
