"""Ids, units and the words of the design: what every other noun is made of."""

from enum import StrEnum
from typing import NewType

RevisionId = NewType("RevisionId", str)
"""Short hash of what runs: pod template, tracked config and model digest (spec computes it)."""

BP_TOTAL = 10_000
"""Basis points in a whole; weights of a routing always sum to it, so that hash intervals stay."""

LATENCY_GRID_MS: tuple[int, ...] = (
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300,
    400, 500, 600, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500, 10_000,
    15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"""Latency thresholds that can be judged, milliseconds: the router's histogram boundaries."""


class Purpose(StrEnum):
    """Why a request reached an arm; each is counted apart."""

    LIVE = "live"
    FORCED = "forced"
    PREVIEW = "preview"
    MIRROR = "mirror"


class Phase(StrEnum):
    """The one word that says how a release is."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    ABORTED = "Aborted"


class VerdictKind(StrEnum):
    """What the checks say; ``invalid`` and ``error`` hold and never promote."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    ERROR = "error"
