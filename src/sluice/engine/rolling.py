"""Rolling: the candidate's replicas take stable's places, batch by batch."""

from dataclasses import replace

from sluice.engine.canary import CHECKS, duration
from sluice.engine.plan import ArmSpec, ByReady, Capacity, Exit, Gate, OnInconclusive, Rung, Stage
from sluice.nouns import BP_TOTAL, Ask, Shield


def rolling_stage(
    *,
    replicas: int,
    surge: int,
    unavailable: int,
    hold_ms: int = 0,
    gate: str = "",
    ask: Ask | None = None,
    preview: ArmSpec | None = None,
    shield: Shield | None = None,
    deadline_ms: int | None,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
) -> Stage:
    """Compile a rolling update; the plan around it carries the same bounds.

    Args:
        replicas: Size of the release.
        surge: Most replicas above it.
        unavailable: Fewest ready replicas are ``replicas - unavailable``.
        hold_ms: Least time after each batch.
        gate: Asked after each batch but the last; empty: no gate.
        ask: Who answers it.
        preview: Way to the candidate for a gate that asks it something.
        shield: Replace the candidate's failed answers by stable's.
        deadline_ms: Time for the stage, not counting time held by a person.
        on_inconclusive: What happens when it is over.

    Returns:
        A rung for each batch of ``surge + unavailable`` replicas, and rungs for its pause and gate;
        the last waits for the verdict ``passed`` and for minBake.
    """
    # Stable keeps one replica until the promotion, so without surge the candidate's last waits.
    full = min(replicas, replicas + surge - 1)
    batch = surge + unavailable
    sizes = [*range(batch, full, batch), full]
    rungs: list[Rung] = []
    for number, size in enumerate(sizes, start=1):
        batch_rung = Rung(
            name=f"batch {size} of {replicas}",
            weight=ByReady(),
            capacity=Capacity(
                candidate_bp=size * BP_TOTAL // replicas,
                stable_bp=(replicas - size) * BP_TOTAL // replicas,
            ),
            checks=CHECKS,
            shield=shield,
        )
        rungs.append(batch_rung)
        if hold_ms:
            exit_ = Exit(hold_ms=hold_ms)
            rungs.append(replace(batch_rung, name=f"pause {duration(hold_ms)}", exit=exit_))
        if gate and size < full:
            asked = Gate(name=f"{gate}-{number}", ask=ask)
            arms = batch_rung.arms
            if asked.visits and preview is not None:
                arms = (*arms, preview)
            named = replace(batch_rung, name=f"gate {asked.name}", gates=(asked,), arms=arms)
            rungs.append(named)
    rungs.append(replace(batch_rung, name="bake", exit=Exit(passed=True)))
    return Stage(
        strategy="rolling",
        rungs=tuple(rungs),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
    )
