"""What a strategy compiles to: a plan of stages of rungs. The machine knows nothing else."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from sluice.errors import InvariantError
from sluice.nouns import BP_TOTAL, Ask, GoalRules, Match, Purpose, ShadowRules, Shield

CANDIDATE = "candidate"
"""Name of the variant that a plan without ``variants`` releases."""
STABLE = "stable"
"""What a forced arm calls stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A weight that a person chose."""

    weight_bp: int
    kind: Literal["fixed"] = "fixed"

    def __post_init__(self) -> None:
        if not 0 <= self.weight_bp < BP_TOTAL:
            raise InvariantError(f"weight {self.weight_bp} bp: only promotion reaches {BP_TOTAL}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """The harm-bounded ramp: as fast as the evidence allows, never more harm than the budget."""

    max_bp: int = 5_000
    growth: float = 3.0
    """Largest factor from one poll to the next."""
    harm_budget: float = 10.0
    """Expected excess bad answers in any decision interval."""
    kind: Literal["ramp"] = "ramp"

    def __post_init__(self) -> None:
        if not 0 < self.max_bp < BP_TOTAL:
            raise InvariantError(f"ramp max {self.max_bp} bp: only promotion reaches {BP_TOTAL}")
        if self.growth <= 1 or self.harm_budget <= 0:
            raise InvariantError("ramp: growth must be over 1 and the harm budget over 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ByReady:
    """Weight follows the candidate's share of all ready replicas."""

    kind: Literal["byReady"] = "byReady"


WeightRule = Fixed | Ramp | ByReady


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSpec:
    """One arm that a rung opens; ``variant`` is filled with a revision when a pass starts."""

    variant: str = CANDIDATE
    """``candidate``, another variant's name, or, for a forced arm, ``stable``."""
    purpose: Purpose = Purpose.LIVE
    share: int = 1
    """Live arms: part of the rule's weight, relative to the other live arms."""
    match: Match | None = None
    hosts: tuple[str, ...] = ()
    mirror_bp: int = 0
    """Mirror arms: share of requests that are copied, basis points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Sizes while a rung lasts, as shares of the release's replicas, rounded up."""

    candidate_bp: int | None = BP_TOTAL
    """None: follows the weight (``capacity: proportional``)."""
    stable_bp: int = BP_TOTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A yes or no that a person or a webhook answers."""

    name: str
    ask: Ask | None = None
    """Who is asked; None: a person."""

    @property
    def visits(self) -> bool:
        """Whether the answer comes from the candidate itself, which needs a way to it."""
        return self.ask is not None and self.ask.kind != "webhook"

    @property
    def may_be_slow(self) -> bool:
        """Whether people answer in the end, so that no clock may run against them."""
        return self.ask is None or self.ask.kind == "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """When a rung is over: all of it must hold."""

    hold_ms: int = 0
    """Least time in the rung, not counting time held by a person."""
    passed: bool = False
    """The verdict must be ``passed``."""
    baked: bool = True
    """With ``passed``: and the live evidence of the pass at least ``Plan.min_bake_ms`` long."""
    person: bool = False
    """Only ``promote`` goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of a stage."""

    name: str
    """As people know it: ``setWeight 5``, ``pause 2m``, ``ramp``."""
    weight: WeightRule
    arms: tuple[ArmSpec, ...] = (ArmSpec(),)
    capacity: Capacity = Capacity()
    checks: tuple[str, ...] = ()
    """Checks that act in this rung; none: the verdict is shown and does nothing."""
    gates: tuple[Gate, ...] = ()
    exit: Exit = Exit()
    shield: Shield | None = None
    shadow: ShadowRules | None = None
    """Judged by pairs of answers to mirrored requests, and by the mirrored requests' counters."""
    goals: GoalRules | None = None
    """Judged by outcomes of users; counters only guard."""


class OnInconclusive(StrEnum):
    """What happens at a stage's deadline when the checks have not decided."""

    HOLD = "hold"
    ABORT = "abort"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One strategy inside a plan."""

    strategy: Literal["canary", "blueGreen", "rolling", "shadow", "abTest"]
    rungs: tuple[Rung, ...]
    deadline_ms: int | None
    """Time for the stage, not counting time held by a person; None: no deadline."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    lease: bool = True
    """Whether live weight of candidates is leased."""

    def __post_init__(self) -> None:
        if not self.rungs:
            raise InvariantError(f"stage {self.strategy} has no rung")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole journey of a candidate, and the settings of the release around it."""

    release: str
    replicas: int
    hosts: tuple[str, ...]
    stages: tuple[Stage, ...]
    timeout_ms: int = 30_000
    sticky_header: str | None = None
    sticky_cookie: str | None = None
    forced_header: str | None = None
    """Requests with this header choose their arm: ``stable`` or a variant's name."""
    no_mirror: tuple[Match, ...] = ()
    min_bake_ms: int = 600_000
    """Least time of evidence before promotion."""
    keep_warm_ms: int = 600_000
    """How long the old stable, or an aborted candidate, stays at full size."""
    progress_deadline_ms: int = 600_000
    """How long a revision may take until its replicas are ready."""
    lease_ms: int = 30_000
    poll_ms: int = 1_000
    watch: bool = False
    """While the old stable is warm, a failed verdict switches back to it."""
    surge: int | None = None
    """Most replicas above ``replicas``, over all revisions; None: as many as the stages need. With
    a bound stable gives up its place to the candidate, and an abort goes back the same way."""
    unavailable: int = 0
    """So many fewer than ``replicas`` still carry everything."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise InvariantError(f"release {self.release}: a plan needs a stage")
        if self.replicas < 1:
            raise InvariantError(f"release {self.release}: replicas must be at least 1")
        if self.unavailable and self.surge is None:
            raise InvariantError(f"release {self.release}: only a bounded plan does with fewer")
        if self.surge is not None:
            self._check_bounds(self.surge)
        elif any(rung.capacity.stable_bp < BP_TOTAL for rung in self._rungs):
            raise InvariantError(f"release {self.release}: only in a bounded plan stable shrinks")

    def _check_bounds(self, surge: int) -> None:
        if surge < 0 or not 0 <= self.unavailable < self.replicas or surge + self.unavailable < 1:
            raise InvariantError(
                f"release {self.release}: surge {surge}, unavailable {self.unavailable} of "
                f"{self.replicas}: one must be over 0, and somebody must stay"
            )
        if not isinstance(self._rungs[-1].weight, ByReady):
            raise InvariantError(f"release {self.release}: a bounded plan ends with its replicas")

    @property
    def _rungs(self) -> tuple[Rung, ...]:
        return tuple(rung for stage in self.stages for rung in stage.rungs)

    @property
    def enough(self) -> int:
        """Ready replicas that carry everything."""
        return self.replicas - self.unavailable

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """(stage, rung) of every rung in order."""
        return tuple((s, r) for s, stage in enumerate(self.stages) for r in range(len(stage.rungs)))

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of all gates in order."""
        return tuple(gate.name for rung in self._rungs for gate in rung.gates)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants that the plan's arms use, in order of first use."""
        arms = (arm for rung in self._rungs for arm in rung.arms)
        return tuple(dict.fromkeys(arm.variant for arm in arms if arm.variant != STABLE))
