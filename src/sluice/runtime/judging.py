"""One look at a release as the analysis is asked about it, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sluice.analysis import AnalysisConfig, AnalysisState, Poll, Rates, Split, observe
from sluice.analysis.decided import guarded
from sluice.engine.plan import CANDIDATE, Fixed
from sluice.engine.state import Mode, State
from sluice.nouns import Purpose, Replicas, RevisionId, Snapshot, Verdict, VerdictKind
from sluice.spec import AnalysisSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one look at the world showed of a release."""

    at_ms: int
    replicas: Sequence[Replicas]
    snapshots: tuple[Snapshot, ...] = ()
    problem: str = ""
    """Why the counters could not be read."""
    decider: Verdict | None = None
    """What pairs of answers or outcomes of users say, on a rung that they decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """One poll as it was judged: enough to judge it again."""

    poll: Poll
    after_ms: int
    """Time of the used poll before it: which state it was added to."""
    settings: AnalysisSettings
    baseline: tuple[Snapshot, ...] | None
    """Counters at the beginning of the pass, with its first poll only."""
    decider: Verdict | None = None
    """What was guarded, on a rung that something else decides."""
    further: Verdict | None = None
    """Of another variant that failed beside the candidate; taken as it was said."""


def asked(
    view: View,
    state: State,
    rates: Rates,
    roles: tuple[RevisionId, RevisionId | None],
    warm_up_ms: int,
) -> Poll:
    """What the analysis is told of one look.

    Args:
        view: What was seen.
        state: Where the release is.
        rates: Its traffic.
        roles: Candidate and stable to judge.
        warm_up_ms: Age below which an endpoint is young.
    """
    candidate, stable = roles
    ready = next((item for item in view.replicas if item.revision == candidate), None)
    since = ready.ready_since_ms if ready is not None else {}
    young = tuple(name for name, at in since.items() if view.at_ms - at < warm_up_ms)
    return Poll(
        taken_ms=view.at_ms,
        snapshots=view.snapshots,
        candidate=candidate,
        stable=stable,
        purpose=_purpose(state),
        young=young,
        settled=len(ready.ready) - len(young) if ready is not None else 1,
        split=_split(state),
        user_share=_user_share(state, candidate, stable),
        problem=view.problem,
        rate_rps=rates.highest_rps,
        interval_s=rates.longest_interval_s,
    )


def _purpose(state: State) -> Purpose:
    """Which of the candidate's requests the rung is about: live ones wherever it has any."""
    if state.mode is not Mode.RUNNING:
        return Purpose.LIVE
    rung = state.at_rung
    arms = [arm.purpose for arm in rung.arms if arm.variant == CANDIDATE]
    others = [purpose for purpose in arms if purpose is not Purpose.LIVE]
    idle = isinstance(rung.weight, Fixed) and rung.weight.weight_bp == 0
    if others and (idle or Purpose.LIVE not in arms):
        return Purpose.MIRROR if Purpose.MIRROR in others else others[0]
    return Purpose.LIVE


def _split(state: State) -> Split | None:
    routing = state.routing
    if routing is None or routing.sticky is not None or state.acknowledged < state.generation:
        return None
    shares = tuple((arm.revision, arm.weight_bp) for arm in routing.live)
    return Split(generation=state.generation, shares=shares)


def _user_share(state: State, candidate: RevisionId, stable: RevisionId | None) -> float | None:
    """The candidate's share of the users of both, fraction; None: users are not sticky."""
    routing = state.routing
    if routing is None or routing.sticky is None or stable is None:
        return None
    ours, theirs = (routing.weight_bp(revision) for revision in (candidate, stable))
    return ours / (ours + theirs) if ours and theirs else None


def judge(judging: Judging, state: AnalysisState) -> tuple[AnalysisState, Verdict]:
    """Judge a poll: the same for a release that runs and for one that is replayed.

    Args:
        judging: The poll, and what it is judged by.
        state: The analysis before it.
    """
    config = config_of(judging.settings)
    if judging.poll.stable is None:
        config = replace(config, comparisons=False)
    after, verdict = observe(config, state, judging.poll)
    further = judging.further
    if further is not None and verdict.kind is not VerdictKind.FAILED:
        verdict = replace(verdict, kind=further.kind, reason=further.reason, cause=further.cause)
    if judging.decider is not None:
        verdict = guarded(verdict, judging.decider)
    return after, verdict


@lru_cache(maxsize=1_000)
def config_of(settings: AnalysisSettings) -> AnalysisConfig:
    """The analysis' own settings; made once per policy, because every poll asks."""
    return AnalysisConfig(
        objectives=settings.objectives,
        alpha=settings.alpha,
        beta=settings.beta,
        delta=settings.delta,
        polls=settings.polls,
        warm_up_ms=settings.warm_up_ms,
        latency_order=settings.latency_order,
        compare_client_errors=settings.compare_client_errors,
        max_harmed=settings.max_harmed,
    )
