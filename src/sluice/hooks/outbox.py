"""News out, without ever waiting: a bounded queue a receiver, retried with growing pauses.

What is queued is also in a file, so that a controller that starts again sends it; sent twice at
worst, with the same id. Lost is what did not fit into the queue (the oldest), what a receiver has
refused ``TRIES`` times, and what was decided in the moment before a crash.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from sluice.hooks.messages import CLOUDEVENT, QUIET, cloudevent, slack
from sluice.hooks.outward import Outward, Unreachable, place_of
from sluice.hooks.signing import NoKey, key_of, sign
from sluice.nouns import Notice, Notify
from sluice.ports import Clock

log = structlog.get_logger()

LONGEST = 1_000
"""Notices that wait for one receiver."""
TRIES = 10
"""A receiver that answers, and refuses a notice so often, does not get it."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
TIMEOUT_MS = 10_000
LAST_WORDS_S = 2.0
"""At the end of the controller, so long is tried to deliver what waits."""

_KEPT: TypeAdapter[list[tuple[Notify, Notice]]] = TypeAdapter(list[tuple[Notify, Notice]])


@dataclass(kw_only=True)
class _Line:
    """What waits for one receiver."""

    waiting: deque[Notice] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing waits, or what waits could not be delivered."""
    tries: int = 0
    """Of the first notice."""
    fault: str = ""
    dropped: int = 0
    worker: asyncio.Task[None] | None = None


class Outbox:
    """Tells webhooks and chats.

    Args:
        clock: Time of signatures, and between tries.
        kept: File for what waits; None: it is lost with the controller.
    """

    def __init__(self, clock: Clock, *, kept: Path | None = None) -> None:
        self._clock = clock
        self._kept = kept
        self._outward = Outward()
        self._lines: dict[Notify, _Line] = {}
        self._fault = ""

    def load(self) -> None:
        """Go on with what an earlier controller could not deliver."""
        if self._kept is None or not self._kept.exists():
            return
        try:
            entries = _KEPT.validate_json(self._kept.read_bytes())
        except (OSError, ValidationError) as error:
            log.warning("outbox.unreadable", file=str(self._kept), error=str(error).split("\n")[0])
            return
        for receiver, notice in entries:
            self._queue(receiver, notice)

    def tell(self, notice: Notice, receivers: Sequence[Notify]) -> None:
        """See :class:`sluice.ports.Notifier`."""
        for receiver in receivers:
            if receiver.kind == "slack" and notice.kind in QUIET:
                continue
            self._queue(receiver, notice)
        self._save()

    def problems(self, receivers: Sequence[Notify]) -> Sequence[str]:
        """See :class:`sluice.ports.Notifier`."""
        lines = [(receiver, self._lines.get(receiver)) for receiver in dict.fromkeys(receivers)]
        said = []
        for receiver, line in lines:
            if line is not None and line.fault:
                waiting = f"{len(line.waiting)} waiting" if line.waiting else "none waiting"
                said.append(f"notify {label_of(receiver)}: {line.fault} ({waiting})")
            if line is not None and line.dropped:
                said.append(f"notify {label_of(receiver)}: {line.dropped} dropped")
        return (*said, self._fault) if self._fault and said else tuple(said)

    async def close(self) -> None:
        """Try for a moment to deliver what waits, then leave it in the file."""
        settled = [asyncio.ensure_future(line.settled.wait()) for line in self._lines.values()]
        if settled:
            _, late = await asyncio.wait(settled, timeout=LAST_WORDS_S)
            for task in late:
                task.cancel()
        workers = [line.worker for line in self._lines.values() if line.worker is not None]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self._save()
        await self._outward.close()

    def _queue(self, receiver: Notify, notice: Notice) -> None:
        line = self._lines.setdefault(receiver, _Line())
        if len(line.waiting) >= LONGEST:
            line.waiting.popleft()
            line.dropped += 1
            line.tries = 0
        line.waiting.append(notice)
        line.more.set()
        line.settled.clear()
        if line.worker is None:
            line.worker = asyncio.create_task(self._work(receiver, line))

    async def _work(self, receiver: Notify, line: _Line) -> None:
        while True:
            if not line.waiting:
                line.more.clear()
                line.settled.set()
                await line.more.wait()
            notice = line.waiting[0]
            fault, answered = await self._deliver(receiver, notice)
            line.tries += 1
            refused = bool(fault) and answered and line.tries >= TRIES
            line.fault = fault
            if fault and not refused:
                line.settled.set()
                doubled = FIRST_PAUSE_S * 2.0 ** min(line.tries - 1, 10)
                await self._clock.sleep(min(LONGEST_PAUSE_S, doubled))
                continue
            if refused:
                line.dropped += 1
                log.warning("notice.dropped", to=label_of(receiver), id=notice.id, reason=fault)
            line.tries = 0
            if line.waiting and line.waiting[0] is notice:
                line.waiting.popleft()
            self._save()

    async def _deliver(self, receiver: Notify, notice: Notice) -> tuple[str, bool]:
        """Why it was not delivered (empty: it was), and whether the receiver answered at all."""
        url = receiver.url or os.environ.get(receiver.url_env, "")
        if not url:
            return f"environment variable {receiver.url_env} with the address is not set", False
        try:
            headers, body = self._message(receiver, notice)
            reply = await self._outward.send(
                "POST", url, headers=headers, body=body, timeout_ms=TIMEOUT_MS
            )
        except NoKey as error:
            return str(error), False
        except Unreachable as error:
            return str(error), False
        except Exception as error:  # a fault of ours with one notice must not end the worker
            log.exception("notice.failed", to=label_of(receiver), id=notice.id)
            return f"internal fault: {type(error).__name__}: {error}", True
        if 200 <= reply.status < 300:
            return "", True
        return f"answered {reply.status}", True

    def _message(self, receiver: Notify, notice: Notice) -> tuple[dict[str, str], bytes]:
        if receiver.kind == "slack":
            return {"content-type": "application/json"}, slack(notice)
        body = cloudevent(notice)
        headers = {"content-type": CLOUDEVENT}
        if receiver.secret_env:
            at_s = self._clock.now_ms() // 1000
            key = key_of(receiver.secret_env)
            headers |= sign(key, message_id=notice.id.replace(".", "-"), at_s=at_s, body=body)
        return headers, body

    def _save(self) -> None:
        """Write down what waits; a disk that is full costs only what a crash would lose."""
        if self._kept is None:
            return
        waiting = [
            (receiver, notice) for receiver, line in self._lines.items() for notice in line.waiting
        ]
        new = self._kept.with_suffix(".new")
        try:
            new.write_bytes(_KEPT.dump_json(waiting))
            new.replace(self._kept)
            self._fault = ""
        except OSError as error:
            self._fault = f"notices cannot be kept in {self._kept.name}: {error.strerror}"


def label_of(receiver: Notify) -> str:
    """A receiver as people know it, without what may be secret in its address."""
    return f"{receiver.kind} {place_of(receiver.url) if receiver.url else receiver.url_env}"
