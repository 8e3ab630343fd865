"""A/B test: fixed shares, users stay, outcomes decide."""

from collections.abc import Sequence

from sluice.engine.canary import CHECKS
from sluice.engine.plan import STABLE, ArmSpec, Exit, Fixed, Rung, Stage
from sluice.nouns import GoalRules, Match, Purpose, Shield


def ab_test_stage(
    *,
    variants: Sequence[tuple[str, int]],
    rules: GoalRules,
    forced_header: str | None = None,
    shield: Shield | None = None,
) -> Stage:
    """Compile an A/B test.

    Args:
        variants: (name, share in basis points), candidate first; stable has the rest.
        rules: What decides it.
        forced_header: Header by which testers choose ``stable`` or a variant; None: no such arms.
        shield: Replace the variants' failed answers by stable's.

    Returns:
        A stage without deadline (the horizon is the judge's) and without lease: a test that lost
        its users whenever a controller restarts would measure nothing.
    """
    live = tuple(ArmSpec(variant=name, share=share_bp) for name, share_bp in variants)
    forced = tuple(
        ArmSpec(variant=name, purpose=Purpose.FORCED, match=Match(header=forced_header, value=name))
        for name in (*(name for name, _ in variants), STABLE)
        if forced_header is not None
    )
    shares = " + ".join(f"{name} {share_bp / 100:g}" for name, share_bp in variants)
    rung = Rung(
        name=f"test {shares}",
        weight=Fixed(weight_bp=sum(share_bp for _, share_bp in variants)),
        arms=(*live, *forced),
        checks=CHECKS,
        goals=rules,
        shield=shield,
        exit=Exit(passed=True, baked=False),
    )
    return Stage(strategy="abTest", rungs=(rung,), deadline_ms=None, lease=False)
