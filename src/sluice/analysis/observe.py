"""Counters in, verdict out: the analysis of one pass, one poll at a time."""

from sluice.analysis import checks, incident
from sluice.analysis.checks import Batch, Bets
from sluice.analysis.counters import Unusable, difference, first_marks
from sluice.analysis.mixture import ONCE, Restarts, fresh, score
from sluice.analysis.rules import rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, ObjectiveState, Poll
from sluice.analysis.verdicts import combine, judge
from sluice.errors import InvariantError
from sluice.nouns import Snapshot, Verdict


def start(config: AnalysisConfig, baseline: tuple[Snapshot, ...]) -> AnalysisState:
    """The state at the beginning of a pass.

    Args:
        config: How the pass is judged.
        baseline: The counters of every router now; what they hold is not counted. A router that
            is missing here counts as one that began during the pass.
    """
    constants = rules(config, compares=config.comparisons)
    return AnalysisState(
        objectives=tuple(_nothing_known(known, constants.restarts) for known in constants.bets),
        marks=first_marks(config.objectives, baseline),
        compares=config.comparisons,
    )


def _nothing_known(known: Bets, restarts: Restarts) -> ObjectiveState:
    return ObjectiveState(
        slo=fresh(len(known.slo), restarts),
        regression=fresh(len(known.log_ratios), restarts),
        ratio=fresh(1, ONCE),
        budget=fresh(len(known.budget), ONCE),
        incident=incident.calm(known),
    )


def observe(
    config: AnalysisConfig, state: AnalysisState, poll: Poll
) -> tuple[AnalysisState, Verdict]:
    """The state and the verdict after one poll.

    A poll that could not be read or trusted leaves the state as it was and is ``error``; the next
    good one covers the gap, because counters are cumulative. ``failed`` stays: an e-process that
    once reached 1/alpha has rejected, whatever it does later. ``passed`` does not: it is what the
    evidence says now, so that a fault that begins after it can still take it back.

    Args:
        config: The same as at ``start``; only ``comparisons`` may turn False during the pass.
        state: What the last call returned.
        poll: One reading of the counters.

    Raises:
        InvariantError: the state belongs to a configuration with other objectives.
    """
    if len(state.objectives) != len(config.objectives):
        raise InvariantError("the analysis state belongs to other objectives")
    constants = rules(config, compares=state.compares)
    if poll.problem:
        return state, judge(config, constants, state, poll, problem=poll.problem)
    reading = difference(config.objectives, state.marks, poll)
    if isinstance(reading, Unusable):
        return state, judge(config, constants, state, poll, problem=reading.reason)
    comparing = config.comparisons and state.compares
    objectives = tuple(
        [
            _advance(
                known, constants.restarts, before, batch, comparing=comparing, warming=poll.warming
            )
            for known, before, batch in zip(
                constants.bets, state.objectives, reading.batches, strict=True
            )
        ]
    )
    average = combine(constants, objectives)
    after = AnalysisState(
        objectives=objectives,
        marks=reading.marks,
        compares=state.compares,
        shielded=state.shielded + reading.shielded,
        log_e=average,
        peak=max(state.peak, average),
    )
    return after, judge(config, constants, after, poll)


def _advance(
    known: Bets,
    restarts: Restarts,
    before: ObjectiveState,
    batch: Batch,
    *,
    comparing: bool,
    warming: bool,
) -> ObjectiveState:
    slo, regression = before.slo, before.regression
    ratio, budget = before.ratio, before.budget
    evidence = before.incident
    requests = batch.n_candidate
    shared = False
    if comparing:
        evidence = incident.watch(known, evidence, batch)
        shared = incident.is_shared(known, evidence, batch)
    if requests > 0 and not shared:
        factors = checks.slo_factors(known, batch)
        slo = score(slo, factors, requests, restarts)
        if comparing and not warming:
            budget = score(budget, checks.budget_factors(known, batch), requests, ONCE)
    if comparing and not warming and batch.compares:
        compared = checks.regression_factors(known, batch)
        regression = score(regression, compared, requests, restarts)
        ratio = score(ratio, checks.ratio_factors(known, batch), requests, ONCE)
    return ObjectiveState(
        n_candidate=before.n_candidate + requests,
        bad_candidate=before.bad_candidate + batch.bad_candidate,
        n_stable=before.n_stable + batch.n_stable,
        bad_stable=before.bad_stable + batch.bad_stable,
        slo=slo,
        regression=regression,
        ratio=ratio,
        budget=budget,
        incident=evidence,
    )
