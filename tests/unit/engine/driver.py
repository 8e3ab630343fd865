"""Drives the machine like a runtime would: applies scales, acknowledges routings, judges."""

from dataclasses import replace

from sluice.engine.actions import Action, Record, Refused, Route, Scale, Unroute
from sluice.engine.canary import SetWeight, canary_stage
from sluice.engine.canary import Step as CanaryStep
from sluice.engine.events import Acknowledged, Deployed, Event, Judged, Observed
from sluice.engine.machine import decide
from sluice.engine.plan import OnInconclusive, Plan, Ramp, Stage
from sluice.engine.state import State
from sluice.nouns import Evidence, RevisionId, Verdict, VerdictKind

V1, V2, V3 = RevisionId("v1"), RevisionId("v2"), RevisionId("v3")


def canary(
    *steps: CanaryStep,
    deadline_ms: int | None = 3_600_000,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
    proportional: bool = False,
) -> Stage:
    return canary_stage(
        steps=steps,
        ramp=Ramp(),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
        proportional=proportional,
    )


BASE = Plan(
    release="taxi",
    replicas=2,
    hosts=("taxi",),
    stages=(canary(SetWeight(weight_bp=500), SetWeight(weight_bp=2_500)),),
    min_bake_ms=10_000,
    keep_warm_ms=60_000,
    progress_deadline_ms=30_000,
)


def verdict(kind: VerdictKind, *, rate_rps: float | None = 50.0, upper: float = 1.0) -> Verdict:
    evidence = Evidence(
        objective="availability",
        n_candidate=10,
        bad_candidate=0,
        n_stable=90,
        bad_stable=0,
        rate_candidate=0.0,
        low=0.0,
        high=upper,
        upper=upper,
        baseline=0.0,
    )
    return Verdict(
        kind=kind, reason=f"said {kind}", taken_ms=0, evidence=(evidence,), rate_rps=rate_rps
    )


class Driver:
    """One release, with a world that does at once what the machine asks for."""

    def __init__(self, plan: Plan = BASE) -> None:
        self.plan = plan
        self.state = State(release=plan.release)
        self.records: list[Record] = []
        self.actions: list[Action] = []
        self.broken: set[RevisionId] = set()
        self.served: dict[RevisionId, int] = {}

    def send(self, event: Event) -> list[Action]:
        self.state, actions = decide(self.state, event)
        for action in actions:
            self.actions.append(action)
            match action:
                case Record():
                    self.records.append(action)
                case Route(routing=routing):
                    self.served = {arm.revision: arm.weight_bp for arm in routing.live}
                case Unroute():
                    self.served = {}
        return list(actions)

    def ack(self) -> None:
        self.send(Acknowledged(at_ms=self.state.at_ms, generation=self.state.generation))

    def observe(self, seconds: float = 1.0) -> list[Action]:
        ready = tuple(
            (revision, 0 if revision in self.broken else size)
            for revision, size in self.state.sizes
        )
        return self.send(Observed(at_ms=self.state.at_ms + int(seconds * 1000), ready=ready))

    def judge(self, kind: VerdictKind, **how: float | None) -> list[Action]:
        said = verdict(kind, **how)  # type: ignore[arg-type]  # keywords of verdict()
        at = self.state.at_ms
        number = self.state.pass_number
        return self.send(Judged(at_ms=at, pass_number=number, verdict=said))

    def poll(
        self, kind: VerdictKind = VerdictKind.INCONCLUSIVE, *, times: int = 1, **how: float | None
    ) -> None:
        for _ in range(times):
            self.observe()
            self.judge(kind, **how)
            self.ack()

    def deploy(self, revision: RevisionId, plan: Plan | None = None) -> list[Action]:
        self.plan = plan or self.plan
        at = self.state.at_ms
        return self.send(Deployed(at_ms=at, revision=revision, plan=self.plan))

    def deploy_again(self) -> list[Action]:
        """The same spec once more."""
        asked = self.state.spec_revision
        assert asked is not None
        variants, at = self.state.spec_variants, self.state.at_ms
        return self.send(Deployed(at_ms=at, revision=asked, plan=self.plan, variants=variants))

    def steady(self, revision: RevisionId = V1) -> "Driver":
        self.deploy(revision)
        self.observe()
        self.ack()
        assert self.state.stable == revision
        return self

    def running(self, revision: RevisionId = V2) -> "Driver":
        """Stable v1, and a candidate on its first rung."""
        self.steady()
        self.deploy(revision)
        self.observe()
        self.ack()
        return self

    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]


def scales(actions: list[Action]) -> list[tuple[RevisionId, int]]:
    return [(a.revision, a.replicas) for a in actions if isinstance(a, Scale)]


def refusal(actions: list[Action]) -> str:
    (refused,) = actions
    assert isinstance(refused, Refused)
    return refused.reason


def with_plan(**changes: object) -> Plan:
    return replace(BASE, **changes)  # type: ignore[arg-type]  # fields of Plan
