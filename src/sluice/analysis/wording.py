"""Rules and reasons in the words of the person who has to decide."""

from math import exp, log

from sluice.analysis.order import Order, tolerated, worst
from sluice.nouns import LATENCY_GRID_MS, Evidence, Objective

_LN10 = log(10.0)


def percent(share: float) -> str:
    """A share as percent, with as many digits as it needs: 5.1%, 0.5%, 0.012%."""
    value = 100.0 * share
    if value >= 1.0 or value == 0.0:
        text = f"{value:.1f}"
    elif value >= 0.1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.2g}"
    return (text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text) + "%"


def e_value(log_e: float) -> str:
    """An e-value from its logarithm: 0.31, 12, 1,204, 10^23."""
    if log_e > 16.0:
        return f"10^{log_e / _LN10:.0f}"
    value = exp(log_e)
    if value >= 9.5:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value >= 0.01 else "below 0.01"


def how_bad(objective: Objective, evidence: Evidence) -> str:
    """What the candidate does wrong and how often, stable beside it: a predicate for people."""
    stable = f" (stable {percent(evidence.baseline)})" if evidence.n_stable else ""
    share = f"{percent(evidence.rate_candidate)} of {evidence.n_candidate:,}"
    match objective.kind:
        case "availability":
            return f"fails {share} requests{stable}"
        case "latency":
            return f"is slower than {objective.threshold_ms} ms in {share} requests{stable}"
        case "query":
            return f"is bad by {objective.name} in {share} events{stable}"


def client_errors(counts: tuple[int, int, int, int]) -> str:
    """The share of answers 400 to 499, stable's beside it."""
    n, bad, n_stable, bad_stable = counts
    stable = f" (stable {percent(bad_stable / n_stable)})" if n_stable else ""
    return f"answers 4xx to {percent(bad / n if n else 0.0)} of {n:,} requests{stable}"


def slower(order: Order) -> str:
    """How much slower the candidate answers, at the boundary that shows it best."""
    at = worst(order)
    seen, index = order.seen[at], order.boundaries[at]
    share = seen.above_candidate / seen.n_candidate if seen.n_candidate else 0.0
    stable = seen.above_stable / seen.n_stable if seen.n_stable else 0.0
    return (
        f"is slower than {LATENCY_GRID_MS[tolerated(index)]} ms in {percent(share)} of "
        f"{seen.n_candidate:,} requests (stable slower than {LATENCY_GRID_MS[index]} ms in "
        f"{percent(stable)})"
    )
