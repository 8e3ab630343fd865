"""A file that grows, read line by line from where the last read ended."""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import TransientError

_HEAD_BYTES = 256
READ_BYTES = 4 << 20
"""Most bytes of one read: a page of a few ten thousand rows, a fraction of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a read ended."""

    offset: int = 0
    line: int = 0
    """Lines before it."""
    head: str = ""
    """Of which file: length and checksum of its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Whole lines of a file."""

    lines: tuple[tuple[int, str], ...]
    """(number, text), 1-based; blank ones are left out."""
    place: Place
    more: bool
    first: str
    """The file's first line, whatever was read before."""


def read_on(path: Path, cursor: str, until: str = "") -> Piece:
    """Whole lines after a cursor; from the start when the file is another one by now.

    Args:
        path: The file.
        cursor: Where the last read ended; empty: the start.
        until: Nothing that lies behind this cursor; empty: all there is.

    Raises:
        TransientError: it cannot be read, or is not UTF-8.
    """
    place = _place(cursor)
    with _explained(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        first = file.readline(1 << 16)
        size = end = file.seek(0, 2)
        if until:
            end = min(size, _place(until).offset)
        if size < place.offset or not _same(place.head, head):
            place = Place()
        file.seek(place.offset)
        content = file.read(min(READ_BYTES, max(0, end - place.offset)))
    # What is behind the last line's end is still being written; the next read has it whole.
    whole = content[: content.rfind(b"\n") + 1]
    offset = place.offset + len(whole)
    if not whole and len(content) == READ_BYTES:
        raise TransientError(f"{path}: line {place.line + 1} is longer than {READ_BYTES} bytes")
    with _explained(path):
        texts = whole.decode("utf-8").split("\n")[:-1]
        heading = first.decode("utf-8").rstrip("\r\n").removeprefix("\ufeff")
    lines = tuple(
        (place.line + index, text.rstrip("\r"))
        for index, text in enumerate(texts, start=1)
        if text.strip()
    )
    new = Place(offset=offset, line=place.line + len(texts), head=_mark(head))
    return Piece(lines=lines, place=new, more=bool(whole) and offset < end, first=heading)


def cursor_of(place: Place) -> str:
    """The place as a cursor."""
    return json.dumps([place.offset, place.line, place.head])


def _place(cursor: str) -> Place:
    if not cursor:
        return Place()
    offset, line, head = json.loads(cursor)
    return Place(offset=int(offset), line=int(line), head=str(head))


def _mark(head: bytes) -> str:
    return f"{len(head)}:{zlib.crc32(head)}"


def _same(mark: str, head: bytes) -> bool:
    """Whether a file that begins so is the one of the mark; it may have grown since."""
    if not mark:
        return True
    length, _, checksum = mark.partition(":")
    begin = head[: int(length)]
    return len(begin) == int(length) and str(zlib.crc32(begin)) == checksum


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise TransientError(f"{path}: is not UTF-8 ({error.reason})") from error
    except OSError as error:
        raise TransientError(f"{path}: cannot be read: {error.strerror or error}") from error
