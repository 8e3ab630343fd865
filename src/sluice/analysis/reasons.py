"""Why a verdict is what it is, in one line for people."""

from collections.abc import Sequence

from sluice.analysis import wording
from sluice.analysis.rules import Rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, Poll
from sluice.nouns import CheckResult, Evidence, Objective, Purpose, VerdictKind

_KINDS = {
    Purpose.LIVE: "",
    Purpose.MIRROR: "mirrored ",
    Purpose.PREVIEW: "preview ",
    Purpose.FORCED: "forced ",
}


def failed(
    config: AnalysisConfig, constants: Rules, state: AnalysisState, evidence: Sequence[Evidence]
) -> str:
    """What the candidate does wrong, by the check with the most evidence, and the proof."""
    peaks = {
        wording.how_bad(objective, found): max(known.regression.peak, known.slo.peak)
        for objective, known, found in zip(
            config.objectives, state.objectives, evidence, strict=True
        )
        if found.acts
    }
    if constants.clients_weight:
        peaks[wording.client_errors(state.client_counts)] = state.clients.peak
    if state.order is not None and constants.order_weight:
        peaks[wording.slower(state.order)] = state.order.mixture.peak
    worst = max(peaks, key=lambda what: peaks[what])
    bar, now = wording.e_value(constants.fail_at), wording.e_value(state.log_e)
    proof = (
        f"e-value {now} >= {bar}"
        if state.log_e >= constants.fail_at
        else f"e-value had reached {bar}, now {now}"
    )
    return f"candidate {worst}: {proof}"


def passed(
    config: AnalysisConfig,
    constants: Rules,
    evidence: Sequence[Evidence],
    proofs: Sequence[CheckResult],
) -> str:
    """The weakest proof."""
    weakest = min(proofs, key=lambda proof: proof.log_e)
    return (
        f"candidate is no worse: {_of(weakest, config, evidence)}, "
        f"e-value {wording.e_value(weakest.log_e)} >= {wording.e_value(constants.pass_at)}"
    )


def _of(proof: CheckResult, config: AnalysisConfig, evidence: Sequence[Evidence]) -> str:
    index = next(i for i, known in enumerate(evidence) if known.objective == proof.objective)
    return wording.how_bad(config.objectives[index], evidence[index])


def invalid(state: AnalysisState, poll: Poll) -> str:
    """Which share is not as it was routed."""
    sent = sum(state.srm.counts)
    given, planned = state.srm.counts[0] / sent, state.srm.shares[0]
    return (
        f"requests are not shared as routed: {poll.candidate} got {wording.percent(given)} of "
        f"{sent:,} at a weight of {wording.percent(planned)}; only slo judges"
    )


def would_have_failed(objective: Objective, found: Evidence) -> str:
    """What a dry run saw."""
    return (
        f"dry run: {objective.name} would have turned the candidate back: it "
        f"{wording.how_bad(objective, found)}"
    )


def inconclusive(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    poll: Poll,
    evidence: Sequence[Evidence],
    proofs: Sequence[CheckResult],
) -> str:
    """What is missing for a decision."""
    acting = [known for known in evidence if known.acts]
    if not acting:
        return "no objective to judge"
    if not any(known.n_candidate for known in acting):
        return f"no {_KINDS[poll.purpose]}candidate requests yet"
    against = (
        f"e-value against it {wording.e_value(state.log_e)} of {wording.e_value(constants.fail_at)}"
    )
    if poll.purpose is not Purpose.LIVE:
        return f"{_KINDS[poll.purpose]}requests: only slo judges; {against}"
    if poll.young and poll.settled == 0:
        return (
            f"every endpoint of the candidate is younger than {config.warm_up_ms / 1000:g} s: "
            f"only slo judges; {against}"
        )
    if not proofs:
        return f"nothing concurrent to compare with: only slo judges; {against}"
    weakest = min(
        [proof for proof in proofs if proof.kind is not VerdictKind.PASSED],
        key=lambda proof: proof.log_e,
    )
    return (
        f"candidate {_of(weakest, config, evidence)}: {against}, "
        f"for it {wording.e_value(weakest.log_e)} of {wording.e_value(constants.pass_at)}"
    )
