"""How requests get to an API server and answers back."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Transport(Protocol):
    """A way to one API server: over the network, or in memory."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Ask once.

        Raises:
            TransientError: no answer came.
        """
        ...

    def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Lines of an answer that stays open; ends when the server ends it.

        The first is empty and comes as soon as the server has agreed.

        Raises:
            SluiceError: as :func:`sluice.kube.errors.error_of` says, when it is no 200.
            TransientError: no answer came, or nothing for longer than the server's bookmarks
                would leave it silent.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
