"""The SLI of an SLO as PromQL over the router's counters: the same predicate as the checks'."""

from sluice.spec.slo import SLO

USERS = 'purpose=~"live|forced"'
"""Requests of users; previews and mirrored copies answer nobody."""


def total(slo: SLO, window: str) -> str:
    """Requests in a window, as a rate.

    Args:
        slo: Its ``service`` is the name of the release.
        window: PromQL duration, such as ``5m``.
    """
    if slo.threshold_ms is None:
        return f"sum(rate(sluice_requests_total{{{_release(slo)}}}[{window}]))"
    # the exposition has no sum of durations, and therefore no _count: +Inf is all of them
    return _bucket(slo, "+Inf", window)


def bad(slo: SLO, window: str) -> str:
    """Bad requests in a window, as a rate; a client that gave up on a candidate counts as bad."""
    if slo.threshold_ms is None:
        labels = f'{_release(slo)},code_class=~"5xx|none"'
        return f"sum(rate(sluice_requests_total{{{labels}}}[{window}]))"
    return f"({total(slo, window)} - {good(slo, window)})"


def good(slo: SLO, window: str) -> str:
    """Good requests in a window, as a rate."""
    if slo.threshold_ms is None:
        labels = f'{_release(slo)},code_class!~"5xx|none"'
        return f"sum(rate(sluice_requests_total{{{labels}}}[{window}]))"
    return _bucket(slo, str(slo.threshold_ms), window)


def bad_share(slo: SLO, window: str) -> str:
    """Share of bad requests in a window."""
    return f"{bad(slo, window)} / {total(slo, window)}"


def _bucket(slo: SLO, le: str, window: str) -> str:
    labels = f'{_release(slo)},le="{le}"'
    return f"sum(rate(sluice_request_duration_milliseconds_bucket{{{labels}}}[{window}]))"


def _release(slo: SLO) -> str:
    return f'release="{slo.spec.service}",{USERS}'
