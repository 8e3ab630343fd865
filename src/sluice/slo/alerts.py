"""Alerts on several windows from an SLO: fast for what burns fast, late for what smoulders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sluice.slo import promql
from sluice.spec.slo import SLO

STANDARD_DAYS = 30
"""The budget's window for which the burn rates below are worked out."""
_DAYS = {"d": 1.0, "w": 7.0, "h": 1 / 24, "m": 1 / 1440, "M": 30.0, "Q": 91.0, "Y": 365.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """One pair of windows; both must burn, so that an alert ends soon after its cause."""

    severity: str
    long: str
    short: str
    budget: float
    """Share of the budget that is gone when it fires at a constant rate."""
    hours: float
    """Length of the long window."""


BURNS = (
    Burn(severity="page", long="1h", short="5m", budget=0.02, hours=1),
    Burn(severity="page", long="6h", short="30m", budget=0.05, hours=6),
    Burn(severity="ticket", long="1d", short="2h", budget=0.10, hours=24),
    Burn(severity="ticket", long="3d", short="6h", budget=0.10, hours=72),
)
"""Source: Google, The Site Reliability Workbook (2018), chapter 5."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def window_days(slo: SLO) -> float:
    """Days of the error budget's window; 30 when the SLO names none."""
    if not slo.spec.time_window:
        return float(STANDARD_DAYS)
    text = slo.spec.time_window[0].duration
    return int(text[:-1]) * _DAYS[text[-1]]


def burn_rate(burn: Burn, days: float) -> float:
    """How many times faster than allowed the budget burns at the alert."""
    return burn.budget * days * 24 / burn.hours


def rule_groups(slos: Sequence[SLO]) -> dict[str, Any]:
    """Recording and alerting rules, as Prometheus reads them from a file."""
    groups: list[dict[str, Any]] = []
    for slo in slos:
        labels = {"sluice_slo": slo.name, "sluice_service": slo.spec.service}
        records = [
            {
                "record": record_name(window),
                "expr": promql.bad_share(slo, window),
                "labels": {**labels},
            }
            for window in WINDOWS
        ]
        groups.append({"name": f"sluice-slo-{slo.name}-records", "rules": records})
        alerts = [_alert(slo, burn) for burn in BURNS]
        groups.append({"name": f"sluice-slo-{slo.name}-alerts", "rules": alerts})
    return {"groups": groups}


def prometheus_rule(slos: Sequence[SLO], name: str) -> dict[str, Any]:
    """The same as the Prometheus operator's custom resource."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "sluice"}},
        "spec": rule_groups(slos),
    }


def record_name(window: str) -> str:
    """Name of the recorded bad share over a window."""
    return f"sluice_slo:bad_share:ratio_rate{window}"


def _alert(slo: SLO, burn: Burn) -> dict[str, Any]:
    days = window_days(slo)
    rate = burn_rate(burn, days)
    limit = f"{rate * (1 - slo.target):.10g}"
    selector = f'{{sluice_slo="{slo.name}"}}'
    expression = " and ".join(
        f"{record_name(window)}{selector} > {limit}" for window in (burn.long, burn.short)
    )
    said = (
        f"{slo.name} burns its error budget over {rate:.3g} times too fast "
        f"({burn.budget:.0%} of {days:g} days in {burn.long})"
    )
    return {
        "alert": "SluiceErrorBudgetBurn",
        "expr": expression,
        "labels": {
            "severity": burn.severity,
            "sluice_slo": slo.name,
            "sluice_service": slo.spec.service,
            "window": burn.long,
        },
        "annotations": {
            "summary": said,
            "description": slo.spec.description or f"Objective: {slo.target:.6g} good.",
        },
    }
