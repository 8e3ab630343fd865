"""How many calls a second the API server gets from us."""

import asyncio


class TokenBucket:
    """Lets ``burst`` calls through at once and ``rate`` a second in the long run, in order.

    Args:
        rate: Calls a second.
        burst: Calls that may come at once after a rest.
    """

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a rate above 0 and a burst of at least 1, not {rate} and {burst}")
        self._gap_s = 1 / rate
        self._room_s = burst / rate
        self._due_s = float("-inf")

    async def take(self) -> None:
        """Return when the next call may be made."""
        now_s = asyncio.get_running_loop().time()
        # The generic cell rate algorithm: one number instead of a count that must be refilled.
        self._due_s = max(self._due_s + self._gap_s, now_s - self._room_s + self._gap_s)
        wait_s = self._due_s - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
