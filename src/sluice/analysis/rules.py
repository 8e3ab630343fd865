"""Everything that follows from the configuration alone, worked out once per pass."""

from dataclasses import dataclass
from functools import lru_cache
from math import log

from sluice.analysis import wording
from sluice.analysis.checks import CLIENT_ERRORS_RATIO, Bets, Ratios, bets, ratios
from sluice.analysis.mixture import Restarts
from sluice.analysis.state import AnalysisConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Constants of one pass."""

    bets: tuple[Bets, ...]
    """One per objective."""
    weights: tuple[tuple[float, float], ...]
    """Shares of (regression, slo) of each objective in the average of FAIL e-values; 0 in a dry
    run."""
    order_weight: float
    """Share of ``latency-order``; 0: it is off."""
    clients_weight: float
    """Share of ``client-errors``; 0: it is off."""
    clients: Ratios
    restarts: Restarts
    """Spread of starting times of the FAIL checks."""
    fail_at: float
    """ln(1/alpha)."""
    pass_at: float
    """ln(2/beta): each of the two forms of PASS has half of beta."""
    texts: tuple[tuple[str, str, str], ...]
    """Rules of slo, regression and non-inferiority of each objective, up to their e-values."""


@lru_cache(maxsize=256)
def rules(config: AnalysisConfig, *, compares: bool) -> Rules:
    """The constants of a pass.

    Args:
        config: How the pass is judged.
        compares: Whether the pass began with comparisons. The shares of the checks are fixed by
            that: moving weight between checks on seeing their evidence would spend alpha twice.
    """
    regression = config.regression_weight if compares else 0.0
    order = config.order_weight if compares and config.latency_order else 0.0
    clients = config.clients_weight if compares and config.compare_client_errors else 0.0
    acting = sum(o.weight for o in config.objectives if not o.dry_run)
    whole = (regression + config.slo_weight if acting else 0.0) + order + clients or 1.0
    parts = [0.0 if o.dry_run else o.weight / acting for o in config.objectives]
    known = tuple(bets(objective) for objective in config.objectives)
    fail_at, pass_at = -log(config.alpha), log(2.0 / config.beta)
    return Rules(
        bets=known,
        weights=tuple(
            (part * regression / whole, part * config.slo_weight / whole) for part in parts
        ),
        order_weight=order / whole,
        clients_weight=clients / whole,
        clients=ratios(CLIENT_ERRORS_RATIO),
        restarts=Restarts(gamma0=config.gamma0, polls=config.polls),
        fail_at=fail_at,
        pass_at=pass_at,
        texts=tuple(_texts(bet, fail_at, pass_at) for bet in known),
    )


def _texts(known: Bets, fail_at: float, pass_at: float) -> tuple[str, str, str]:
    refuted = f"refuted at e-value {wording.e_value(fail_at)}, now "
    return (
        f"bad rate at most {wording.percent(known.allowed)}: {refuted}",
        f"bad rate at most {known.ratios.allowed:g} x stable's: {refuted}",
        f"bad rate below {known.pass_ratio:g} x stable's or below "
        f"{wording.percent(known.margin)}: proven at e-value {wording.e_value(pass_at)}, now ",
    )
