"""What the engine knows of one release: everything a decision depends on, and nothing else."""

from dataclasses import dataclass
from enum import StrEnum

from sluice.engine.plan import Gate, Plan, Rung, Stage
from sluice.nouns import Phase, RevisionId, Routing, VerdictKind


class Mode(StrEnum):
    """Where the machine stands; rows of its transition table."""

    EMPTY = "empty"
    STARTING = "starting"
    """The first revision is on its way; there is no stable yet."""
    STEADY = "steady"
    PREPARING = "preparing"
    """A candidate gets its replicas; it has no live traffic yet."""
    RUNNING = "running"
    """A candidate is on a rung."""
    ABORTED = "aborted"
    """Traffic is back on stable; the candidate is kept for inspection."""
    DELETING = "deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """The stable of before, at full size, so that undo is one routing change."""

    revision: RevisionId
    left_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """State of one release. Times are UTC ms; every ``*_ms`` counter is a duration."""

    release: str
    at_ms: int = 0
    """Time of the newest event; never goes back."""
    mode: Mode = Mode.EMPTY
    reason: str = "NoRevision"
    """Constant in CamelCase: why the release is as it is."""
    message: str = "nothing was deployed yet"
    plan: Plan | None = None
    next_plan: Plan | None = None
    """An edited plan that is taken at the next rung."""
    spec_revision: RevisionId | None = None
    """The revision that the spec asks for."""
    stable: RevisionId | None = None
    candidates: tuple[tuple[str, RevisionId], ...] = ()
    """(variant, revision); the first one is the candidate that promotion is about."""
    warm: Warm | None = None
    kept_ms: int = 0
    """How long an aborted candidate is still kept at full size."""
    previous: tuple[RevisionId, ...] = ()
    """Former stables, newest first."""
    pass_number: int = 0
    pass_started_ms: int | None = None
    stage: int = 0
    rung: int = 0
    rung_ms: int = 0
    """Time in this rung, not counting time held by a person."""
    stage_ms: int = 0
    bake_ms: int = 0
    """Time with live candidate traffic under judgement in this pass."""
    waited_ms: int = 0
    """Time that replicas have been awaited."""
    weight_bp: int = 0
    """Live weight of all candidates together, as decided."""
    paused: bool = False
    """A person said pause."""
    promoting: bool = False
    """Decided to promote; waits until the candidate alone can carry everything."""
    hold: str = ""
    """Reason constant of a hold that is not a person's; empty: none."""
    frozen: str = ""
    """A freeze window is open until then, as people read it; empty: none."""
    forced: bool = False
    """A person lifted the freeze window for this pass."""
    approved: tuple[str, ...] = ()
    """Gates answered yes in this pass."""
    verdict: VerdictKind | None = None
    """Newest verdict of this stage."""
    winner: str = ""
    """Variant that a passed test is won by; empty: the candidate."""
    spec_variants: tuple[tuple[str, RevisionId], ...] = ()
    """Further variants that the spec asks for."""
    queued: bool = False
    """What the spec asks for waits until stable, that gave up size, carries everything again."""
    ready: tuple[tuple[RevisionId, int], ...] = ()
    waiting: tuple[tuple[RevisionId, str], ...] = ()
    """Why replicas are not ready, one line by revision: said when a pass ends for it."""
    sizes: tuple[tuple[RevisionId, int], ...] = ()
    """Sizes last asked for."""
    routing: Routing | None = None
    """Routing last asked for."""
    generation: int = 0
    acknowledged: int = 0
    """Newest generation that all routers serve."""

    def ready_of(self, revision: RevisionId) -> int:
        """Ready replicas of a revision."""
        return dict(self.ready).get(revision, 0)

    def size_of(self, revision: RevisionId) -> int:
        """Size last asked for."""
        return dict(self.sizes).get(revision, 0)

    @property
    def candidate(self) -> RevisionId | None:
        """The revision that this pass is about, if there is a pass (or an aborted one)."""
        return self.candidates[0][1] if self.candidates else None

    @property
    def at_rung(self) -> Rung:
        """The rung a running pass is on."""
        return self.at_stage.rungs[self.rung]

    @property
    def at_stage(self) -> Stage:
        """The stage a pass is in."""
        assert self.plan is not None  # noqa: S101  # a mode with a stage always has a plan
        return self.plan.stages[self.stage]

    @property
    def in_pass(self) -> bool:
        """Whether a candidate is on its way."""
        return self.mode in (Mode.PREPARING, Mode.RUNNING)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing may grow or be promoted."""
        return bool(self.frozen) and not self.forced

    @property
    def open_gates(self) -> tuple[Gate, ...]:
        """Gates of the present rung without a yes, in the order in which they are answered."""
        if self.mode is not Mode.RUNNING:
            return ()
        return tuple(gate for gate in self.at_rung.gates if gate.name not in self.approved)

    @property
    def waits_for_person(self) -> bool:
        """Whether people move this on (or a webhook, behind which they may be): clocks of rung and
        stage stand.
        """
        if self.paused or self.hold == "DeadlineExceeded":
            return True
        if self.mode is not Mode.RUNNING:
            return False
        return self.at_rung.exit.person or any(gate.may_be_slow for gate in self.open_gates)

    @property
    def phase(self) -> Phase:
        """The one word."""
        match self.mode:
            case Mode.PREPARING | Mode.RUNNING:
                held = self.waits_for_person or self.hold or self.is_frozen
                return Phase.PAUSED if held else Phase.PROGRESSING
            case Mode.ABORTED:
                return Phase.ABORTED
            case Mode.STEADY:
                return Phase.DEGRADED if self.hold else Phase.HEALTHY
            case Mode.EMPTY | Mode.STARTING | Mode.DELETING:
                return Phase.DEGRADED if self.hold else Phase.PROGRESSING
