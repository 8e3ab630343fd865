"""Blue/green: full size on a preview route, questions there; the promotion is the switch."""

from collections.abc import Sequence

from sluice.engine.plan import ArmSpec, Exit, Fixed, Gate, OnInconclusive, Rung, Stage
from sluice.nouns import Match, Purpose

CHECKS = ("slo",)
"""Before the switch only testers' requests can be judged, and nothing concurrent after it."""


def blue_green_stage(
    *,
    match: Match | None,
    hosts: tuple[str, ...],
    gates: Sequence[Gate],
    deadline_ms: int | None,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
) -> Stage:
    """Compile a blue/green switch; the plan around it sets ``Plan.watch``.

    Args:
        match: Header that chooses the candidate; with ``hosts`` or alone.
        hosts: Hosts that are the candidate's.
        gates: Asked in this order, each on a rung of its own.
        deadline_ms: Time for the stage, not counting time held by a person.
        on_inconclusive: What happens when it is over.

    Returns:
        A stage without live weight: its end is the promotion, which moves every request at once.
    """
    arms = (ArmSpec(), preview_arm(match, hosts))
    still = Fixed(weight_bp=0)
    opened = Rung(name="preview", weight=still, arms=arms, checks=CHECKS, exit=Exit())
    asked = tuple(
        Rung(
            name=f"gate {gate.name}" if gate.ask is None else f"check {gate.name}",
            weight=still,
            arms=arms,
            checks=CHECKS,
            gates=(gate,),
        )
        for gate in gates
    )
    return Stage(
        strategy="blueGreen",
        rungs=(opened, *asked),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
    )


def preview_arm(match: Match | None, hosts: tuple[str, ...] = ()) -> ArmSpec:
    """The way to a candidate without users."""
    return ArmSpec(purpose=Purpose.PREVIEW, match=match, hosts=hosts)
