"""What the API server has of all releases, followed by watches."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.errors import TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, PDB, POD, SERVICE, Kind
from sluice.kube.watching import Watched
from sluice.platforms.kubernetes.followed import Followed
from sluice.platforms.kubernetes.names import REVISION_LABEL, key_of, split

Object = dict[str, Any]
KINDS = (DEPLOYMENT, POD, SERVICE, CONFIG_MAP, PDB, HPA)
NEWS_S = 0.1
"""Changes that come together wake up whoever waits once."""


class Caches:
    """Objects of revisions, by release.

    Args:
        client: The API server.
        namespaces: Where releases are; empty: everywhere.
    """

    def __init__(self, client: KubeClient, *, namespaces: Sequence[str] = ()) -> None:
        self._followed = {
            kind.resource: Followed(
                client, kind, namespaces=namespaces, labels=REVISION_LABEL, index=key_of
            )
            for kind in KINDS
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.version = 0
        """Grows with every change."""

    async def start(self, timeout_s: float = 30.0) -> None:
        """Return once everything is there.

        Raises:
            RefusedError: something could not be listed in time; says why.
        """
        for followed in self._followed.values():
            await followed.start(timeout_s)
        self._tasks = [asyncio.create_task(self._tell(watched)) for watched in self._all()]

    async def stop(self) -> None:
        """End all watches."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for followed in self._followed.values():
            await followed.stop()

    async def wait_change(self, seen: int) -> int:
        """Return ``version`` once it is above ``seen``; changes that come together are one."""
        while self.version <= seen:
            await self._news.wait()
        return self.version

    def require(self) -> None:
        """Say so when not everything has been seen yet.

        Raises:
            TransientError: what was seen so far is no basis for anything.
        """
        for resource, followed in self._followed.items():
            for watched in followed:
                if not watched.synced:
                    reason = watched.problem or "no answer yet"
                    raise TransientError(f"{resource} are not listed yet: {reason}")

    def problems(self) -> Sequence[str]:
        """What cannot be followed at the moment, one line each."""
        return [watched.problem for watched in self._all() if watched.problem]

    def age_s(self) -> float:
        """Since the last word about whatever has been silent longest, seconds."""
        return max(watched.age_s for watched in self._all())

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """An object as it was last seen; not to be written to."""
        return self._followed[kind.resource].get(namespace, name)

    def of(self, kind: Kind, release: str) -> Mapping[tuple[str, str], Object]:
        """A release's objects of one kind, by namespace and name."""
        return self._followed[kind.resource].group(split(release)[0], release)

    def _all(self) -> Iterator[Watched]:
        for followed in self._followed.values():
            yield from followed

    async def _tell(self, watched: Watched) -> None:
        seen = watched.version
        while True:
            seen = await watched.wait_change(seen)
            self.version += 1
            self._news.set()
            self._news = asyncio.Event()
            await asyncio.sleep(NEWS_S)
