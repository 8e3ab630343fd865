"""Envoy's admin page over its unix socket: statistics, state, draining."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from sluice.errors import TransientError

MAX_SOCKET_PATH = 100
"""Bytes that a unix socket's path may have, with room for the temporary name."""


class EnvoyAdmin:
    """A client of one Envoy's admin socket.

    Raises (every method):
        TransientError: Envoy does not answer there, or answers something else than 200.
    """

    def __init__(self, socket: Path, *, timeout_s: float = 5.0) -> None:
        self.socket = socket
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://envoy", timeout=timeout_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, params: Mapping[str, str] | None = None) -> str:
        try:
            answer = await self._client.request(method, path, params=params)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"Envoy does not answer on {self.socket}: {reason}") from error
        if answer.status_code != httpx.codes.OK:
            raise TransientError(f"Envoy answered {answer.status_code} to {method} {path}")
        return answer.text

    async def get(self, path: str, **params: str) -> str:
        """The text of an admin page."""
        return await self._ask("GET", path, params)

    async def post(self, path: str) -> str:
        """Do something: ``/healthcheck/fail``, ``/quitquitquit``."""
        return await self._ask("POST", path)

    async def stats(self, pattern: str) -> dict[str, str]:
        """Statistics whose names match, as text; histograms in cumulative buckets."""
        text = await self.get("/stats", filter=pattern, histogram_buckets="cumulative")
        return dict(_lines(text))

    async def numbers(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose names match."""
        found = await self.stats(pattern)
        return {name: int(value) for name, value in found.items() if value.isdecimal()}

    def epoch(self) -> str:
        """When this Envoy started, from its socket: it binds a new one at every start.

        Raises:
            TransientError: there is no socket.
        """
        try:
            return f"{self.socket.stat().st_mtime_ns // 1_000_000:x}"
        except OSError as error:
            raise TransientError(f"Envoy has not started: {error}") from error

    async def ready(self) -> bool:
        """Whether Envoy serves, and has accepted clusters and routes at least once.

        Its own ``/ready`` says 200 with everything refused.
        """
        try:
            await self.get("/ready")
            done = await self.numbers(r"^(cluster_manager\.cds|.*\.rds\.sluice)\.update_success$")
        except TransientError:
            return False
        return len(done) > 1 and all(count > 0 for count in done.values())


def _lines(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, separator, value = line.rpartition(": ")
        if separator:
            yield name, value.strip('"')


_BUCKET = re.compile(r"B[0-9.e+]+\(\d+,(\d+)\)")


def cumulative_buckets(text: str) -> tuple[int, ...]:
    """Cumulative counts of a histogram line, one per configured boundary; empty when unused."""
    return tuple(int(count) for count in _BUCKET.findall(text))
