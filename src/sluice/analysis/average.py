"""The FAIL e-values of all checks as one number, which alone decides."""

from collections.abc import Sequence

from sluice.analysis.logmath import log_weighted_sum
from sluice.analysis.mixture import Mixture
from sluice.analysis.rules import Rules
from sluice.analysis.state import AnalysisState


def combine(
    constants: Rules,
    state: AnalysisState,
    *,
    shared: bool = True,
    instead: dict[int, tuple[Mixture, Mixture]] | None = None,
) -> float:
    """Logarithm of the weighted average of all FAIL e-values.

    An average of e-values is an e-value whatever the dependence between them, so that one alpha
    covers all checks of all objectives (weighted e-Bonferroni; Vovk & Wang 2021).

    Args:
        constants: The rules of the pass.
        state: The evidence.
        shared: False: requests are not shared as routed, so that only ``slo`` counts.
        instead: ``slo`` and ``regression`` of some objectives, by index, in place of the state's.
    """
    values: list[float] = []
    weights: list[float] = []
    for index, (known, parts) in enumerate(zip(state.objectives, constants.weights, strict=True)):
        slo, regression = (instead or {}).get(index, (known.slo, known.regression))
        values += (slo.log_e, regression.log_e)
        weights += (parts[1], parts[0] if shared else 0.0)
    values += (state.clients.log_e, state.order.mixture.log_e if state.order is not None else 0.0)
    weights += (constants.clients_weight, constants.order_weight) if shared else (0.0, 0.0)
    return _sum(values, weights)


def _sum(values: Sequence[float], weights: Sequence[float]) -> float:
    return log_weighted_sum(values, weights) if any(weights) else 0.0
