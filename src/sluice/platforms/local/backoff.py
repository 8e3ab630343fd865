"""How long to wait before a process that ended is started again."""


class Backoff:
    """First wait, then twice as long each time up to a limit; a healthy time starts it anew."""

    def __init__(self, *, first_s: float, max_s: float, reset_s: float, free: int = 0) -> None:
        """Args:
        first_s: First wait, seconds.
        max_s: Longest wait, seconds.
        reset_s: A process that lived at least so long, seconds, had no part in what came before.
        free: Restarts at once before the first wait.
        """
        self._first_s = first_s
        self._max_s = max_s
        self._reset_s = reset_s
        self._free = free
        self._failures = 0

    def wait_s(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived ``lived_s`` seconds."""
        if lived_s >= self._reset_s:
            self._failures = 0
        self._failures += 1
        doublings = self._failures - 1 - self._free
        if doublings < 0:
            return 0.0
        # Capped before the power: a process that has failed for days must not overflow.
        return float(min(self._max_s, self._first_s * 2.0 ** min(doublings, 32)))
