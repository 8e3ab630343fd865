"""The routing that a state asks for, as a pure function of the state; sizes: ``sizes``.

Actions are the difference between the worlds before and after an event, so a controller that was
killed anywhere asks for the same again.
"""

from sluice.engine.plan import STABLE, ArmSpec, Plan, Rung
from sluice.engine.state import Mode, State
from sluice.nouns import BP_TOTAL, Arm, Capture, Match, Purpose, RevisionId, Routing, Sticky


def salt_of(release: str, pass_number: int) -> str:
    """What is hashed before each user, so that every release and pass draws its own."""
    return f"{release}:{pass_number}"


def routing(state: State, generation: int) -> Routing | None:
    """All traffic that this state asks for; None: nothing to serve yet, or any more."""
    plan, stable = state.plan, state.stable
    if plan is None or stable is None or state.mode is Mode.DELETING:
        return None
    live, others, rung = _arms(state, plan)
    weight = sum(arm.weight_bp for arm in live)
    live.append(Arm(revision=stable, weight_bp=BP_TOTAL - weight))
    sticky = None
    if plan.sticky_header or plan.sticky_cookie:
        sticky = Sticky(
            header=plan.sticky_header,
            cookie=plan.sticky_cookie,
            salt=salt_of(state.release, state.pass_number),
        )
    leased = weight > 0 and state.mode is Mode.RUNNING and state.at_stage.lease
    return Routing(
        release=state.release,
        generation=generation,
        arms=(*live, *others),
        hosts=plan.hosts,
        timeout_ms=plan.timeout_ms,
        sticky=sticky,
        shield=rung.shield if rung and weight > 0 else None,
        lease_ms=plan.lease_ms if leased else None,
        no_mirror=plan.no_mirror,
        capture=_capture(rung, others),
    )


def _capture(rung: Rung | None, others: list[Arm]) -> Capture | None:
    """Answers are kept where a rung compares them, as soon as somebody gets copies."""
    copied = any(arm.purpose is Purpose.MIRROR and arm.weight_bp > 0 for arm in others)
    if rung is None or rung.shadow is None or not copied:
        return None
    return Capture(noise_bp=rung.shadow.noise_bp)


def _arms(state: State, plan: Plan) -> tuple[list[Arm], list[Arm], Rung | None]:
    """Live arms but stable's, the other arms, and the rung that opened them."""
    live: list[Arm] = []
    others: list[Arm] = []
    rung = state.at_rung if state.mode is Mode.RUNNING else None
    revisions = dict(state.candidates)
    ready = {
        variant: revision
        for variant, revision in revisions.items()
        if state.ready_of(revision) > 0 and revision != state.stable
    }
    if state.mode is Mode.RUNNING and rung is not None:
        weights = _split(state, rung, plan, ready)
        for spec in rung.arms:
            revision = _meant(state, spec, ready)
            if revision is None:
                continue
            match spec.purpose:
                case Purpose.LIVE:
                    live.append(Arm(revision=revision, weight_bp=weights[spec.variant]))
                case Purpose.MIRROR:
                    others.append(
                        Arm(revision=revision, purpose=Purpose.MIRROR, weight_bp=spec.mirror_bp)
                    )
                case Purpose.FORCED | Purpose.PREVIEW:
                    others.append(
                        Arm(
                            revision=revision,
                            purpose=spec.purpose,
                            match=spec.match,
                            hosts=spec.hosts,
                        )
                    )
    elif state.mode is Mode.PREPARING or (
        state.mode is Mode.ABORTED and (state.kept_ms > 0 or state.weight_bp > 0)
    ):
        # An arm without weight: the routers know the cluster before the first request goes there.
        weight = state.weight_bp if state.mode is Mode.ABORTED else 0
        for index, revision in enumerate(ready.values()):
            live.append(Arm(revision=revision, weight_bp=weight if index == 0 else 0))
    if state.warm is not None and state.ready_of(state.warm.revision) > 0:
        known = {arm.revision for arm in live} | {state.stable}
        if state.warm.revision not in known:
            live.append(Arm(revision=state.warm.revision, weight_bp=0))
    if plan.forced_header and live and state.mode is not Mode.STEADY:
        others = [*_forced(plan.forced_header, ready, state.stable), *others]
    return live, others, rung


def _meant(state: State, spec: ArmSpec, ready: dict[str, RevisionId]) -> RevisionId | None:
    if spec.variant == STABLE and spec.purpose is Purpose.FORCED:
        return state.stable
    return ready.get(spec.variant)


def _forced(header: str, ready: dict[str, RevisionId], stable: RevisionId | None) -> list[Arm]:
    named = [*ready.items(), (STABLE, stable)]
    return [
        Arm(revision=revision, purpose=Purpose.FORCED, match=Match(header=header, value=name))
        for name, revision in named
        if revision is not None
    ]


def _split(state: State, rung: Rung, plan: Plan, ready: dict[str, RevisionId]) -> dict[str, int]:
    """Weight of each ready live variant; what an unready one would have goes to stable."""
    weight = min(state.weight_bp, carried_bp(state, rung, plan))
    return {
        variant: weight_bp if variant in ready else 0
        for variant, weight_bp in live_shares(rung, weight)
    }


def live_shares(rung: Rung, weight_bp: int) -> tuple[tuple[str, int], ...]:
    """(variant, basis points) of a rung's live arms, when ``weight_bp`` is shared among them."""
    specs = [spec for spec in rung.arms if spec.purpose is Purpose.LIVE]
    shares = sum(spec.share for spec in specs)
    return tuple((spec.variant, weight_bp * spec.share // shares) for spec in specs)


def carried_bp(state: State, rung: Rung, plan: Plan) -> int:
    """The largest candidate weight that the ready replicas carry, basis points.

    With full capacity any weight goes as long as one replica is ready: the size was waited for
    before the first request. With proportional capacity the weight waits for its replicas.
    """
    live = [spec.variant for spec in rung.arms if spec.purpose is Purpose.LIVE]
    counts = [state.ready_of(revision) for name, revision in state.candidates if name in live]
    if not counts or not any(counts):
        return 0
    if rung.capacity.candidate_bp is None:
        return min(BP_TOTAL - 1, max(counts) * BP_TOTAL // plan.replicas)
    return BP_TOTAL - 1


def live_bp(state: State) -> int:
    """Live weight of all candidates in the routing last asked for, basis points."""
    if state.routing is None:
        return 0
    return sum(state.routing.weight_bp(revision) for _, revision in state.candidates)
