"""HTTP requests to others: no redirects, a limit to what is read, failures in one line."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from sluice.connections import Connections

LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; the rest is never fetched."""

PLAIN = {"user-agent": "sluice", "accept-encoding": "identity"}
"""Not compressed: a small answer that unpacks to a large one would pass the limit."""


class Unreachable(Exception):  # noqa: N818  # what is the case, said in the field's word
    """No answer; the text says why in one line, without the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    """At most ``LONGEST_ANSWER``."""
    whole: bool
    """Whether that was all."""

    def line(self, longest: int = 200) -> str:
        """The body's beginning in one line, for people."""
        text = " ".join(self.body.decode(errors="replace").split())
        return text if len(text) <= longest else text[: longest - 1] + "…"


class Outward(Connections[bool]):
    """Sends requests over connections that are kept.

    Proxies of the environment are used for addresses of others; candidates are reached directly.
    """

    def __init__(self) -> None:
        super().__init__(
            lambda direct: httpx.AsyncClient(
                follow_redirects=False, trust_env=not direct, headers=PLAIN
            )
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout_ms: int,
        direct: bool = False,
    ) -> Reply:
        """One request and its answer, whatever its status.

        Args:
            method: HTTP method.
            url: Whole address.
            headers: Beside those of HTTP itself.
            body: What is sent.
            timeout_ms: For all of it, the body of the answer included.
            direct: Past any proxy.

        Raises:
            Unreachable: no answer, or not in time, or the address is none.
        """
        limit = httpx.Timeout(timeout_ms / 1000)
        try:
            async with (
                asyncio.timeout(timeout_ms / 1000),
                self._client(direct).stream(
                    method, url, headers=dict(headers), content=body, timeout=limit
                ) as answer,
            ):
                content, whole = await _limited(answer)
                return Reply(status=answer.status_code, body=content, whole=whole)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"no answer within {timeout_ms / 1000:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unreachable(str(error) or type(error).__name__) from error


def place_of(url: str) -> str:
    """Scheme, host and port of an address: what may be shown of one that can hold secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


async def _limited(answer: httpx.Response) -> tuple[bytes, bool]:
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > LONGEST_ANSWER:
            return bytes(content[:LONGEST_ANSWER]), False
    return bytes(content), True
