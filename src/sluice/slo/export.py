"""SLOs as the documents of Sloth, Pyrra and k6."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.slo import promql
from sluice.slo.alerts import prometheus_rule, window_days
from sluice.spec.slo import SLO


def sloth(slos: Sequence[SLO], name: str) -> list[dict[str, Any]]:
    """Sloth ``prometheus/v1``: one document for each service."""
    services = sorted({slo.spec.service for slo in slos})
    return [
        {
            "version": "prometheus/v1",
            "service": service,
            "labels": {"exported_by": "sluice", "file": name},
            "slos": [_sloth_slo(slo) for slo in slos if slo.spec.service == service],
        }
        for service in services
    ]


def _sloth_slo(slo: SLO) -> dict[str, Any]:
    alert = {"page_alert": {"labels": {"severity": "page"}}}
    ticket = {"ticket_alert": {"labels": {"severity": "ticket"}}}
    return {
        "name": slo.name,
        "objective": _percent(slo),
        "description": slo.spec.description or "",
        "sli": {
            "events": {
                # Sloth puts each of its windows here
                "error_query": promql.bad(slo, "{{.window}}"),
                "total_query": promql.total(slo, "{{.window}}"),
            }
        },
        "alerting": {"name": "SluiceErrorBudgetBurn", **alert, **ticket},
    }


def pyrra(slos: Sequence[SLO], name: str) -> list[dict[str, Any]]:
    """Pyrra ``pyrra.dev/v1alpha1`` ServiceLevelObjective, one for each SLO."""
    return [
        {
            "apiVersion": "pyrra.dev/v1alpha1",
            "kind": "ServiceLevelObjective",
            "metadata": {"name": slo.name, "labels": {"pyrra.dev/file": name}},
            "spec": {
                "target": f"{_percent(slo):.10g}",
                "window": f"{max(1, round(window_days(slo) * 24))}h",
                "description": slo.spec.description or "",
                "indicator": _pyrra_indicator(slo),
            },
        }
        for slo in slos
    ]


def _pyrra_indicator(slo: SLO) -> dict[str, Any]:
    labels = f'release="{slo.spec.service}",{promql.USERS}'
    if slo.threshold_ms is None:
        metric = "sluice_requests_total"
        return {
            "ratio": {
                "errors": {"metric": f'{metric}{{{labels},code_class=~"5xx|none"}}'},
                "total": {"metric": f"{metric}{{{labels}}}"},
            }
        }
    # Pyrra's latency indicator wants a _count, which the router does not have: a bucket is a
    # counter like any other, and the ratio of two is the same number.
    bucket = "sluice_request_duration_milliseconds_bucket"
    return {
        "latency": {
            "success": {"metric": f'{bucket}{{{labels},le="{slo.threshold_ms}"}}'},
            "total": {"metric": f'{bucket}{{{labels},le="+Inf"}}'},
        }
    }


def k6(slos: Sequence[SLO], name: str) -> list[dict[str, Any]]:
    """Options of a k6 script: the nearest thresholds that k6 has; it judges point estimates."""
    thresholds: dict[str, list[str]] = {}
    for slo in slos:
        if slo.threshold_ms is None:
            value = f"rate<{1 - slo.target:.10g}"
            thresholds.setdefault("http_req_failed", []).append(value)
        else:
            value = f"p({_percent(slo):.10g})<={slo.threshold_ms}"
            thresholds.setdefault("http_req_duration", []).append(value)
    return [{"tags": {"slo_file": name}, "thresholds": thresholds}]


def _rules(slos: Sequence[SLO], name: str) -> list[dict[str, Any]]:
    return [prometheus_rule(slos, name)]


def _percent(slo: SLO) -> float:
    return round(100 * slo.target, 10)


FORMATS: Mapping[str, Callable[[Sequence[SLO], str], list[dict[str, Any]]]] = {
    "prometheusrule": _rules,
    "sloth": sloth,
    "pyrra": pyrra,
    "k6": k6,
}
"""What ``sluice slo export --to`` writes: documents from SLOs and a name."""
