"""Counters in, verdict out: checks that stay valid however often they look.

Pure, standard library only. The formulas and their limits: ``docs/explanation/analysis.md``.
"""

from sluice.analysis.observe import observe, start
from sluice.analysis.rates import Rates
from sluice.analysis.record import from_json, to_json
from sluice.analysis.state import AnalysisConfig, AnalysisState, Poll, Split

__all__ = [
    "AnalysisConfig",
    "AnalysisState",
    "Poll",
    "Rates",
    "Split",
    "from_json",
    "observe",
    "start",
    "to_json",
]
