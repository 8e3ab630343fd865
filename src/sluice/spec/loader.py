"""Files to checked documents: every fault of every document at once, or all of them whole."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import ValidationError

from sluice.errors import Fault, SpecError
from sluice.spec.base import Loc
from sluice.spec.links import FILES, Source, Where, broken_links
from sluice.spec.places import Place, dotted
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.scalars import shown
from sluice.spec.slo import SLO
from sluice.spec.tree import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Tree, Unreadable, decode, read
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
_SCALARS = (str, int, float, bool, NoneType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to load instead of a file."""

    text: str | bytes
    name: str = ""
    """What messages call it."""


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
    names: list[str] = []
    for source in sources:
        name = _name(source)
        names.append(name)
        try:
            trees = list(_trees(source, stdin, name, faults))
        except (OSError, ValueError) as error:
            faults.append(Fault(path="file", reason=_unopened(error), file=name))
            continue
        for tree in trees:
            told = frozenset(fault.loc for fault in tree.faults)
            place = Place(file=name, lines=tree.lines, told=told)
            found.append(Source(value=tree.value, place=place))
    return _checked(found, faults, names, known)


def from_objects(
    objects: Iterable[object],
    *,
    name: str = "",
    known: Documents | None = None,
    where: Where = FILES,
) -> Documents:
    """Check documents that are parsed already, such as those of an API or a checkpoint.

    Args:
        objects: JSON objects.
        name: What messages call their origin.
        known: Documents that exist already: references may lead to them.
        where: How messages call the place that holds all documents.

    Raises:
        SpecError: with every fault of every document.
    """
    faults: list[Fault] = []
    found: list[Source] = []
    place = Place(file=name)
    for value in objects:
        reason = _not_json(value)
        if reason:
            faults.append(place.fault((), reason))
        else:
            found.append(Source(value=value, place=place))
    return _checked(found, faults, [name], known, where)


def to_object(document: Document) -> dict[str, Any]:
    """The document as a JSON object, with the fields that its file gave."""
    return document.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _name(source: str | Path | Text) -> str:
    if isinstance(source, Text):
        return source.name
    return "stdin" if str(source) == "-" else str(source)


def _unopened(error: OSError | ValueError) -> str:
    """Why a file could not be opened; a path with a null character is a ValueError."""
    if isinstance(error, IsADirectoryError):
        return "is a folder: name its files"
    return f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


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
        text = source.text
        return decode(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    if str(source) == "-":
        return decode(stdin())
    with Path(source).open("rb") as file:
        return decode(file.read(MAX_BYTES + 1))


def _checked(
    found: Sequence[Source],
    faults: list[Fault],
    names: Sequence[str],
    known: Documents | None = None,
    where: Where = FILES,
) -> Documents:
    """Documents, or every fault in the order of the named sources and their lines."""
    documents: list[Document] = []
    places: dict[tuple[str, str], Place] = {}
    readable = [source for source in found if _is_known(source, faults)]
    wrong: list[tuple[Source, Loc, str]] = []
    for source in readable:
        model = MODELS[source.kind]
        try:
            document = model.model_validate(source.value)
        except ValidationError as error:
            wrong += [(source, loc, reason) for loc, reason in relations_in(error, model)]
        else:
            documents.append(document)
            places[document.kind, document.name] = source.place
    given = {(source.kind, source.name) for source in readable}
    there = [item for item in known or () if (item.kind, item.name) not in given]
    documents += [item for item in there if not isinstance(item, Release)]
    # Known ones first: a host that two releases claim is the fault of the given one.
    place = Place(file=names[0] if names else "")
    before = [Source(value=to_object(item), place=place) for item in there]
    wrong += broken_links([*before, *readable], where)
    faults += [
        source.place.fault(loc, reason)
        for source, loc, reason in wrong
        if loc not in source.place.told
    ]
    if faults:
        raise SpecError(sorted(faults, key=lambda fault: (names.index(fault.file), fault.line)))
    return Documents(
        releases=tuple(d for d in documents if isinstance(d, Release)),
        policies=tuple(d for d in documents if isinstance(d, ReleasePolicy)),
        slos=tuple(d for d in documents if isinstance(d, SLO)),
        places=places,
    )


def _is_known(source: Source, faults: list[Fault]) -> bool:
    """Whether a model can say more about a document; if not, ``faults`` says why."""
    value, place = source.value, source.place
    if not isinstance(value, Mapping):
        reason = f"must be an object with apiVersion and kind, not {shown(value)}"
        faults.append(place.fault((), reason))
        return False
    if source.kind in MODELS:
        return True
    kind = value.get("kind")
    hint = nearest(source.kind, MODELS) or f"; known: {', '.join(MODELS)}"
    if kind in OTHERS:
        hint = ": OpenSLO has it and Sluice does not need it; keep it in a file of its own"
    if kind is None:
        faults.append(place.fault(("kind",), f"is missing: one of {', '.join(MODELS)}"))
    else:
        faults.append(place.fault(("kind",), f"{shown(kind)} is not read{hint}"))
    version = value.get("apiVersion")
    versions = dict.fromkeys(API_VERSIONS.values())
    if version is None:
        faults.append(place.fault(("apiVersion",), f"is missing: {' or '.join(versions)}"))
    elif version not in [*versions]:
        hint = nearest(version, versions) if isinstance(version, str) else ""
        faults.append(place.fault(("apiVersion",), f"{shown(version)} is unknown{hint}"))
    return False


def _not_json(value: Any) -> str:
    """Why a value is no JSON within our limits; empty when it is."""
    count = 0
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return f"is nested more than {MAX_DEPTH} deep or holds more than {MAX_VALUES} values"
        kind = type(item)
        if kind is dict:
            if any(type(key) is not str for key in item):
                return "is no JSON: a key is not text"
            waiting += [(child, depth + 1) for child in item.values()]
        elif kind is list:
            waiting += [(child, depth + 1) for child in item]
        elif kind is float and not isfinite(item):
            return f"is no JSON: {item} is no number"
        elif kind not in _SCALARS:
            return f"is no JSON: it holds a {kind.__name__}"
    return ""
