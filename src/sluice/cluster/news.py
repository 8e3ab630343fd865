"""Decisions as Events of Kubernetes: best effort, and never in the way of anything."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from sluice.cluster.book import Book
from sluice.cluster.keys import split, stamp_us
from sluice.errors import RefusedError, SpecError, TransientError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import EVENT, RELEASE
from sluice.ports import Clock

log = structlog.get_logger()

QUEUE = 1_000
"""Events that may wait; beyond it the oldest are given up."""
TRIES = 5
LONGEST_NOTE = 1_000
WARNINGS = frozenset({"Aborted", "Undone", "Held", "PodReplaced", "Degraded"})
"""Kinds of decisions that somebody should look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    name: str
    key: str
    type: str
    reason: str
    action: str
    note: str
    at_ms: int


class News:
    """Sends Events one after the other.

    Args:
        client: Creates them.
        book: Knows the objects that they are about.
        clock: Time.
        instance: Name of this pod.
    """

    def __init__(self, client: KubeClient, book: Book, clock: Clock, *, instance: str) -> None:
        self._client = client
        self._book = book
        self._clock = clock
        self._instance = instance
        self._waiting: deque[_Item] = deque(maxlen=QUEUE)
        self._any = asyncio.Event()
        self.sent = 0
        self.given_up = 0

    def decided(self, key: str, decision: Mapping[str, Any]) -> None:
        """A decision of the engine, as the journal has it."""
        kind, message = str(decision["kind"]), str(decision["message"])
        self.say(
            key,
            reason=kind,
            note=message,
            warning=kind in WARNINGS,
            at_ms=int(decision["at_ms"]),
            again=f"{decision.get('generation')}-{decision.get('reason')}",
        )

    def say(
        self,
        key: str,
        *,
        reason: str,
        note: str,
        warning: bool,
        at_ms: int | None = None,
        again: str = "",
    ) -> None:
        """Queue one Event.

        Args:
            key: The release that it is about.
            reason: Constant in CamelCase.
            note: One line for people.
            warning: Somebody should look at it.
            at_ms: When it was, UTC ms; None: now. The same thing of the same time is one Event,
                also when a controller that starts anew says it again.
            again: Tells two things of the same time and reason apart.
        """
        at_ms = self._clock.now_ms() if at_ms is None else at_ms
        _, name = split(key)
        text = f"{key} {reason} {at_ms} {again} {note}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._waiting.append(
            _Item(
                name=f"{name}.{digest}",
                key=key,
                type="Warning" if warning else "Normal",
                reason=reason,
                action=reason,
                note=note[:LONGEST_NOTE],
                at_ms=at_ms,
            )
        )
        self._any.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._any.wait()
            while self._waiting:
                await self._send(self._waiting.popleft())
            self._any.clear()

    async def _send(self, item: _Item) -> None:
        for attempt in range(TRIES):
            try:
                await self._client.create(self._event(item))
            except (RefusedError, SpecError) as error:
                # There already, or not allowed: nothing that another try would change.
                log.debug("event.refused", release=item.key, problem=str(error))
                return
            except TransientError as error:
                await self._clock.sleep(max(error.retry_after_s, 2.0**attempt))
            else:
                self.sent += 1
                return
        self.given_up += 1
        log.warning("event.given_up", release=item.key, reason=item.reason)

    def _event(self, item: _Item) -> dict[str, Any]:
        namespace, name = split(item.key)
        return EVENT.new(
            item.name,
            namespace,
            eventTime=stamp_us(item.at_ms),
            reportingController="sluice.dev/controller",
            reportingInstance=self._instance,
            action=item.action,
            reason=item.reason,
            type=item.type,
            note=item.note,
            regarding={
                "apiVersion": RELEASE.api_version,
                "kind": RELEASE.kind,
                "namespace": namespace,
                "name": name,
                "uid": self._book[item.key].uid,
            },
        )
