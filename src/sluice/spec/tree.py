"""YAML text to plain values with the line of every key: strict, bounded, every fault told.

Scalars follow the YAML 1.2 core schema, which is JSON's. Plain words that YAML readers disagree
about (``yes``, ``010``) are refused, because kubectl would read the same file differently.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from sluice.spec.base import Loc
from sluice.spec.scalars import shown

MAX_BYTES = 1 << 20
"""Largest file; a release is a few kilobytes."""
MAX_DEPTH = 64
MAX_VALUES = 50_000
"""Most values of a file, each use of an alias counted in full: anchors cannot explode."""

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_NULL = ("", "~", "null", "Null", "NULL")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DISAGREED = re.compile(
    r"[yn]|yes|no|on|off|[-+]?0[0-9_]+|[-+]?0b[01_]+|[-+]?[0-9][0-9]*_[0-9_]*", re.I | re.ASCII
)
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)


@dataclass(slots=True)
class Lines:
    """Line of a value and of everything below it, 1-based."""

    line: int
    below: dict[str | int, "Lines"] = field(default_factory=dict)

    def of(self, loc: Loc) -> int:
        """Line of the value at ``loc``, or of the nearest value around it that exists."""
        found = self
        for part in loc:
            if part not in found.below:
                break
            found = found.below[part]
        return found.line


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFault:
    """One thing that is wrong with the text itself."""

    line: int
    loc: Loc
    reason: str


@dataclass(slots=True, kw_only=True)
class Tree:
    """One document: its value, its lines, and the faults that did not end reading."""

    value: Any
    lines: Lines
    faults: list[TreeFault]


class Unreadable(Exception):  # noqa: N818  # what the text is
    """The rest of a text cannot be read at all."""

    def __init__(self, line: int, reason: str, loc: Loc = ()) -> None:
        self.fault = TreeFault(line=line, loc=loc, reason=reason)
        super().__init__(reason)


def decode(data: bytes) -> str:
    """Text of a file.

    Raises:
        Unreadable: too large, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(0, f"is larger than {MAX_BYTES >> 20} MiB: this is no spec")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"is not UTF-8 (byte 0x{data[error.start]:02x}): save the file as UTF-8"
        raise Unreadable(line, reason) from error


def read(text: str) -> Iterator[Tree]:
    """The documents of a text, in order; empty ones are left out.

    Raises:
        Unreadable: from the next document on, where the text is no YAML or is beyond a limit.
    """
    try:
        yield from _Reader(text).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 0, _syntax(error, text)) from error
    except yaml.reader.ReaderError as error:
        # The error's position is in bytes or characters, depending on the reader: look ourselves.
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        which = f"U+{ord(found.group()):04X}" if found else error.reason
        raise Unreadable(line, f"holds a character that YAML does not allow: {which}") from error


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    lines = text.splitlines()
    if mark is not None and mark.line < len(lines):
        line = lines[mark.line]
        if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column :][:1] == "\t":
            return "a tab: YAML is indented by spaces"
    context = f" ({error.context})" if error.context else ""
    return f"is no YAML: {error.problem}{context}"


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


class _Reader:
    """Builds values from events: no recursion in C, so that depth is ours to bound."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Event] = yaml.parse(text, Loader=_LOADER)
        self.count = 0
        self.anchors: dict[str, tuple[Any, Lines, int]] = {}
        self.faults: list[TreeFault] = []

    def documents(self) -> Iterator[Tree]:
        for event in self.events:
            if isinstance(event, StreamEndEvent):
                return
            if not isinstance(event, DocumentStartEvent):
                continue
            self.anchors, self.faults = {}, []
            value, lines = self.value(next(self.events), ())
            while not isinstance(next(self.events), DocumentEndEvent):
                pass
            if value is not None or self.faults:
                yield Tree(value=value, lines=lines, faults=self.faults)

    def value(self, event: Event, loc: Loc) -> tuple[Any, Lines]:
        line = _line(event)
        self.spend(1, line, loc)
        if isinstance(event, AliasEvent):
            return self.alias(event, line, loc)
        began = self.count
        if isinstance(event, ScalarEvent):
            value, lines = self.scalar(event, loc), Lines(line)
        elif len(loc) >= MAX_DEPTH:
            raise Unreadable(line, f"is nested more than {MAX_DEPTH} deep", loc[:8])
        else:
            self.refuse_tag(event, line, loc)
            if isinstance(event, MappingStartEvent):
                value, lines = self.mapping(line, loc)
            else:
                value, lines = self.sequence(line, loc)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = (value, lines, self.count - began + 1)
        return value, lines

    def spend(self, values: int, line: int, loc: Loc) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            reason = f"holds more than {MAX_VALUES} values, aliases counted in full"
            raise Unreadable(line, reason, loc[:8])

    def alias(self, event: AliasEvent, line: int, loc: Loc) -> tuple[Any, Lines]:
        if event.anchor not in self.anchors:
            self.fault(line, loc, f"alias {shown(event.anchor)} has no anchor before it")
            return None, Lines(line)
        value, lines, size = self.anchors[event.anchor]
        self.spend(size, line, loc)
        return value, Lines(line, lines.below)

    def sequence(self, line: int, loc: Loc) -> tuple[list[Any], Lines]:
        values: list[Any] = []
        lines = Lines(line)
        while not isinstance(event := next(self.events), SequenceEndEvent):
            value, below = self.value(event, (*loc, len(values)))
            lines.below[len(values)] = below
            values.append(value)
        return values, lines

    def mapping(self, line: int, loc: Loc) -> tuple[dict[str, Any], Lines]:
        values: dict[str, Any] = {}
        lines = Lines(line)
        while not isinstance(event := next(self.events), MappingEndEvent):
            at = _line(event)
            key = self.key(event, loc)
            value, below = self.value(next(self.events), (*loc, key))
            if key in values:
                first = lines.below[key].line
                self.fault(at, (*loc, key), f"is given twice, first in line {first}: keep one")
                continue
            values[key] = value
            lines.below[key] = Lines(at, below.below)
        return values, lines

    def key(self, event: Event, loc: Loc) -> str:
        line = _line(event)
        if not isinstance(event, ScalarEvent):
            raise Unreadable(line, "a key must be text, not a list, an object or an alias", loc)
        self.refuse_tag(event, line, loc)
        if event.value == "<<" and event.implicit[0]:
            self.fault(line, loc, "merge keys (<<) are not read: write the fields out")
        elif event.implicit[0] and _DISAGREED.fullmatch(event.value):
            self.disagreed(event.value, line, (*loc, event.value))
        return event.value

    def scalar(self, event: ScalarEvent, loc: Loc) -> Any:
        text, line = event.value, _line(event)
        if not event.implicit[0]:
            self.refuse_tag(event, line, loc)
            return text
        if text in _NULL:
            return None
        if text in _TRUTH:
            return _TRUTH[text]
        if _DISAGREED.fullmatch(text):
            self.disagreed(text, line, loc)
            return text
        return self.number(text, line, loc)

    def number(self, text: str, line: int, loc: Loc) -> Any:
        if _HEXADECIMAL.fullmatch(text):
            value: int | float = int(text, 0) if len(text) <= 18 else 1 << 64
        elif _INTEGER.fullmatch(text):
            value = int(text) if len(text) <= 20 else 1 << 64
        elif _FLOAT.fullmatch(text):
            value = float(text)
        elif _NOT_FINITE.fullmatch(text):
            value = float("inf")
        else:
            return text
        if not -(1 << 63) <= value < 1 << 63:
            self.fault(line, loc, f"{shown(text)} is no number that JSON can carry")
            return 0
        return value

    def disagreed(self, text: str, line: int, loc: Loc) -> None:
        meant = " or true/false" if text.isalpha() else ""
        reason = f"YAML readers disagree what {text} means: write it in quotes{meant}"
        self.fault(line, loc, reason)

    def refuse_tag(self, event: Any, line: int, loc: Loc) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.fault(line, loc, f"tag {shown(tag)} is not read: write the value plainly")

    def fault(self, line: int, loc: Loc, reason: str) -> None:
        self.faults.append(TreeFault(line=line, loc=loc, reason=reason))
