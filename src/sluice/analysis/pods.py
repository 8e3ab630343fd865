"""One sick pod is not a bad version: the evidence without each endpoint of the candidate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from sluice.analysis import checks
from sluice.analysis.checks import Batch, Bets
from sluice.analysis.logmath import log_mean_exp
from sluice.analysis.mixture import Mixture, Restarts, moved

MOST_PODS = 20
"""More are not told apart: the state has to stay small."""
MOST_READINGS = 60
"""Pods times routers above which they are not told apart, for the same reason."""
REPLACEMENTS = 2
"""A pass replaces so many pods; a version that needs more is bad itself."""
SPARED_MS = 60_000
"""What a pod that is being replaced answers does not count for so long."""
LEANING = log(20.0)
"""ln of the evidence that the other pods must show before the version is turned back. A good
version with one sick pod is turned back with a chance of at most 5%."""
_OTHERS_SEEN = 3
"""Least requests of the other pods; with fewer nobody knows that they are well."""
_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What one endpoint of the candidate answered, and the evidence of all the others."""

    name: str
    requests: int = 0
    bad: int = 0
    slo: tuple[float, ...]
    """ln of the capitals of ``slo`` without this pod's answers, rounded."""
    regression: tuple[float, ...]
    """The same of ``regression``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one poll does to the evidence without a pod."""

    judged: Batch | None
    """What ``slo`` scored; None: nothing."""
    compared: Batch | None
    """What ``regression`` scored; None: nothing."""
    young: Collection[str]
    """Pods that are not in ``compared``."""
    slo_stake: float | None
    regression_stake: float | None


def advance(
    pods: Sequence[Pod],
    answered: Mapping[str, tuple[int, int]],
    known: Bets,
    before: tuple[Mixture, Mixture],
    step: Step,
) -> tuple[Pod, ...]:
    """Every pod's evidence after one poll.

    Args:
        pods: What was known.
        answered: (requests, bad) of each endpoint in this poll.
        known: The bets of the objective.
        before: ``slo`` and ``regression`` of all pods together, before the poll: what is known
            without a pod that answers for the first time.
        step: What the poll scored.
    """
    there = {pod.name: pod for pod in pods}
    for name in answered:
        if name not in there:
            there[name] = Pod(
                name=name, slo=before[0].log_weights, regression=before[1].log_weights
            )
    if len(there) > MOST_PODS:
        present = [pod for name, pod in there.items() if name in answered]
        there = {pod.name: pod for pod in present[:MOST_PODS]}
    return tuple(
        _without(pod, answered.get(pod.name, (0, 0)), known, step) for pod in there.values()
    )


def _without(pod: Pod, own: tuple[int, int], known: Bets, step: Step) -> Pod:
    slo, regression = pod.slo, pod.regression
    if step.judged is not None:
        rest = step.judged.without(*own)
        factors = checks.slo_factors(known, rest) if rest.n_candidate else None
        slo = _rounded(moved(slo, factors, step.slo_stake))
    if step.compared is not None:
        rest = step.compared if pod.name in step.young else step.compared.without(*own)
        compared = checks.comparison_factors(known.ratios, rest) if rest.compares else None
        regression = _rounded(moved(regression, compared, step.regression_stake))
    return replace(
        pod,
        requests=pod.requests + own[0],
        bad=pod.bad + own[1],
        slo=slo,
        regression=regression,
    )


def _rounded(weights: tuple[float, ...]) -> tuple[float, ...]:
    return tuple([round(weight, _DIGITS) for weight in weights])


def without(
    pod: Pod, slo: Mixture, regression: Mixture, restarts: Restarts
) -> tuple[Mixture, Mixture]:
    """``slo`` and ``regression`` as they would be had this pod never answered.

    Args:
        pod: The pod that is left out.
        slo: The check over all pods; how many polls it used decides what is still to join.
        regression: Likewise.
        restarts: The spread of starting times.
    """
    return _mixture(pod, pod.slo, slo, restarts), _mixture(
        pod, pod.regression, regression, restarts
    )


def _mixture(pod: Pod, weights: tuple[float, ...], whole: Mixture, restarts: Restarts) -> Mixture:
    value = log_mean_exp(weights, rest=restarts.unspent(whole.used))
    return Mixture(
        log_weights=weights,
        log_e=value,
        used=whole.used,
        requests=max(0, whole.requests - pod.requests),
        peak=max(0.0, value),
    )


def others_were_seen(pods: Sequence[Pod], sick: Pod) -> bool:
    """Whether the other pods answered enough that a bad version would have shown on them."""
    return sum(pod.requests for pod in pods if pod is not sick) >= _OTHERS_SEEN
