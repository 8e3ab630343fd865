"""Counters in, verdict out: the analysis of one pass, one poll at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sluice.analysis import checks, incident, order, pods, shares, sick, users
from sluice.analysis.average import combine
from sluice.analysis.checks import Batch, Bets
from sluice.analysis.counters import Reading, Unusable, difference, first_marks
from sluice.analysis.mixture import ONCE, Restarts, fresh, score
from sluice.analysis.pods import Pod
from sluice.analysis.rules import Rules, rules
from sluice.analysis.state import AnalysisConfig, AnalysisState, ObjectiveState, Poll
from sluice.analysis.verdicts import judge
from sluice.errors import InvariantError
from sluice.nouns import Objective, Purpose, Snapshot, Verdict


def start(config: AnalysisConfig, baseline: tuple[Snapshot, ...]) -> AnalysisState:
    """The state at the beginning of a pass.

    Args:
        config: How the pass is judged.
        baseline: The counters of every router now; what they hold is not counted. A router that
            is missing here counts as one that began during the pass.
    """
    constants = rules(config, compares=config.comparisons)
    live = [arm.counts for snap in baseline for arm in snap.arms if arm.purpose is Purpose.LIVE]
    known = order.choose(live, constants.restarts) if constants.order_weight else None
    return AnalysisState(
        objectives=tuple(_nothing_known(known, constants.restarts) for known in constants.bets),
        marks=first_marks(config.objectives, baseline, known.columns if known else ()),
        compares=config.comparisons,
        clients=fresh(len(constants.clients.logs), constants.restarts),
        order=known,
    )


def _nothing_known(known: Bets, restarts: Restarts) -> ObjectiveState:
    return ObjectiveState(
        slo=fresh(len(known.slo), restarts),
        regression=fresh(len(known.ratios.logs), restarts),
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
    before = _with_order(constants, state, poll)
    reading = difference(config.objectives, before.marks, poll, before.order)
    if isinstance(reading, Unusable):
        return state, judge(config, constants, state, poll, problem=reading.reason)
    after = _scored(config, constants, _of_purpose(before, poll), poll, reading)
    return after, judge(config, constants, after, poll)


def _with_order(constants: Rules, state: AnalysisState, poll: Poll) -> AnalysisState:
    """Boundaries, once stable's latencies are known; never seen from the candidate's."""
    if state.order is not None or not constants.order_weight:
        return state
    live = [
        arm.counts
        for snap in poll.snapshots
        for arm in snap.arms
        if arm.purpose is Purpose.LIVE and arm.revision != poll.candidate
    ]
    return replace(state, order=order.choose(live, constants.restarts))


def _of_purpose(state: AnalysisState, poll: Poll) -> AnalysisState:
    """Counts begin again when other requests are judged: what mirrored requests met says nothing
    about users. The e-values go on, one alpha for the whole pass.
    """
    if state.purpose is poll.purpose:
        return state
    return replace(
        state,
        purpose=poll.purpose,
        objectives=tuple(
            [
                replace(known, n_candidate=0, bad_candidate=0, n_stable=0, bad_stable=0)
                for known in state.objectives
            ]
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What holds for every objective in one poll."""

    reading: Reading
    restarts: Restarts
    live: bool
    """The candidate's live requests are judged."""
    watching: bool
    """Stable is there at the same time, so that its incidents are seen."""
    comparing: bool
    """The candidate's live requests are compared with stable's."""
    shared: bool
    """Requests are shared as routed, as far as anybody knows."""
    spared: frozenset[str]
    """Endpoints that are being replaced."""
    young: frozenset[str]
    young_unknown: bool
    """Some endpoints are young and nobody knows what they answered."""
    user_shares: tuple[float, ...]
    """Shares of users that may have been in force; empty: requests are compared."""

    def judged(self, objective: Objective, batch: Batch) -> Batch:
        """Without endpoints that are being replaced."""
        return self._without(objective, batch, self.spared)

    def compared(self, objective: Objective, batch: Batch) -> Batch | None:
        """Without young ones as well; None: they cannot be told apart."""
        if not self.comparing or self.young_unknown:
            return None
        if objective.kind != "availability" and self.young_answered:
            return None
        return self._without(objective, batch, self.spared | self.young)

    @property
    def young_answered(self) -> bool:
        """Whether a young endpoint answered anything."""
        answered = self.reading.pods or {}
        return any(answered.get(name, (0, 0))[0] for name in self.young)

    def _without(self, objective: Objective, batch: Batch, names: frozenset[str]) -> Batch:
        answered: Mapping[str, tuple[int, int]] = self.reading.pods or {}
        if objective.kind != "availability":
            return batch
        for name in names & answered.keys():
            batch = batch.without(*answered[name])
        return batch


def _scored(
    config: AnalysisConfig, constants: Rules, state: AnalysisState, poll: Poll, reading: Reading
) -> AnalysisState:
    known_srm = shares.advance(state, poll, reading)
    spared = frozenset(name for name, until in state.spared if poll.taken_ms < until)
    young = frozenset(poll.young)
    turn = _Turn(
        reading=reading,
        restarts=constants.restarts,
        live=poll.purpose is Purpose.LIVE,
        watching=config.comparisons and state.compares,
        comparing=config.comparisons and state.compares and poll.purpose is Purpose.LIVE,
        shared=not shares.mismatch(known_srm),
        spared=spared,
        young=young,
        young_unknown=bool(young) and reading.pods is None,
        user_shares=users.remember(state.user_shares, poll.user_share) if reading.users else (),
    )
    steps = [
        _advance(objective, known, before, batch, turn)
        for objective, known, before, batch in zip(
            config.objectives, constants.bets, state.objectives, reading.batches, strict=True
        )
    ]
    separable = turn.comparing and turn.shared and not turn.young_unknown
    comparable = separable and not turn.young_answered and not turn.user_shares
    clients, client_counts = state.clients, state.client_counts
    known_order = state.order
    if comparable and constants.clients_weight and reading.clients.compares:
        batch = reading.clients
        factors = checks.comparison_factors(constants.clients, batch)
        clients = score(clients, factors, batch.n_candidate, constants.restarts)
        client_counts = _plus(client_counts, batch)
    if comparable and known_order is not None:
        known_order = order.advance(known_order, reading.slower, constants.restarts)
    after = replace(
        state,
        objectives=tuple(objective for objective, _ in steps),
        marks=reading.marks,
        shielded=state.shielded + (reading.shielded if turn.live else 0),
        clients=clients,
        client_counts=client_counts,
        order=known_order,
        srm=known_srm,
        generation=poll.split.generation if poll.split else 0,
        user_shares=turn.user_shares,
        taken_ms=poll.taken_ms,
        sick="",
        pods=_pods(config, constants, state, turn, steps),
    )
    average = combine(constants, after, shared=turn.shared)
    # Nobody knows which pod a user met: what users say cannot be blamed on one.
    told = turn.shared and not turn.user_shares
    blamed = average if told else combine(constants, after, shared=False)
    if min(average, blamed) >= constants.fail_at > after.peak:
        well = sick.found(config, constants, after, poll, total=average, shared=told)
        if well is not None:
            return well
    return replace(after, log_e=average, peak=max(after.peak, average))


def _pods(
    config: AnalysisConfig,
    constants: Rules,
    state: AnalysisState,
    turn: _Turn,
    steps: list[tuple[ObjectiveState, pods.Step]],
) -> tuple[Pod, ...]:
    index = sick.objective_of(config)
    answered = turn.reading.pods
    if index is None or answered is None or not turn.live:
        return state.pods
    before = state.objectives[index]
    left = {name: counts for name, counts in answered.items() if name not in turn.spared}
    return pods.advance(
        state.pods,
        left,
        constants.bets[index],
        (before.slo, before.regression),
        steps[index][1],
    )


def _plus(counts: tuple[int, int, int, int], batch: Batch) -> tuple[int, int, int, int]:
    a, b, c, d = counts
    return (
        a + batch.n_candidate,
        b + batch.bad_candidate,
        c + batch.n_stable,
        d + batch.bad_stable,
    )


def _advance(
    objective: Objective, known: Bets, before: ObjectiveState, whole: Batch, turn: _Turn
) -> tuple[ObjectiveState, pods.Step]:
    slo, regression = before.slo, before.regression
    ratio, budget = before.ratio, before.budget
    evidence = before.incident
    batch = turn.judged(objective, whole)
    compared = turn.compared(objective, whole)
    incident_now = False
    if turn.watching:
        evidence = incident.watch(known, evidence, batch)
        incident_now = incident.is_shared(known, evidence, batch)
    judged = batch.n_candidate > 0 and not incident_now
    if judged:
        slo = score(slo, checks.slo_factors(known, batch), batch.n_candidate, turn.restarts)
    if judged and compared is not None and compared.n_candidate > 0:
        budget = score(budget, checks.budget_factors(known, compared), compared.n_candidate, ONCE)
    scored = compared is not None and compared.compares and turn.shared
    if compared is not None and scored and turn.user_shares:
        scored = False
        # Counted whole: which of them met a young or a replaced pod is not known.
        if objective.kind == "availability" and not (turn.young_answered or turn.spared):
            factors = users.factors(known.ratios, turn.reading, turn.user_shares)
            regression = score(regression, factors, compared.n_candidate, turn.restarts)
    if compared is not None and scored:
        factors = checks.comparison_factors(known.ratios, compared)
        regression = score(regression, factors, compared.n_candidate, turn.restarts)
        passing = checks.ratio_factors(known, compared)
        ratio = score(ratio, passing, compared.n_candidate, ONCE)
    after = ObjectiveState(
        n_candidate=before.n_candidate + batch.n_candidate,
        bad_candidate=before.bad_candidate + batch.bad_candidate,
        n_stable=before.n_stable + batch.n_stable,
        bad_stable=before.bad_stable + batch.bad_stable,
        slo=slo,
        regression=regression,
        ratio=ratio,
        budget=budget,
        incident=evidence,
        harmed=before.harmed + (whole.bad_candidate if turn.live else 0),
    )
    step = pods.Step(
        judged=batch if judged else None,
        compared=compared if scored else None,
        young=turn.young,
        slo_stake=turn.restarts.log_stake(before.slo.used),
        regression_stake=turn.restarts.log_stake(before.regression.used),
    )
    return after, step
