"""What documents say of one another: names used once, references that lead somewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.spec.along import stages_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """How messages call the place that holds all documents."""

    place: str
    """As in: no ReleasePolicy "taxi" is in PLACE."""
    remedy: str
    """What to do about one that is missing."""


FILES = Where(place="the given files", remedy="give its file too")


def get(raw: object, *path: str) -> object:
    """The value at ``path`` of an unchecked value, None where there is none."""
    for key in path:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw


def broken_links(
    sources: Sequence[Source], where: Where = FILES
) -> Iterator[tuple[Source, Loc, str]]:
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
                reason = _nowhere("ReleasePolicy", name, policies, where)
                yield source, ("spec", "policyRef", "name"), reason
        elif source.kind == "ReleasePolicy":
            for i, objective in enumerate(items(source.value, "spec", "objectives")):
                name = get(objective, "sloRef")
                if isinstance(name, str) and name not in slos:
                    reason = _nowhere("SLO", name, slos, where)
                    yield source, ("spec", "objectives", i, "sloRef"), reason


def _nowhere(kind: str, name: str, known: Sequence[str], where: Where) -> str:
    hint = nearest(name, known)
    if not hint:
        hint = f": {where.remedy} (here: {', '.join(map(shown, known)) or 'none'})"
    return f"no {kind} {shown(name)} is in {where.place}{hint}"


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
        own: set[str] = set()
        for loc, host in _hosts(source.value, name):
            if not isinstance(host, str):
                continue
            if "preview" in loc and (host == "*" or host in own):
                yield source, loc, f"{shown(host)} has live traffic: give the preview its own host"
            elif "preview" not in loc:
                own.add(host)
            if owners.setdefault(host, name) != name:
                yield source, loc, f"{shown(host)} belongs to release {shown(owners[host])} already"


def _hosts(release: object, name: str) -> Iterator[tuple[Loc, object]]:
    """Every host that an unchecked release takes, its previews' too."""
    for i, host in enumerate(items(release, "spec", "traffic", "hosts") or (name,)):
        yield ("spec", "traffic", "hosts", i), host
    for loc, stage in stages_of(get(release, "spec", "strategy")):
        if not isinstance(stage.get("blueGreen"), Mapping):
            continue
        at: Loc = ("spec", "strategy", *loc, "blueGreen", "preview", "hosts")
        preview = get(stage, "blueGreen", "preview")
        if isinstance(preview, Mapping) and "hosts" in preview:
            for i, host in enumerate(items(preview, "hosts")):
                yield (*at, i), host
        else:
            yield at, f"preview.{name}"
