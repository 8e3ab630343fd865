"""An A/B test between two looks: who was exposed, what became of them, what it proves.

Unit is the user, never the request: requests of one user come together. Who he is with is decided
by his first exposure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

from sluice.analysis.ab_binary import Bet, Cell, score
from sluice.analysis.ab_means import (
    Difference,
    Moments,
    Origin,
    difference,
    log_e_value,
    one,
    tuning,
)
from sluice.analysis.srm import SrmState, srm_update
from sluice.errors import InvariantError
from sluice.nouns import Goal

LEAST_USERS = 100
"""Users with an outcome that each arm must have before anything is decided."""
LEAST_EVENTS = 10
"""Outcomes other than 0 that a variant and the control must have together."""
USUAL_USERS = 5_000
"""Users that intervals of means are tuned for, when no horizon is planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbConfig:
    """How one test is judged; fixed when it begins."""

    goals: tuple[Goal, ...]
    """The first one decides."""
    variants: tuple[str, ...]
    """Names; arms are these in order, then the control."""
    shares: tuple[float, ...]
    """Planned share of the users of each arm, one more than variants; they sum to 1."""
    alpha: float
    horizon_users: int = 0

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.variants) + 1 or min(self.shares) <= 0.0:
            raise InvariantError(f"shares {self.shares} for variants {self.variants}")

    @property
    def decides_at(self) -> float:
        """Logarithm of the e-value that decides one variant: alpha is split between them."""
        return log(len(self.variants) / self.alpha)

    @property
    def level(self) -> float:
        """Chance of being ever wrong that one variant has."""
        return self.alpha / len(self.variants)

    def pair_share(self, variant: int) -> float:
        """A variant's share of its own and the control's users."""
        return self.shares[variant] / (self.shares[variant] + self.shares[-1])

    def rho(self, variant: int) -> float:
        """Tuning of the interval of a variant's mean."""
        pair = self.shares[variant] + self.shares[-1]
        return tuning(self.horizon_users * pair or USUAL_USERS, self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became known of one user's outcome: the first of a goal, or another in its place."""

    arm: int
    goal: int
    after: float
    covariate: float | None = None
    before: float | None = None
    """Outcome that was known until now; None: this is the first."""
    covariate_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Evidence on one goal of one variant against the control."""

    bet: Bet = field(default_factory=Bet)
    """Binary goals."""
    log_e: float = 0.0
    """Logarithm of the e-value now."""
    peak: float = 0.0
    """Highest since there were enough users."""
    decided: int = 0
    """1: proven higher than the control, -1: lower; once proven it stays so (Ville)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalState:
    """Everything that is known of one goal."""

    arms: tuple[Moments, ...]
    lanes: tuple[Lane, ...]
    """One a variant."""
    origin: Origin | None = None
    """Set by the first users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbState:
    """All that a test remembers between looks, but for who its users are."""

    users: tuple[int, ...]
    """Exposed users of each arm, with or without an outcome."""
    goals: tuple[GoalState, ...]
    srm: SrmState = field(default_factory=SrmState)


def begin(config: AbConfig) -> AbState:
    """A test before its first user."""
    arms = len(config.shares)
    goal = GoalState(arms=(Moments(),) * arms, lanes=(Lane(),) * len(config.variants))
    return AbState(users=(0,) * arms, goals=(goal,) * len(config.goals))


def absorb(
    config: AbConfig, state: AbState, exposed: Sequence[int], changes: Sequence[Change]
) -> AbState:
    """The test after one look.

    Args:
        config: How it is judged.
        state: Before the look.
        exposed: Users of each arm that were seen for the first time.
        changes: What became known of their outcomes, at most one a user and goal.
    """
    if not any(exposed) and not changes:
        return state
    users = tuple(a + b for a, b in zip(state.users, exposed, strict=True))
    goals = tuple(
        _absorb_goal(config, goal, index, [item for item in changes if item.goal == index])
        for index, goal in enumerate(state.goals)
    )
    srm = srm_update(state.srm, exposed, config.shares) if any(exposed) else state.srm
    return replace(state, users=users, goals=goals, srm=srm)


def _absorb_goal(
    config: AbConfig, state: GoalState, index: int, changes: Sequence[Change]
) -> GoalState:
    if not changes:
        return state
    goal = config.goals[index]
    changes = [_capped(item, goal) for item in changes]
    origin = state.origin or _origin(goal, changes)
    arms = list(state.arms)
    for item in changes:
        arms[item.arm] += one(item.after, item.covariate, origin)
        if item.before is not None:
            arms[item.arm] += one(item.before, item.covariate_before, origin, sign=-1)
    cells = [_cell(arm, changes, index) for index, arm in enumerate(state.arms)]
    lanes = []
    for variant, lane in enumerate(state.lanes):
        bet = lane.bet
        if goal.kind == "binary":
            bet = score(bet, cells[variant], cells[-1], config.pair_share(variant))
        lanes.append(_looked(config, goal, replace(lane, bet=bet), variant, arms, origin))
    return GoalState(arms=tuple(arms), lanes=tuple(lanes), origin=origin)


def _capped(change: Change, goal: Goal) -> Change:
    if goal.cap is None or goal.kind == "binary":
        return change
    before = change.before if change.before is None else min(change.before, goal.cap)
    return replace(change, after=min(change.after, goal.cap), before=before)


def _origin(goal: Goal, changes: Sequence[Change]) -> Origin:
    if goal.kind == "binary":
        return Origin()
    known = [item.covariate for item in changes if item.covariate is not None]
    return Origin(
        y=sum(item.after for item in changes) / len(changes),
        x=sum(known) / len(known) if known else 0.0,
    )


def _cell(before: Moments, changes: Sequence[Change], arm: int) -> Cell:
    """The look of one arm in numbers of users; outcomes are 0 or 1."""
    ours = [(item.before, item.after) for item in changes if item.arm == arm]
    return Cell(
        yes=ours.count((None, 1.0)),
        no=ours.count((None, 0.0)),
        turned_yes=ours.count((0.0, 1.0)),
        turned_no=ours.count((1.0, 0.0)),
        had_yes=before.nonzero,
        had_no=before.n - before.nonzero,
    )


def _looked(
    config: AbConfig, goal: Goal, lane: Lane, variant: int, arms: Sequence[Moments], origin: Origin
) -> Lane:
    """The lane with its e-value of now, and decided where that is enough."""
    ours, control = arms[variant], arms[-1]
    if goal.kind == "binary":
        log_e, sign = lane.bet.log_e, lane.bet.sign
    elif min(ours.n, control.n) >= LEAST_USERS:
        found = difference(ours, control, origin)
        log_e = log_e_value(found, config.rho(variant))
        sign = 1 if found.estimate > 0.0 else -1
    else:
        return lane
    if not enough(ours, control):
        return replace(lane, log_e=log_e)
    decided = lane.decided or (sign if log_e >= config.decides_at else 0)
    return replace(lane, log_e=log_e, peak=max(lane.peak, log_e), decided=decided)


def enough(variant: Moments, control: Moments) -> bool:
    """Whether there are users and events enough to decide anything.

    Events are counted in both arms together: one in which nothing ever happens must not be safe
    from a verdict.
    """
    users = min(variant.n, control.n)
    return users >= LEAST_USERS and variant.nonzero + control.nonzero >= LEAST_EVENTS


def compared(state: GoalState, variant: int) -> Difference | None:
    """The difference of a variant from the control; None before each has two users."""
    ours, control = state.arms[variant], state.arms[-1]
    if min(ours.n, control.n) < 2 or state.origin is None:
        return None
    return difference(ours, control, state.origin)
