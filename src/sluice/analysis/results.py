"""What each check says, with everything that explains it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf, log

from sluice.analysis import order, wording
from sluice.analysis.bounds import (
    least_requests_absolute,
    least_requests_ratio,
    rate_interval,
    ratio_interval,
)
from sluice.analysis.checks import Bets
from sluice.analysis.mixture import Mixture
from sluice.analysis.rules import Rules
from sluice.analysis.srm import BLOCK_AT
from sluice.analysis.state import AnalysisConfig, AnalysisState, ObjectiveState, Poll
from sluice.nouns import CheckResult, Evidence, Objective, VerdictKind

_EVEN = 1e-9
"""Rounding left in ln E of a regression check that saw nothing for or against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whether the checks of a pass failed, compare and are trusted at this poll."""

    failed: bool
    """The average has reached 1/alpha."""
    comparing: bool
    shared: bool
    """Requests are shared as routed."""
    by_user: bool
    """Users are sticky: they are compared by their first bad answer, and nothing else is."""
    silent: bool
    """No endpoint of the candidate is past its warm-up: nothing passes."""


def of_objective(
    config: AnalysisConfig,
    constants: Rules,
    index: int,
    known: ObjectiveState,
    found: Evidence,
    judged: Judged,
) -> Iterator[CheckResult]:
    """``slo`` and, while both arms are compared, ``regression`` and ``non-inferiority``."""
    objective, bets = config.objectives[index], constants.bets[index]
    regression_share, slo_share = constants.weights[index]
    slo_text, regression_text, pass_text = constants.texts[index]
    dry = objective.dry_run
    yield _fail_check(
        "slo",
        objective.name,
        known.slo,
        constants,
        weight=slo_share,
        limit=_absolute_limit(found, bets.allowed, constants.fail_at, above=True),
        text=slo_text,
        fires=judged.failed or dry,
    )
    if not judged.comparing:
        return
    invalid = VerdictKind.INVALID if not judged.shared else None
    if not judged.by_user or objective.kind == "availability":
        limit = _ratio_limit(found, bets.ratios.allowed, constants.fail_at, above=True)
        yield _fail_check(
            "regression",
            objective.name,
            known.regression,
            constants,
            weight=regression_share,
            # How many requests show a difference between users nobody can say.
            limit=inf if judged.by_user else limit,
            text=f"by users' first bad answer: {regression_text}"
            if judged.by_user
            else regression_text,
            fires=judged.failed or dry,
            instead=invalid,
        )
    yield _non_inferiority(
        known,
        found,
        bets,
        constants,
        pass_text,
        beta=config.beta,
        silent=judged.silent,
        instead=invalid,
    )


def of_release(
    constants: Rules, state: AnalysisState, poll: Poll, judged: Judged
) -> Iterator[CheckResult]:
    """``latency-order``, ``client-errors`` and ``srm``: one each for the release."""
    if not judged.comparing:
        return
    invalid = VerdictKind.INVALID if not judged.shared else None
    if state.order is not None and constants.order_weight and not judged.by_user:
        yield _fail_check(
            "latency-order",
            "latency",
            state.order.mixture,
            constants,
            weight=constants.order_weight,
            limit=order.least_requests(state.order, constants.fail_at),
            text=f"answers as fast as stable's or one bucket slower: {_refuted(constants)}",
            fires=judged.failed,
            instead=invalid,
        )
    if constants.clients_weight and not judged.by_user:
        yield _fail_check(
            "client-errors",
            "4xx",
            state.clients,
            constants,
            weight=constants.clients_weight,
            limit=_clients_limit(constants, state),
            text=f"4xx at most {constants.clients.allowed:g} x stable's: {_refuted(constants)}",
            fires=judged.failed,
            instead=invalid,
        )
    if state.srm.counts:
        value = state.srm.log_e
        yield CheckResult(
            check="srm",
            objective="shares",
            kind=VerdictKind.INCONCLUSIVE if judged.shared else VerdictKind.INVALID,
            log_e=value,
            log_threshold=BLOCK_AT,
            p_value=min(1.0, exp(-value)),
            weight=0.0,
            requests=sum(state.srm.counts),
            information_limit=inf,
            rule="requests shared as routed: refuted at e-value "
            f"{wording.e_value(BLOCK_AT)}, now {wording.e_value(value)}",
        )


def _refuted(constants: Rules) -> str:
    return f"refuted at e-value {wording.e_value(constants.fail_at)}, now "


def _clients_limit(constants: Rules, state: AnalysisState) -> float:
    n, bad, n_stable, bad_stable = state.client_counts
    if not n or not n_stable:
        return inf
    rate, stable = bad / n, bad_stable / n_stable
    if rate <= constants.clients.allowed * stable:
        return inf
    share = n / (n + n_stable)
    return least_requests_ratio(rate, stable, share, constants.clients.allowed, constants.fail_at)


def evidence(objective: Objective, known: ObjectiveState, delta: float) -> Evidence:
    """Rates and their intervals."""
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
        acts=not objective.dry_run,
    )


def _fail_check(
    check: str,
    objective: str,
    mixture: Mixture,
    constants: Rules,
    *,
    weight: float,
    limit: float,
    text: str,
    fires: bool,
    instead: VerdictKind | None = None,
) -> CheckResult:
    # The average decides; when it has reached 1/alpha, at least one of its parts has too.
    failed = fires and mixture.peak >= constants.fail_at
    return CheckResult(
        check=check,
        objective=objective,
        kind=VerdictKind.FAILED if failed else instead or VerdictKind.INCONCLUSIVE,
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
    instead: VerdictKind | None,
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
        kind=instead or (VerdictKind.PASSED if proven and not silent else VerdictKind.INCONCLUSIVE),
        log_e=max(by_ratio, by_budget),
        log_threshold=constants.pass_at,
        p_value=min(1.0, 2.0 * exp(-max(known.ratio.peak, known.budget.peak))),
        weight=0.0,
        requests=max(known.ratio.requests, known.budget.requests),
        information_limit=limit,
        rule=f"{text}{wording.e_value(by_ratio)} and {wording.e_value(by_budget)}",
    )
