"""Files to checked documents: every fault of every document at once, or all of them whole."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluice.errors import Fault, SpecError
from sluice.spec.base import Loc
from sluice.spec.links import Source, broken_links
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.scalars import shown
from sluice.spec.slo import SLO
from sluice.spec.tree import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Lines, Tree, Unreadable, decode, read
from sluice.spec.words import nearest, relations_in

Document = Release | ReleasePolicy | SLO
MODELS: Mapping[str, type[Document]] = {
    "Release": Release,
    "ReleasePolicy": ReleasePolicy,
    "SLO": SLO,
}
API_VERSIONS: Mapping[str, str] = {
    "Release": "sluice.dev/v1alpha1",
    "ReleasePolicy": "sluice.dev/v1alpha1",
    "SLO": "openslo/v1",
}
OTHERS = (
    "AlertCondition",
    "AlertNotificationTarget",
    "AlertPolicy",
    "DataSource",
    "SLI",
    "Service",
)
"""Kinds of OpenSLO v1 that stand beside an SLO in many files."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to load instead of a file."""

    text: str | bytes
    name: str = ""
    """What messages call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document stands."""

    file: str = ""
    lines: Lines = field(default_factory=lambda: Lines(0))

    def fault(self, loc: Loc, reason: str) -> Fault:
        """A fault at a place of this document."""
        return Fault(path=dotted(loc), reason=reason, file=self.file, line=self.lines.of(loc))


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Checked documents; their references to each other lead somewhere."""

    releases: tuple[Release, ...] = ()
    policies: tuple[ReleasePolicy, ...] = ()
    slos: tuple[SLO, ...] = ()
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict, compare=False)
    """Where each document stands, by kind and name."""

    def policy_of(self, release: Release) -> ReleasePolicy | None:
        """The policy that a release refers to; None: it names none."""
        ref = release.spec.policy_ref
        if ref is None:
            return None
        return next(policy for policy in self.policies if policy.name == ref.name)

    def place(self, document: Document) -> Place:
        """Where a document stands; line 0 when it did not come from a text."""
        return self.places.get((document.kind, document.name), Place())

    def __iter__(self) -> Iterator[Document]:
        yield from self.releases
        yield from self.policies
        yield from self.slos


def load(
    sources: Iterable[str | Path | Text],
    *,
    known: Documents | None = None,
    stdin: Callable[[], bytes] = lambda: sys.stdin.buffer.read(MAX_BYTES + 1),
) -> Documents:
    """Read and check documents.

    Args:
        sources: Paths of YAML or JSON files with any number of documents, ``-`` for standard
            input, or texts.
        known: Documents that exist already: references may lead to them. Given ones of the same
            kind and name take their place.
        stdin: Reads all of standard input.

    Returns:
        The given documents, and of the known ones the policies and SLOs.

    Raises:
        SpecError: with every fault of every document; nothing is returned then.
    """
    faults: list[Fault] = []
    found: list[Source] = []
    for source in sources:
        name = _name(source)
        try:
            trees = list(_trees(source, stdin, name, faults))
        except OSError as error:
            faults.append(Fault(path="file", reason=_unopened(error), file=name))
            continue
        found += [
            Source(
                kind="",
                value=tree.value,
                file=name,
                lines=tree.lines,
                told=frozenset(fault.loc for fault in tree.faults),
            )
            for tree in trees
        ]
    return _checked(found, faults, known)


def from_objects(objects: Iterable[object], *, name: str = "") -> Documents:
    """Check documents that are parsed already, such as those of an API or a checkpoint.

    Args:
        objects: JSON objects.
        name: What messages call their origin.

    Raises:
        SpecError: with every fault of every document.
    """
    faults: list[Fault] = []
    found = []
    for value in objects:
        reason = _not_json(value)
        if reason:
            faults.append(Fault(path="document", reason=reason, file=name))
        else:
            found.append(Source(kind="", value=value, file=name, lines=Lines(0)))  # type: ignore[arg-type]  # whether it is an object is checked next
    return _checked(found, faults)


def to_object(document: Document) -> dict[str, Any]:
    """The document as a JSON object, with the fields that its file gave."""
    return document.model_dump(mode="json", by_alias=True, exclude_unset=True)


def dotted(loc: Loc) -> str:
    """A place as people write it: ``spec.steps[2].setWeight``, ``annotations["a.b/c"]``."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text or "document"


def _name(source: str | Path | Text) -> str:
    if isinstance(source, Text):
        return source.name
    return "stdin" if str(source) == "-" else str(source)


def _unopened(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "is a folder: name its files"
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _trees(
    source: str | Path | Text, stdin: Callable[[], bytes], name: str, faults: list[Fault]
) -> Iterator[Tree]:
    """The documents of a source that can be read; what cannot is added to ``faults``."""
    any_document = False
    try:
        for tree in read(_content(source, stdin)):
            any_document = True
            faults += [
                Fault(path=dotted(fault.loc), reason=fault.reason, file=name, line=fault.line)
                for fault in tree.faults
            ]
            yield tree
    except Unreadable as unreadable:
        fault = unreadable.fault
        path = dotted(fault.loc) if fault.loc else "file"
        faults.append(Fault(path=path, reason=fault.reason, file=name, line=fault.line))
        return
    if not any_document:
        faults.append(Fault(path="file", reason="is empty: no document in it", file=name))


def _content(source: str | Path | Text, stdin: Callable[[], bytes]) -> str:
    if isinstance(source, Text):
        data = (
            source.text
            if isinstance(source.text, bytes)
            else source.text.encode("utf-8", "replace")
        )
        return decode(data)
    if str(source) == "-":
        return decode(stdin())
    with Path(source).open("rb") as file:
        return decode(file.read(MAX_BYTES + 1))


def _checked(
    found: Sequence[Source], faults: list[Fault], known: Documents | None = None
) -> Documents:
    documents: list[Document] = []
    places: dict[tuple[str, str], Place] = {}
    linked: list[Source] = []
    for source in found:
        place = Place(file=source.file, lines=source.lines)
        if not isinstance(source.value, Mapping):
            reason = (
                f"a document must be an object with apiVersion and kind, not {shown(source.value)}"
            )
            faults.append(place.fault((), reason))
            continue
        kind = _kind(source.value, place, faults)
        if kind is None:
            continue
        linked.append(replace(source, kind=kind))
        try:
            document = MODELS[kind].model_validate(source.value)
        except ValidationError as error:
            relations = relations_in(error, MODELS[kind])
            faults += [
                place.fault(loc, reason) for loc, reason in relations if loc not in source.told
            ]
        else:
            documents.append(document)
            places[document.kind, document.name] = place
    given = {(source.kind, source.name) for source in linked}
    there = [item for item in known or () if (item.kind, item.name) not in given]
    linked += [
        Source(kind=item.kind, value=to_object(item), file="(applied before)", lines=Lines(0))
        for item in there
    ]
    documents += [item for item in there if not isinstance(item, Release)]
    for source, loc, reason in broken_links(linked):
        if loc not in source.told:
            faults.append(Place(file=source.file, lines=source.lines).fault(loc, reason))
    if faults:
        files = {source.file: i for i, source in enumerate(found)}
        raise SpecError(sorted(faults, key=lambda f: (files.get(f.file, len(files)), f.line)))
    return Documents(
        releases=tuple(d for d in documents if isinstance(d, Release)),
        policies=tuple(d for d in documents if isinstance(d, ReleasePolicy)),
        slos=tuple(d for d in documents if isinstance(d, SLO)),
        places=places,
    )


def _kind(value: Mapping[str, Any], place: Place, faults: list[Fault]) -> str | None:
    kind = value.get("kind")
    known = ", ".join(MODELS)
    if kind is None:
        faults.append(place.fault(("kind",), f"is missing: one of {known}"))
    elif not isinstance(kind, str) or kind not in MODELS:
        hint = nearest(kind, MODELS) if isinstance(kind, str) else ""
        if kind in OTHERS:
            hint = ": OpenSLO has it and Sluice does not need it; keep it in a file of its own"
        reason = f"{shown(kind)} is not read{hint or f'; known: {known}'}"
        faults.append(place.fault(("kind",), reason))
    else:
        return kind
    version = value.get("apiVersion")
    if version is None:
        versions = " or ".join(dict.fromkeys(API_VERSIONS.values()))
        faults.append(place.fault(("apiVersion",), f"is missing: {versions}"))
    elif version not in API_VERSIONS.values():
        hint = nearest(version, API_VERSIONS.values()) if isinstance(version, str) else ""
        reason = f"{shown(version)} is unknown{hint}"
        faults.append(place.fault(("apiVersion",), reason))
    return None


def _not_json(value: object) -> str:
    """Why a value is no JSON within our limits; empty when it is."""
    count = 0
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return f"is nested more than {MAX_DEPTH} deep or holds more than {MAX_VALUES} values"
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return "is no JSON: a key is not text"
            waiting += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list):
            waiting += [(child, depth + 1) for child in item]
        elif isinstance(item, float):
            if item != item or item in (float("inf"), float("-inf")):
                return f"is no JSON: {item} is no number"
        elif not isinstance(item, str | int | None):
            return f"is no JSON: it holds a {type(item).__name__}"
    return ""
