"""Time as it passes."""

import asyncio
import time


class SystemClock:
    """The wall clock; ``ports.Clock``."""

    def now_ms(self) -> int:
        """UTC milliseconds; may jump when the machine's clock is set."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Return after so many real seconds."""
        await asyncio.sleep(seconds)
