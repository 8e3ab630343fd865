"""When the candidate fails: is it the version, or one of its pods?"""

from dataclasses import replace

from sluice.analysis import pods
from sluice.analysis.average import combine
from sluice.analysis.mixture import anew
from sluice.analysis.pods import LEANING, REPLACEMENTS, SPARED_MS, Pod
from sluice.analysis.rules import Rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, Poll

_NOT_YET = 1e-9
_PASS_AGAIN = 0.25
"""Capital of PASS after a replacement: with two of them ``beta`` is at most 1.5 times itself."""


def objective_of(config: AnalysisConfig) -> int | None:
    """The objective that routers count by endpoint: the first of availability that acts."""
    return next(
        (
            index
            for index, objective in enumerate(config.objectives)
            if objective.kind == "availability" and not objective.dry_run
        ),
        None,
    )


def found(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    poll: Poll,
    *,
    total: float,
    shared: bool,
) -> AnalysisState | None:
    """What becomes of a poll in which the average reached 1/alpha, when one pod may be the reason.

    When the other pods fail as well, it is the version. When they do not and this pod is proven
    worse than they are, the pass goes on without it. In between nothing is decided yet: a few
    requests later it will be one or the other.

    The least of the e-values without one pod is an e-value for "the version is good, one pod is
    not"; going on with that pod's process from here keeps it one. PASS begins again, because its
    proof had that pod's answers in it.

    Args:
        config: How the pass is judged.
        constants: The rules of the pass.
        state: Evidence after the poll.
        poll: When.
        total: The average that reached it, in logarithms.
        shared: Whether shares can be trusted.

    Returns:
        The state to go on with; None: it is the version, there is one pod only, or two were
        replaced already.
    """
    index = objective_of(config)
    if index is None or len(state.pods) < 2 or len(state.spared) >= REPLACEMENTS:
        return None
    known = state.objectives[index]
    best: tuple[float, Pod] | None = None
    for pod in state.pods:
        instead = pods.without(pod, known.slo, known.regression, constants.restarts)
        value = combine(constants, state, shared=shared, instead={index: instead})
        if best is None or value < best[0]:
            best = value, pod
    assert best is not None  # noqa: S101  # there are two pods at least
    average, pod = best
    if average >= LEANING:
        return None
    if not pods.differs(state.pods, pod):
        # Below 1/alpha, so that it is not taken for a failed check.
        return replace(state, log_e=min(total, constants.fail_at - _NOT_YET))
    slo, regression = pods.without(pod, known.slo, known.regression, constants.restarts)
    cleaned = replace(
        known,
        n_candidate=max(0, known.n_candidate - pod.requests),
        bad_candidate=max(0, known.bad_candidate - pod.bad),
        slo=slo,
        regression=regression,
        ratio=anew(known.ratio, _PASS_AGAIN),
        budget=anew(known.budget, _PASS_AGAIN),
    )
    return replace(
        state,
        objectives=(*state.objectives[:index], cleaned, *state.objectives[index + 1 :]),
        # Nobody kept what is known without two pods: the others are told apart from here on.
        pods=tuple(
            replace(item, slo=slo.log_weights, regression=regression.log_weights)
            for item in state.pods
            if item is not pod
        ),
        spared=(*state.spared, (pod.name, poll.taken_ms + SPARED_MS)),
        sick=pod.name,
        log_e=average,
        peak=max(state.peak, average),
    )
