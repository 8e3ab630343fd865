"""Time that only moves when a test says so."""

import asyncio
import heapq


class VirtualClock:
    """``ports.Clock`` for tests: sleepers wake in order when :meth:`advance` reaches them."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        """Start at ``now_ms``, UTC milliseconds."""
        self._now_s = now_ms / 1000
        self._order = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """UTC milliseconds on this clock."""
        return round(self._now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self._now_s + seconds, self._order, wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Move the clock; whoever should wake on the way does so at its own time, in order.

        Raises:
            ValueError: time would go backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not go backwards: {seconds} s")
        end_s = self._now_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            self._now_s, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)
            await _settle()
        self._now_s = end_s


async def _settle() -> None:
    # A woken task may wake another, which sleeps again; a handful of turns lets that play out.
    for _ in range(20):
        await asyncio.sleep(0)
