"""Rules and reasons in the words of the person who has to decide."""

from math import exp, log

from sluice.nouns import Evidence, Objective

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
    verb = (
        "fails"
        if objective.kind == "availability"
        else f"is slower than {objective.threshold_ms} ms in"
    )
    stable = f" (stable {percent(evidence.baseline)})" if evidence.n_stable else ""
    return f"{verb} {percent(evidence.rate_candidate)} of {evidence.n_candidate:,} requests{stable}"
