"""One keep-alive HTTP/1.1 connection: as little code per request as a load generator can have."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_HEAD_LIMIT = 64 << 10
_EXCERPT_BYTES = 120
# tcpi_bytes_acked of struct tcp_info, linux/tcp.h; counts the SYN as one byte.
_BYTES_ACKED = struct.Struct("120xQ")


class ProtocolError(Exception):
    """The peer's bytes are no HTTP/1.1 answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of an answer: what a load generator wants to know."""

    status: int
    version: str
    """Value of ``x-sluice-version``; empty when there is none."""
    keep_alive: bool
    length: int | None
    """Bytes of body; None: until the connection closes."""
    chunked: bool


def parse_head(block: bytes) -> Head:
    """Read status line and headers, without the empty line that ends them.

    Raises:
        ProtocolError: not HTTP/1.x.
    """
    lines = block.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ProtocolError(f"not an HTTP/1 status line: {lines[0][:80]!r}")
    status = int(words[1])
    version, length, chunked, keep_alive = "", None, False, words[0] != b"HTTP/1.0"
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-length":
                if not value.strip().isdigit():
                    raise ProtocolError(f"content-length: {value[:80]!r}")
                length = int(value)
            case b"transfer-encoding":
                chunked = b"chunked" in value.lower()
            case b"connection":
                keep_alive = b"close" not in value.lower()
            case b"x-sluice-version":
                version = value.strip().decode("latin-1")
    if status < 200 or status in (204, 304):
        length, chunked = 0, False
    return Head(
        status=status, version=version, keep_alive=keep_alive, length=length, chunked=chunked
    )


class Body:
    """Finds the end of a body whose bytes arrive in pieces; keeps none of them."""

    def __init__(self, head: Head) -> None:
        self._left = 0 if head.chunked else head.length
        self._chunked = head.chunked
        self._in_trailer = False

    def feed(self, data: bytearray) -> bool:
        """Consume what belongs to the body from the front of ``data``; True at its end.

        Raises:
            ProtocolError: the chunks make no sense.
        """
        if self._left is None:  # until the connection closes
            data.clear()
            return False
        while True:
            taken = min(self._left, len(data))
            del data[:taken]
            self._left -= taken
            if self._left:
                return False
            if not self._chunked:
                return True
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > _HEAD_LIMIT:
                    raise ProtocolError("a chunk without a size")
                return False
            line = bytes(data[:end])
            del data[: end + 2]
            if not self._in_trailer:
                self._left = _chunk_size(line)
                self._in_trailer = not self._left
            elif not line:
                self._chunked = False


def _chunk_size(line: bytes) -> int:
    """Bytes to come: the chunk and the line end behind it; 0 for the last."""
    try:
        size = int(line.split(b";")[0], 16)
    except ValueError as error:
        raise ProtocolError(f"not a chunk size: {line[:80]!r}") from error
    return size + 2 if size else 0


class Connection(asyncio.Protocol):
    """Carries one request at a time and reports each answer or the loss of it."""

    def __init__(
        self,
        on_answer: Callable[["Connection", Head], None],
        on_lost: Callable[["Connection", str], None],
    ) -> None:
        self.served = 0
        """Answers received on this connection."""
        self.excerpt = b""
        """First bytes of the last answer's body, when it was 5xx: who made it can be read there."""
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._sent = 0
        self._data = bytearray()
        self._head: Head | None = None
        self._body: Body | None = None
        self._answering = False
        self._fault = ""

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def untouched(self) -> bool:
        """Whether the lost request certainly reached nobody, so that it may be sent again.

        True when the peer's kernel has not even acknowledged all of it: the server had closed an
        idle connection while the request was on its way. A server that died with the request in
        hand has acknowledged it.
        """
        if self.served == 0 or self._answering or self._socket is None:
            return False
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        except OSError:
            return False
        acknowledged = int(_BYTES_ACKED.unpack_from(info)[0]) - 1
        return acknowledged < self._sent

    def send(self, request: bytes) -> None:
        """Begin a request; the one before must have ended."""
        assert self._transport is not None  # noqa: S101  # connected before it is handed out
        self._answering = False
        self._sent += len(request)
        self._transport.write(request)

    def abort(self) -> None:
        """Give up whatever is under way; nothing is reported."""
        self._on_lost = _ignore
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._answering = True
        self._data += data
        try:
            head = self._parse()
        except ProtocolError as error:
            self._fault = str(error)
            self._close()
            return
        if head is not None:
            self._end(head)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = None
        head, body = self._head, self._body
        if head is not None and body is not None and head.length is None and not head.chunked:
            self._head = self._body = None
            self._on_answer(self, head)  # an answer without a length ends with the connection
        reason = "closed in mid-answer" if self._answering else "closed without an answer"
        if isinstance(exc, ConnectionResetError | BrokenPipeError):
            reason = reason.replace("closed", "reset")
        self._on_lost(self, self._fault or reason)

    def _parse(self) -> Head | None:
        while self._head is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > _HEAD_LIMIT:
                    raise ProtocolError("headers without an end")
                return None
            head = parse_head(bytes(self._data[:end]))
            del self._data[: end + 4]
            if head.status >= 200:  # 100 to 199 only announce the answer
                self._head, self._body, self.excerpt = head, Body(head), b""
        assert self._body is not None  # noqa: S101  # set with the head
        if self._head.status >= 500 and len(self.excerpt) < _EXCERPT_BYTES:
            self.excerpt = (self.excerpt + self._data)[:_EXCERPT_BYTES]
        return self._head if self._body.feed(self._data) else None

    def _end(self, head: Head) -> None:
        self._head = self._body = None
        self._answering = False
        self.served += 1
        # What follows an answer unasked could not be told from the next answer.
        if self._data or not head.keep_alive:
            self._close()
        self._on_answer(self, head)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _ignore(_: Connection, __: str) -> None:
    return
