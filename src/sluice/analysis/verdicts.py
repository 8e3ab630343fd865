"""From the evidence of all objectives to one verdict, with everything that explains it."""

from collections.abc import Sequence
from math import exp, inf, log

from sluice.analysis import wording
from sluice.analysis.bounds import (
    least_requests_absolute,
    least_requests_ratio,
    rate_interval,
    ratio_interval,
)
from sluice.analysis.checks import Bets
from sluice.analysis.logmath import log_weighted_sum
from sluice.analysis.mixture import Mixture
from sluice.analysis.rules import Rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, ObjectiveState, Poll
from sluice.nouns import CheckResult, Evidence, Objective, Verdict, VerdictKind

_EVEN = 1e-9
"""Rounding left in ln E of a regression check that saw nothing for or against."""


def combine(constants: Rules, objectives: Sequence[ObjectiveState]) -> float:
    """Logarithm of the weighted average of all FAIL e-values.

    An average of e-values is an e-value whatever the dependence between them, so that one alpha
    covers all checks of all objectives (weighted e-Bonferroni; Vovk & Wang 2021).
    """
    if not objectives:
        return 0.0
    values: list[float] = []
    weights: list[float] = []
    for known, shares in zip(objectives, constants.weights, strict=True):
        values += (known.regression.log_e, known.slo.log_e)
        weights += shares
    return log_weighted_sum(values, weights)


def judge(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    poll: Poll,
    *,
    problem: str = "",
) -> Verdict:
    """The verdict of a state that already contains the poll.

    Args:
        config: How the pass is judged.
        constants: The rules of that configuration.
        state: The state after the poll, or before it when there was a problem.
        poll: Where, when and whether the candidate is warming.
        problem: Why the poll could not be used; empty when it was.
    """
    comparing = config.comparisons and state.compares
    failed = state.peak >= constants.fail_at
    evidence: list[Evidence] = []
    results: list[CheckResult] = []
    proofs: list[CheckResult] = []
    harmed = 0
    for objective, known, bets, shares, texts in zip(
        config.objectives,
        state.objectives,
        constants.bets,
        constants.weights,
        constants.texts,
        strict=True,
    ):
        found = _evidence(objective, known, config.delta)
        evidence.append(found)
        unseen = state.shielded if objective.kind == "availability" else 0
        harmed = max(harmed, known.bad_candidate - unseen)
        results.append(
            _fail_check(
                "slo",
                known.slo,
                found,
                constants,
                weight=shares[1],
                limit=_absolute_limit(found, bets.allowed, constants.fail_at, above=True),
                text=texts[0],
                failed=failed,
            )
        )
        if comparing:
            results.append(
                _fail_check(
                    "regression",
                    known.regression,
                    found,
                    constants,
                    weight=shares[0],
                    limit=_ratio_limit(found, bets.max_ratio, constants.fail_at, above=True),
                    text=texts[1],
                    failed=failed,
                )
            )
            proof = _non_inferiority(
                known, found, bets, constants, texts[2], beta=config.beta, silent=poll.warming
            )
            proofs.append(proof)
            results.append(proof)
    if failed:
        kind = VerdictKind.FAILED
        reason = _failed_reason(config, constants, state, evidence)
    elif problem:
        kind, reason = VerdictKind.ERROR, f"could not measure: {problem}"
    elif proofs and all(proof.kind is VerdictKind.PASSED for proof in proofs):
        kind = VerdictKind.PASSED
        reason = _passed_reason(config, constants, evidence, proofs)
    else:
        kind = VerdictKind.INCONCLUSIVE
        reason = _inconclusive_reason(config, constants, state, poll, evidence, proofs)
    return Verdict(
        kind=kind,
        reason=reason,
        taken_ms=poll.taken_ms,
        checks=tuple(results),
        evidence=tuple(evidence),
        log_e=state.log_e,
        log_threshold=constants.fail_at,
        requests=max([known.n_candidate for known in state.objectives], default=0),
        harmed=harmed,
        rate_rps=poll.rate_rps,
        interval_s=poll.interval_s,
    )


def _evidence(objective: Objective, known: ObjectiveState, delta: float) -> Evidence:
    interval = rate_interval(known.bad_candidate, known.n_candidate, delta)
    ratio = (0.0, inf)
    if known.n_candidate and known.n_stable:
        ratio = ratio_interval(interval, rate_interval(known.bad_stable, known.n_stable, delta))
    return Evidence(
        objective=objective.name,
        n_candidate=known.n_candidate,
        bad_candidate=known.bad_candidate,
        n_stable=known.n_stable,
        bad_stable=known.bad_stable,
        rate_candidate=known.bad_candidate / known.n_candidate if known.n_candidate else 0.0,
        low=interval[0],
        high=interval[1],
        upper=interval[1],
        baseline=known.bad_stable / known.n_stable if known.n_stable else 0.0,
        ratio_low=ratio[0],
        ratio_high=ratio[1],
    )


def _fail_check(
    check: str,
    mixture: Mixture,
    found: Evidence,
    constants: Rules,
    *,
    weight: float,
    limit: float,
    text: str,
    failed: bool,
) -> CheckResult:
    # The average decides; when it has reached 1/alpha, at least one of its parts has too.
    fires = failed and mixture.peak >= constants.fail_at
    return CheckResult(
        check=check,
        objective=found.objective,
        kind=VerdictKind.FAILED if fires else VerdictKind.INCONCLUSIVE,
        log_e=mixture.log_e,
        log_threshold=constants.fail_at,
        p_value=exp(-mixture.peak),
        weight=weight,
        requests=mixture.requests,
        information_limit=limit,
        rule=text + wording.e_value(mixture.log_e),
    )


def _absolute_limit(found: Evidence, edge: float, log_threshold: float, *, above: bool) -> float:
    rate = found.rate_candidate
    if not found.n_candidate or ((rate <= edge) if above else (rate >= edge)):
        return inf
    return least_requests_absolute(rate, edge, log_threshold)


def _ratio_limit(found: Evidence, ratio: float, log_threshold: float, *, above: bool) -> float:
    if not found.n_candidate or not found.n_stable:
        return inf
    edge = ratio * found.baseline
    if (found.rate_candidate <= edge) if above else (found.rate_candidate >= edge):
        return inf
    share = found.n_candidate / (found.n_candidate + found.n_stable)
    return least_requests_ratio(found.rate_candidate, found.baseline, share, ratio, log_threshold)


def _non_inferiority(
    known: ObjectiveState,
    found: Evidence,
    bets: Bets,
    constants: Rules,
    text: str,
    *,
    beta: float,
    silent: bool,
) -> CheckResult:
    by_ratio, by_budget = known.ratio.log_e, known.budget.log_e
    # Between maxRatio and passRatio times stable a candidate may be refuted by one check and
    # proven by the other: the budget alone proves nothing while regression leans to failure.
    proven = by_ratio >= constants.pass_at or (
        by_budget >= constants.pass_at and known.regression.log_e <= _EVEN
    )
    log_chance = -log(beta)
    limit = min(
        _ratio_limit(found, bets.pass_ratio, log_chance, above=False),
        _absolute_limit(found, bets.margin, log_chance, above=False),
    )
    return CheckResult(
        check="non-inferiority",
        objective=found.objective,
        kind=VerdictKind.PASSED if proven and not silent else VerdictKind.INCONCLUSIVE,
        log_e=max(by_ratio, by_budget),
        log_threshold=constants.pass_at,
        p_value=min(1.0, 2.0 * exp(-max(known.ratio.peak, known.budget.peak))),
        weight=0.0,
        requests=max(known.ratio.requests, known.budget.requests),
        information_limit=limit,
        rule=f"{text}{wording.e_value(by_ratio)} and {wording.e_value(by_budget)}",
    )


def _failed_reason(
    config: AnalysisConfig, constants: Rules, state: AnalysisState, evidence: Sequence[Evidence]
) -> str:
    worst = max(
        range(len(evidence)),
        key=lambda i: max(state.objectives[i].regression.peak, state.objectives[i].slo.peak),
    )
    bar, now = wording.e_value(constants.fail_at), wording.e_value(state.log_e)
    proof = (
        f"e-value {now} >= {bar}"
        if state.log_e >= constants.fail_at
        else f"e-value had reached {bar}, now {now}"
    )
    return f"candidate {wording.how_bad(config.objectives[worst], evidence[worst])}: {proof}"


def _passed_reason(
    config: AnalysisConfig,
    constants: Rules,
    evidence: Sequence[Evidence],
    proofs: Sequence[CheckResult],
) -> str:
    weakest = min(range(len(proofs)), key=lambda i: proofs[i].log_e)
    return (
        f"candidate is no worse: {wording.how_bad(config.objectives[weakest], evidence[weakest])}, "
        f"e-value {wording.e_value(proofs[weakest].log_e)} >= {wording.e_value(constants.pass_at)}"
    )


def _inconclusive_reason(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    poll: Poll,
    evidence: Sequence[Evidence],
    proofs: Sequence[CheckResult],
) -> str:
    if not evidence:
        return "no objective to judge"
    if not any(known.n_candidate for known in evidence):
        return "no candidate requests yet"
    against = (
        f"e-value against it {wording.e_value(state.log_e)} of {wording.e_value(constants.fail_at)}"
    )
    if poll.warming:
        return (
            f"an endpoint of the candidate is younger than {config.warm_up_ms / 1000:g} s: "
            f"only slo judges; {against}"
        )
    if not proofs:
        return f"nothing concurrent to compare with: only slo judges; {against}"
    weakest = min(
        [i for i, proof in enumerate(proofs) if proof.kind is not VerdictKind.PASSED],
        key=lambda i: proofs[i].log_e,
    )
    return (
        f"candidate {wording.how_bad(config.objectives[weakest], evidence[weakest])}: {against}, "
        f"for it {wording.e_value(proofs[weakest].log_e)} of {wording.e_value(constants.pass_at)}"
    )
