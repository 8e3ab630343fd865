"""What is shown of a release, built from what the runtime knows."""

from collections.abc import Sequence
from typing import Literal

from sluice.engine.plan import STABLE, Plan
from sluice.engine.state import Mode, State
from sluice.nouns import Replicas, RevisionId, VerdictKind
from sluice.reports.model import (
    GateStatus,
    ReleaseStatus,
    RevisionStatus,
    RungStatus,
    StickyArm,
    StickyStatus,
)
from sluice.reports.words import duration
from sluice.runtime.core import Core
from sluice.runtime.gates import asked_of, said_of

VERSION_LABEL = "app.kubernetes.io/version"


def status_of(
    core: Core,
    replicas: Sequence[Replicas],
    *,
    now_ms: int,
    problems: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> ReleaseStatus:
    """Everything that ``status`` shows.

    Args:
        core: The release.
        replicas: What the platform last showed of it.
        now_ms: UTC milliseconds.
        problems: What cannot be done or measured at the moment.
        notices: Fields of the spec without meaning on this platform.
    """
    state = core.state
    return ReleaseStatus(
        name=state.release,
        phase=state.phase,
        reason=state.reason,
        message=state.message,
        next=what_next(state),
        stable=state.stable,
        candidate=state.candidate,
        weight_bp=_weight(state, state.candidate),
        generation=state.generation,
        acknowledged=state.acknowledged,
        pass_number=state.pass_number,
        pass_started_ms=state.pass_started_ms if state.in_pass else None,
        updated_ms=now_ms,
        rungs=_rungs(state),
        gates=_gates(core),
        revisions=_revisions(core, replicas),
        verdict=core.verdict,
        warm_left_ms=state.warm.left_ms if state.warm else None,
        bake_ms=state.bake_ms,
        min_bake_ms=state.plan.min_bake_ms if state.plan else 0,
        rate_rps=core.rates.highest_rps,
        hosts=state.plan.hosts if state.plan else (),
        problems=(*problems, *_not_ready(core.state, replicas)),
        decisions=tuple(core.decisions),
        notices=tuple(notices),
        sticky=sticky_of(state),
    )


def sticky_of(state: State) -> StickyStatus | None:
    """Salt and arms that users are assigned by; None: the routing is not sticky."""
    routing = state.routing
    if routing is None or routing.sticky is None:
        return None
    names = {revision: variant for variant, revision in state.candidates}
    return StickyStatus(
        header=routing.sticky.header,
        cookie=routing.sticky.cookie,
        salt=routing.sticky.salt,
        arms=tuple(
            StickyArm(
                variant=STABLE
                if arm.revision == state.stable
                else names.get(arm.revision, arm.revision),
                revision=arm.revision,
                weight_bp=arm.weight_bp,
            )
            for arm in routing.live
        ),
    )


def _gates(core: Core) -> tuple[GateStatus, ...]:
    """Open gates, who is asked, and what they said."""
    return tuple(
        GateStatus(
            name=gate.name,
            asked=asked_of(gate.ask) if gate.ask else "",
            said=said_of(core.apart, gate.name),
        )
        for gate in core.state.open_gates
    )


def _not_ready(state: State, replicas: Sequence[Replicas]) -> list[str]:
    """Why replicas that should serve do not, as the platform says it."""
    return [
        f"{item.revision} has {len(item.ready)} of {item.desired} replicas ready: {item.message}"
        for item in replicas
        if item.message and len(item.ready) < min(item.desired, state.size_of(item.revision))
    ]


def _weight(state: State, revision: RevisionId | None) -> int:
    if state.routing is None or revision is None:
        return 0
    return state.routing.weight_bp(revision)


def _rungs(state: State) -> tuple[RungStatus, ...]:
    plan = state.plan
    if plan is None:
        return ()
    here = (state.stage, state.rung) if state.mode is Mode.RUNNING else None
    rows = []
    for place in plan.rungs:
        stage, rung = place
        where: Literal["done", "active", "todo"] = "todo"
        if here is not None and place <= here:
            where = "active" if place == here else "done"
        elif state.reason == "Promoted" and state.mode is Mode.STEADY:
            where = "done"
        step = plan.stages[stage]
        rows.append(
            RungStatus(stage=stage, strategy=step.strategy, name=step.rungs[rung].name, state=where)
        )
    return tuple(rows)


def _revisions(core: Core, replicas: Sequence[Replicas]) -> tuple[RevisionStatus, ...]:
    state = core.state
    seen = {item.revision: item for item in replicas}
    roles: dict[RevisionId, Literal["stable", "candidate", "warm", "old"]] = {}
    if state.stable is not None:
        roles[state.stable] = "stable"
    for _, revision in state.candidates:
        roles.setdefault(revision, "candidate")
    if state.warm is not None:
        roles.setdefault(state.warm.revision, "warm")
    for revision in seen:
        roles.setdefault(revision, "old")
    return tuple(
        _revision(core, revision, role, seen.get(revision)) for revision, role in (roles.items())
    )


def _revision(
    core: Core,
    revision: RevisionId,
    role: Literal["stable", "candidate", "warm", "old"],
    seen: Replicas | None,
) -> RevisionStatus:
    workload = core.workloads.get(revision)
    metadata = workload.template.get("metadata") if workload else None
    labels = (metadata or {}).get("labels") or {}
    return RevisionStatus(
        revision=revision,
        role=role,
        weight_bp=_weight(core.state, revision),
        desired=core.state.size_of(revision),
        ready=len(seen.ready) if seen else 0,
        running=seen.running if seen else 0,
        restarts=seen.restarts if seen else 0,
        message=seen.message if seen else "",
        label=str(labels.get(VERSION_LABEL, "")),
        requests=core.tally.requests.get(revision, 0),
        errors=core.tally.errors.get(revision, 0),
        rps=core.tally.rps(revision),
    )


def what_next(state: State) -> str:
    """One line: what happens next, and when or on what condition."""
    plan = state.plan
    if plan is None:
        return ""
    match state.mode:
        case Mode.PREPARING if state.reason == "FreezeWindow":
            return _next_in_freeze(state)
        case Mode.STARTING | Mode.PREPARING:
            left = duration(max(0, plan.progress_deadline_ms - state.waited_ms))
            what = "serves" if state.mode is Mode.STARTING else "gets traffic"
            ready = state.ready_of(state.candidate) if state.candidate else 0
            return (
                f"{what} when {plan.replicas} replicas are ready ({ready} now); "
                f"{left} left for that"
            )
        case Mode.RUNNING:
            return _next_on_rung(state, plan)
        case Mode.STEADY if state.warm is not None:
            return (
                f"{state.warm.revision} stays warm for {duration(state.warm.left_ms)}: "
                f"`sluice undo {state.release}` goes back at once"
            )
        case Mode.ABORTED:
            kept = (
                f"the candidate's replicas are kept for {duration(state.kept_ms)}; "
                if state.kept_ms > 0
                else ""
            )
            return f"{kept}`sluice retry {state.release}` starts a new pass"
        case _:
            return ""


def _next_on_rung(state: State, plan: Plan) -> str:
    name, rung = state.release, state.at_rung
    if state.promoting and not state.is_frozen:
        return f"promotes as soon as {plan.replicas} replicas of the candidate are ready"
    if state.paused:
        return f"`sluice resume {name}` goes on"
    if state.hold == "DeadlineExceeded":
        return f"a person decides: `sluice promote {name}`, `abort`, or `resume` to wait on"
    if state.hold:
        return "goes on as soon as it can be measured again"
    if state.open_gates and not state.promoting:
        return _next_at_gate(state)
    if state.is_frozen:
        return _next_in_freeze(state)
    if rung.exit.person:
        return f"`sluice promote {name}` goes on"
    if rung.exit.passed:
        return _next_decision(state, plan)
    left = rung.exit.hold_ms - state.rung_ms
    return (
        f"next step in {duration(left)}" if left > 0 else "next step as soon as routers serve this"
    )


def _next_at_gate(state: State) -> str:
    name, gate = state.release, state.open_gates[0]
    verbs = f"`sluice approve {name} {gate.name}` or `sluice reject {name} {gate.name}`"
    if gate.ask is None:
        return f"a person answers gate {gate.name}: {verbs}"
    if state.reason == "GateUnanswered":
        return f"a person answers gate {gate.name} in place of its {gate.ask.kind}: {verbs}"
    return f"gate {gate.name} is answered by {asked_of(gate.ask)}, or by a person: {verbs}"


def _next_in_freeze(state: State) -> str:
    force = f"`sluice promote {state.release} --force` lifts the freeze for this pass"
    return f"goes on when the freeze window ends, {state.frozen}; {force}"


def _next_decision(state: State, plan: Plan) -> str:
    bake = plan.min_bake_ms - state.bake_ms
    deadline = state.at_stage.deadline_ms
    end = ""
    if deadline is not None:
        policy = state.at_stage.on_inconclusive
        end = f"; {policy} in {duration(max(0, deadline - state.stage_ms))} (deadline)"
    shadow = state.at_rung.shadow
    if shadow is not None:
        return f"goes on when {shadow.pairs:,} pairs of answers are judged{end}"
    if state.verdict is VerdictKind.PASSED:
        return f"promotes in {duration(bake)} (minBake){end}" if bake > 0 else "promotes now"
    baked = f" and {duration(bake)} more of minBake are over" if bake > 0 else ""
    return f"promotes when the checks pass{baked}{end}"
