"""One sick pod is not a bad version: the evidence without each endpoint of the candidate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from sluice.analysis import checks
from sluice.analysis.checks import Batch, Bets
from sluice.analysis.logmath import binomial_tail_at_most, log_mean_exp
from sluice.analysis.mixture import Mixture, Restarts, moved

MOST_PODS = 20
"""More are not told apart: the state has to stay small."""
MOST_READINGS = 60
"""Pods times routers above which they are not told apart, for the same reason."""
REPLACEMENTS = 2
"""A pass replaces so many pods; a version that needs more is bad itself."""
SPARED_MS = 60_000
"""What a pod that is being replaced answers does not count for so long."""
LEANING = log(5.0)
"""ln of the evidence that the other pods must show before the version is turned back: a good
version with one sick pod is turned back by chance in at most 5% (measured), a bad one is found with
18% more requests on two pods and no more on four."""
_CHANCE = 0.01
"""Chance that a version which is bad on every pod is taken for one sick pod."""
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


def differs(pods: Sequence[Pod], sick: Pod) -> bool:
    """Whether this pod is proven worse than the other ones.

    Were the version bad, its bad answers would fall on its pods as its requests do: the chance that
    so many of them fell on one, times the number of pods it could have been.
    """
    requests = sum(pod.requests for pod in pods)
    bad = sum(pod.bad for pod in pods)
    if not 0 < sick.requests < requests:
        return False
    share = sick.requests / requests
    return binomial_tail_at_most(sick.bad, bad, share, _CHANCE / len(pods))
