"""Outcomes in memory: for tests and simulations."""

from sluice.nouns import OutcomePage, OutcomeRow


class MemoryOutcomes:
    """Rows that are put in one after the other."""

    def __init__(self, *, page: int = 10_000) -> None:
        self.rows: list[OutcomeRow] = []
        self._page = page

    def add(self, *rows: OutcomeRow) -> None:
        """More rows, newest last."""
        self.rows += rows

    async def read(self, cursor: str, *, until: str = "") -> OutcomePage:
        """See ``sluice.ports.Outcomes``."""
        start = int(cursor or 0)
        last = min(len(self.rows), int(until or len(self.rows)))
        end = min(start + self._page, last)
        return OutcomePage(rows=tuple(self.rows[start:end]), cursor=str(end), more=end < last)

    async def close(self) -> None:
        """Nothing is held open."""
