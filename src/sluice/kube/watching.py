"""A cache of objects that follows the API server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import structlog

from sluice.errors import RefusedError, SluiceError
from sluice.kube.errors import Expired

log = structlog.get_logger()

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for objects without one) and name."""
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0


class Watched:
    """Lists, then follows; lists again when it has fallen behind. Never gives up.

    What it holds while the server cannot be reached is what it saw last: ``age_s`` says how old
    that may be.

    Args:
        name: Of the resource, for logs.
        listing: All objects now, and the version that they are of.
        events: Lines of the watch from a version on.
        index: What an object is grouped by, for :meth:`group`.
    """

    def __init__(
        self,
        *,
        name: str,
        listing: Callable[[], Awaitable[tuple[list[Object], str]]],
        events: Callable[[str], AsyncGenerator[bytes, None]],
        index: Callable[[Object], str] | None = None,
    ) -> None:
        self._name = name
        self._listing = listing
        self._events = events
        self._index = index or (lambda _: "")
        self._groups: dict[str, dict[Key, Object]] = {}
        self._objects: dict[Key, Object] = {}
        self._resume = ""
        self._pause_s = FIRST_PAUSE_S
        self._heard_s: float | None = None
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.version = 0
        """Grows with every change of what is held."""
        self.synced = False
        """It has been listed once."""
        self.problem = ""
        """Why it does not follow at the moment; empty when it does."""

    def objects(self) -> Mapping[Key, Object]:
        """What there is, by namespace and name; not to be written to. ``managedFields`` are left
        out.
        """
        return self._objects

    def group(self, value: str) -> Mapping[Key, Object]:
        """Those of :meth:`objects` that the index gives this value."""
        return self._groups.get(value, {})

    @property
    def age_s(self) -> float:
        """Seconds since the server's last word; it says something about every minute."""
        if self._heard_s is None:
            return float("inf")
        return asyncio.get_running_loop().time() - self._heard_s

    async def wait_change(self, seen: int) -> int:
        """Return the version as soon as it is another than ``seen``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.version != seen)
            return self.version

    async def wait_synced(self, timeout_s: float = 30.0) -> None:
        """Return once it has been listed.

        Raises:
            RefusedError: it could not be listed in time; says why.
        """
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self.synced)
        except TimeoutError as error:
            reason = self.problem or "no answer yet"
            raise RefusedError(f"{self._name} cannot be listed: {reason}") from error

    def start(self) -> Self:
        """Begin to follow; again is fine."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())
        return self

    async def stop(self) -> None:
        """End it; what was seen stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _follow(self) -> None:
        while True:
            try:
                if not self._resume:
                    await self._list()
                await self._watch()
            except Expired:
                self._resume = ""
            except SluiceError as error:
                if self.problem != str(error):
                    log.warning("kube.watch_broken", resource=self._name, problem=str(error))
                self.problem = str(error)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def _list(self) -> None:
        objects, version = await self._listing()
        self._heard()
        found = {_key(obj): _lean(obj) for obj in objects}
        changed = found != self._objects
        self._objects, self._resume = found, version
        self._groups = {}
        for key, obj in found.items():
            self._groups.setdefault(self._index(obj), {})[key] = obj
        if changed or not self.synced:
            self.synced = True
            await self._tell()

    async def _watch(self) -> None:
        """Follow until the server ends it."""
        async with contextlib.aclosing(self._events(self._resume)) as lines:
            async for line in lines:
                self._heard()
                if not line.strip():
                    continue
                changed = self._take(line)
                self._pause_s = FIRST_PAUSE_S
                if changed:
                    await self._tell()

    def _take(self, line: bytes) -> bool:
        """One event into the cache; whether it changed anything."""
        try:
            event = json.loads(line)
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                # Whatever it is, what was missed is unknown; mostly 410.
                raise Expired(f"{self._name}: {obj.get('message', obj)}", retry_after_s=0.0)
            version = obj["metadata"]["resourceVersion"]
            key = ("", "") if kind == "BOOKMARK" else _key(obj)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Expired(f"{self._name}: an event makes no sense: {error!r}") from error
        self._resume = version
        if kind == "BOOKMARK":
            return False
        before = self._objects.get(key)
        if before is not None and before["metadata"].get("resourceVersion") == version:
            return False
        self._put(key, before, None if kind == "DELETED" else _lean(obj))
        return before is not None or kind != "DELETED"

    def _put(self, key: Key, before: Object | None, after: Object | None) -> None:
        if before is not None:
            del self._objects[key]
            group = self._groups[self._index(before)]
            del group[key]
            if not group:
                del self._groups[self._index(before)]
        if after is not None:
            self._objects[key] = after
            self._groups.setdefault(self._index(after), {})[key] = after

    def _heard(self) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self.problem = ""

    async def _tell(self) -> None:
        async with self._changed:
            self.version += 1
            self._changed.notify_all()


def _key(obj: Mapping[str, Any]) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _lean(obj: Object) -> Object:
    obj["metadata"].pop("managedFields", None)
    return obj
