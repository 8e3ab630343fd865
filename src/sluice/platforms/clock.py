"""Time as it passes."""

import asyncio
import time

from sluice.ports import Clock


class SystemClock:
    """The wall clock as it was at the start, and the time since: ``ports.Clock``.

    Setting the machine's clock moves it neither forward nor back. A loop that waited for an hour
    that comes twice would neither look at a candidate nor renew a lease.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - _since_boot_ns()

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return (self._offset_ns + _since_boot_ns()) // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Return after so many real seconds."""
        await asyncio.sleep(seconds)


async def sleep_or(clock: Clock, seconds: float, woken: asyncio.Event) -> None:
    """Return after so long on this clock, or as soon as the event is set."""
    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    waker = asyncio.ensure_future(woken.wait())
    _, waiting = await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _since_boot_ns() -> int:
    # Unlike CLOCK_MONOTONIC it goes on while a laptop is asleep.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
