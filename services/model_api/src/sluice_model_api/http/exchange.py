"""One request and its answer in plain ASGI: what the hot routes need and nothing more."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from sluice_model_api.errors import ModelApiError, RequestError
from sluice_model_api.wire.compression import decompress

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
OCTETS: Header = (b"content-type", b"application/octet-stream")
_LONGEST_ID = 128

_process = os.urandom(6).hex()
_numbers = count(int.from_bytes(os.urandom(3), "big"))


def new_id() -> str:
    """An id that no other process gives: random per process, then counted (0.2 µs)."""
    return f"{_process}{next(_numbers):08x}"


class ClientGone(Exception):  # noqa: N818  # what happened, said in the field's word
    """The client closed the connection before it had sent the whole request."""


class Request:
    """A request as it arrives; the body is read only when a handler wants it."""

    __slots__ = ("_receive", "_request_id", "headers", "method", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._request_id = ""

    def header(self, name: bytes) -> str:
        """A header's value, empty when it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def request_id(self) -> str:
        """The caller's ``x-request-id``, else its trace id, else a new one."""
        if not self._request_id:
            self._request_id = (self.names_itself and self._given_id()) or new_id()
        return self._request_id

    @property
    def names_itself(self) -> bool:
        """The caller sent an id, or a trace, of its own."""
        return b"x-request-id" in self.headers or b"traceparent" in self.headers

    def _given_id(self) -> str:
        given = self.header(b"x-request-id")
        if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
            return given
        parts = self.header(b"traceparent").split("-")
        if len(parts) >= 4 and len(parts[1]) == 32 and set(parts[1]) <= set("0123456789abcdef"):
            return parts[1]
        return ""

    def cookie(self, name: str) -> str:
        """A cookie's value, empty when it is not there."""
        for part in self.header(b"cookie").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value.strip('"')
        return ""

    async def body(self, *, limit: int) -> bytes:
        """The whole body, decompressed.

        Raises:
            RequestError: larger than ``limit`` bytes (413), or a bad encoding.
            ClientGone: the client went away.
        """
        stated = self.headers.get(b"content-length")
        if stated is not None and (not stated.isdigit() or int(stated) > limit):
            raise RequestError(f"the body is larger than {limit} bytes", status=413)
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            body = await self._rest(message, body, limit)
        encoding = self.headers.get(b"content-encoding")
        if encoding is not None:
            return decompress(body, encoding.decode("latin-1"), limit=limit)
        return body

    async def _rest(self, message: MutableMapping[str, Any], body: bytes, limit: int) -> bytes:
        parts, size = [body], len(body)
        while True:
            if message["type"] != "http.request":
                raise ClientGone
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self._receive()
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise RequestError(f"the body is larger than {limit} bytes", status=413)
            parts.append(part)

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


@dataclass(slots=True)
class Reply:
    """An answer before compression and common headers."""

    status: int
    body: bytes
    headers: list[Header]
    compressible: bool = True


def json_reply(document: object, *, status: int = 200) -> Reply:
    """A JSON answer; numpy arrays and scalars are written at their own precision."""
    return Reply(status, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), [JSON])


def error_reply(error: ModelApiError) -> Reply:
    """The protocol's one shape of errors."""
    reply = json_reply({"error": str(error)}, status=error.status)
    if error.status == 413:
        # What is left of the body is not read: the connection cannot be used again.
        reply.headers.append((b"connection", b"close"))
    return reply
