"""From the evidence of all checks to one verdict."""

from sluice.analysis import reasons, results, shares
from sluice.analysis.results import Judged
from sluice.analysis.rules import Rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, Poll
from sluice.nouns import CheckResult, Evidence, Purpose, Verdict, VerdictKind

HARM_BUDGET_SPENT = "HarmBudgetSpent"
"""``Verdict.cause``: users saw more bad answers than ``maxHarmed``; a count, not a test."""


def judge(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    poll: Poll,
    *,
    problem: str = "",
) -> Verdict:
    """The verdict of a state that already contains the poll.

    A failed check comes first, then a spent harm budget, a sick pod, what could not be measured,
    shares that cannot be trusted, and only then PASS.

    Args:
        config: How the pass is judged.
        constants: The rules of that configuration.
        state: The state after the poll, or before it when there was a problem.
        poll: Where and when.
        problem: Why the poll could not be used; empty when it was.
    """
    judged = Judged(
        failed=state.peak >= constants.fail_at,
        comparing=config.comparisons and state.compares and poll.purpose is Purpose.LIVE,
        shared=not shares.mismatch(state.srm),
        by_user=bool(state.user_shares),
        silent=bool(poll.young) and poll.settled == 0,
    )
    evidence: list[Evidence] = []
    found: list[CheckResult] = []
    warnings: list[str] = []
    for index, (objective, known) in enumerate(
        zip(config.objectives, state.objectives, strict=True)
    ):
        seen = results.evidence(objective, known, config.delta)
        evidence.append(seen)
        of_objective = list(results.of_objective(config, constants, index, known, seen, judged))
        found += of_objective
        if objective.dry_run and any(one.kind is VerdictKind.FAILED for one in of_objective):
            warnings.append(reasons.would_have_failed(objective, seen))
    found += results.of_release(constants, state, poll, judged)
    harmed = _harmed(config, state)
    cause = sick = ""
    if judged.failed:
        kind = VerdictKind.FAILED
        reason = reasons.failed(config, constants, state, evidence)
    elif config.max_harmed is not None and harmed > config.max_harmed:
        kind, cause = VerdictKind.FAILED, HARM_BUDGET_SPENT
        reason = f"users saw {harmed:,} bad answers of the candidate, more than " + (
            f"maxHarmed {config.max_harmed:,}"
        )
    elif problem:
        kind, reason = VerdictKind.ERROR, f"could not measure: {problem}"
    elif state.sick:
        kind, sick = VerdictKind.INCONCLUSIVE, state.sick
        reason = f"replace the pod {sick}: only it fails, the others of the candidate are well"
    elif judged.comparing and not judged.shared:
        kind, reason = VerdictKind.INVALID, reasons.invalid(state, poll)
    else:
        proofs = _proofs(config, found)
        if proofs and all(proof.kind is VerdictKind.PASSED for proof in proofs):
            kind = VerdictKind.PASSED
            reason = reasons.passed(config, constants, evidence, proofs)
        else:
            kind = VerdictKind.INCONCLUSIVE
            reason = reasons.inconclusive(config, constants, state, poll, evidence, proofs)
    return Verdict(
        kind=kind,
        reason=reason,
        taken_ms=poll.taken_ms,
        checks=tuple(found),
        evidence=tuple(evidence),
        log_e=state.log_e,
        log_threshold=constants.fail_at,
        requests=max([known.n_candidate for known in state.objectives], default=0),
        harmed=harmed,
        rate_rps=poll.rate_rps,
        interval_s=poll.interval_s,
        cause=cause,
        sick=sick,
        warnings=tuple(warnings),
    )


def _proofs(config: AnalysisConfig, found: list[CheckResult]) -> list[CheckResult]:
    """PASS of every objective that acts."""
    dry = {objective.name for objective in config.objectives if objective.dry_run}
    return [one for one in found if one.check == "non-inferiority" and one.objective not in dry]


def _harmed(config: AnalysisConfig, state: AnalysisState) -> int:
    """Bad answers that users saw, by the worst objective; events of a query are no answers."""
    return max(
        [
            max(0, known.harmed - (state.shielded if objective.kind == "availability" else 0))
            for objective, known in zip(config.objectives, state.objectives, strict=True)
            if not objective.dry_run and objective.kind != "query"
        ],
        default=0,
    )
