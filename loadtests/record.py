"""Raw counts while a load test runs: by slice and version, merged over processes."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sluice.analysis.latency import bucket_of
from sluice.analysis.loadrun import Cell, LoadRun

ENVOYS_WORDS = (b"no healthy upstream", b"upstream connect error or disconnect/reset")
"""What Envoy writes when it found nobody to ask; its headers do not tell (decision 0101)."""
_COUNTS = ("total", "errors", "client_errors", "lost", "dropped")


class Counts:
    """Counts of one process, or of all of them."""

    def __init__(self) -> None:
        self.cells: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        self.buckets: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
        self.lateness: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.cpu: dict[int, float] = {}

    def answered(
        self, at: int, *, version: str, status: int, latency_ms: float, wrong: bool, body: bytes
    ) -> None:
        """Count an answer.

        Args:
            at: Slice in which the request was due.
            version: ``x-sluice-version`` of the answer, or empty.
            status: HTTP status.
            latency_ms: From the moment it was due.
            wrong: The test itself said that the answer is wrong.
            body: Of answers with 503, to know the router's own.
        """
        cell = self.cells[at, version]
        cell["total"] += 1
        cell["errors"] += status >= 500 or (wrong and status < 400)
        cell["client_errors"] += 400 <= status < 500
        cell["lost"] += status == 503 and body.startswith(ENVOYS_WORDS)
        self.buckets[at, version][bucket_of(latency_ms)] += 1
        self.codes[str(status)] += 1

    def unanswered(self, at: int, reason: str) -> None:
        """Count a request that got no HTTP answer."""
        self.cells[at, ""].update(total=1, errors=1, lost=1)
        self.codes["0"] += 1
        self.reasons[reason[:120]] += 1

    def dropped(self, at: int) -> None:
        """Count an arrival that was never sent, because every slot was taken."""
        self.cells[at, ""].update(total=1, errors=1, dropped=1)
        self.reasons["never sent: every slot waited for an answer"] += 1

    def busy(self, at: int, cpu: float) -> None:
        """Note the share of a core that this process used in a slice."""
        self.cpu[at] = max(cpu, self.cpu.get(at, 0.0))

    def take(self) -> dict[str, Any]:
        """Everything counted since the last call, as plain data; what was taken is gone."""
        taken = {
            "cells": [
                [at, version, dict(cell), dict(self.buckets[at, version])]
                for (at, version), cell in self.cells.items()
            ],
            "lateness": dict(self.lateness),
            "codes": dict(self.codes),
            "reasons": dict(self.reasons),
            "cpu": dict(self.cpu),
        }
        self.__init__()  # type: ignore[misc]  # empty again, for those that hold this object
        return taken

    def add(self, taken: Mapping[str, Any]) -> None:
        """Add what another process took."""
        for at, version, cell, buckets in taken["cells"]:
            self.cells[at, version].update(cell)
            self.buckets[at, version].update(buckets)
        self.lateness.update(taken["lateness"])
        self.codes.update(taken["codes"])
        self.reasons.update(taken["reasons"])
        for at, cpu in taken["cpu"].items():
            self.busy(at, cpu)

    def run(self, **about: Any) -> LoadRun:
        """All of it as the document that is judged and kept; ``about`` are the other fields."""
        cells = tuple(
            Cell(
                slice=at,
                version=version,
                buckets=dict(sorted(self.buckets[at, version].items())),
                **{name: cell[name] for name in _COUNTS},
            )
            for (at, version), cell in sorted(self.cells.items())
        )
        return LoadRun(
            lateness=dict(sorted(self.lateness.items())),
            codes=dict(sorted(self.codes.items())),
            reasons=dict(self.reasons.most_common(20)),
            cpu=dict(sorted(self.cpu.items())),
            cells=cells,
            **about,
        )
