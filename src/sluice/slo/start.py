"""From requirements in numbers to an SLO file, a load profile and a release policy."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from sluice.analysis.binomial import requests_to_decide
from sluice.spec.scalars import format_duration

_CONFIDENCE = 0.95
_HEALTHY = 0.25
"""A healthy service is taken to use this share of its error budget."""
_SHORTEST_S = 60
_SPIKE = 2.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What somebody asks of a model API."""

    name: str
    """Service and release."""
    rps: float
    """Requests per second at the busiest time."""
    latency_ms: int
    """On ``LATENCY_GRID_MS``."""
    latency_share: float
    """Share of requests that must be faster."""
    availability: float
    """Share of requests that must be answered."""
    callers: str
    """``people``: come when they come. ``jobs``: evenly, and they try again."""
    fresh_s: int
    """How often the data that the model is made from changes, seconds: so often it is released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFiles:
    """What ``sluice slo init`` writes."""

    slos: tuple[dict[str, Any], ...]
    profile: dict[str, Any]
    policy: dict[str, Any]
    arithmetic: tuple[str, ...]
    """How each number came about, one line each."""


def first_files(needs: Needs) -> FirstFiles:
    """The three files and the arithmetic behind them."""
    limits = {"availability": 1 - needs.availability, "latency": 1 - needs.latency_share}
    strictest = min(limits.values())
    enough = ceil(requests_to_decide(_HEALTHY * strictest, strictest, confidence=_CONFIDENCE))
    least = ceil(requests_to_decide(0.0, strictest, confidence=_CONFIDENCE))
    length_s = max(_SHORTEST_S, 10 * ceil(enough / needs.rps / 10))
    bake_s = min(max(60, length_s), max(60, needs.fresh_s // 10))
    deadline_s = max(6 * bake_s, 600)
    month = needs.rps * _DAY_S * 30
    lines = (
        f"budget: {limits['availability']:.4g} of the requests may fail and "
        f"{limits['latency']:.4g} may take over {needs.latency_ms} ms: at {needs.rps:g} a second "
        f"all the time, {month * limits['availability']:,.0f} and "
        f"{month * limits['latency']:,.0f} in 30 days",
        f"load test: {least:,} requests without a bad one, or {enough:,} with "
        f"{_HEALTHY:.0%} of the budget used, prove {1 - strictest:.6g} at {_CONFIDENCE:.0%}: "
        f"{length_s} s at {needs.rps:g} a second",
        f"minBake: {bake_s} s, the time of the load test, and at most a tenth of the "
        f"{format_duration(needs.fresh_s * 1000)} between two changes of the data",
        f"deadline: {deadline_s} s, six times minBake and at least ten minutes",
        f"harmBudget: {_harm(needs):g}, the bad answers that the budget allows in ten minutes, "
        "from 1 to 10",
    )
    return FirstFiles(
        slos=(
            _slo(needs, "availability", needs.availability),
            _slo(needs, "latency", needs.latency_share),
        ),
        profile=_profile(needs, length_s),
        policy=_policy(needs, bake_s, deadline_s),
        arithmetic=lines,
    )


def _harm(needs: Needs) -> float:
    return max(1.0, min(10.0, float(round(needs.rps * 600 * (1 - needs.availability)))))


def _slo(needs: Needs, kind: str, target: float) -> dict[str, Any]:
    notes = {"sluice.dev/sli": kind}
    said = "Requests are answered, and not by a server error."
    if kind == "latency":
        notes["sluice.dev/le"] = f"{needs.latency_ms / 1000:g}"
        said = f"Requests are answered within {needs.latency_ms} ms."
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": f"{needs.name}-{kind}", "annotations": notes},
        "spec": {
            "description": said,
            "service": needs.name,
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": kind, "target": target}],
        },
    }


def _profile(needs: Needs, length_s: int) -> dict[str, Any]:
    if needs.callers == "jobs":
        return {
            "kind": "constant",
            "arrivals": "constant",
            "rate": needs.rps,
            "duration": f"{length_s}s",
        }
    # people come in crowds: the last quarter of the test is a crowd
    return {
        "kind": "spike",
        "base": needs.rps,
        "peak": _SPIKE * needs.rps,
        "at": f"{length_s * 3 // 4}s",
        "length": f"{length_s // 8}s",
        "duration": f"{length_s}s",
    }


def _policy(needs: Needs, bake_s: int, deadline_s: int) -> dict[str, Any]:
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": needs.name},
        "spec": {
            "objectives": [
                {"sloRef": f"{needs.name}-availability"},
                {"sloRef": f"{needs.name}-latency"},
            ],
            "harmBudget": _harm(needs),
            "minBake": f"{bake_s}s",
            "deadline": f"{deadline_s}s",
        },
    }
