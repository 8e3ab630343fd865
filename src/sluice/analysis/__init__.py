"""Counters in, verdict out: checks that stay valid however often they look.

Pure, standard library only. The formulas and their limits: ``docs/explanation/analysis.md``.
"""

from sluice.analysis.observe import observe, start
from sluice.analysis.rates import Rates
from sluice.analysis.state import AnalysisConfig, AnalysisState, Poll, from_json, to_json

__all__ = [
    "AnalysisConfig",
    "AnalysisState",
    "Poll",
    "Rates",
    "from_json",
    "observe",
    "start",
    "to_json",
]
