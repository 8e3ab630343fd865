"""Where Envoy hands over captured answers: a unix socket that only this user can open."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import structlog

from sluice.agent.captures import Captures
from sluice.dataplanes.capturing import parse_capture

log = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
MAX_BODY_BYTES = 2 << 20
"""Above the longest body that a router can be told to keep."""


class Intake:
    """The ASGI application behind the socket: one captured answer per request."""

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take one answer; what cannot be understood is refused and logged."""
        if scope["type"] != "http":
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False) and len(body) <= MAX_BODY_BYTES
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        found = parse_capture(headers, bytes(body)) if len(body) <= MAX_BODY_BYTES else None
        status = HTTPStatus.NO_CONTENT if found else HTTPStatus.BAD_REQUEST
        if found is None:
            log.warning("agent.capture_refused", cluster=headers.get("x-cluster", ""))
        else:
            self._captures.take(*found)
        await send({"type": "http.response.start", "status": status.value, "headers": []})
        await send({"type": "http.response.body", "body": b""})
