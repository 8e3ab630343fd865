"""Shadow: copies of requests, judged in pairs; no user meets the candidate."""

from sluice.engine.plan import ArmSpec, Exit, Fixed, OnInconclusive, Rung, Stage
from sluice.nouns import Purpose, ShadowRules

CHECKS = ("slo", "shadow-disagreement")
"""Checks that act on copies: they are no independent sample, so nothing is compared by rates."""


def shadow_stage(
    *,
    percent_bp: int,
    rules: ShadowRules,
    last: bool,
    deadline_ms: int | None,
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD,
) -> Stage:
    """Compile a shadow.

    Args:
        percent_bp: Share of the requests that is copied, basis points.
        rules: How pairs are judged, and how many are enough.
        last: No stage follows: a person decides, because no user has met the candidate.
        deadline_ms: Time for the stage, not counting time held by a person.
        on_inconclusive: What happens when it is over; ``promote`` holds in a last stage.
    """
    arms = (ArmSpec(purpose=Purpose.MIRROR, mirror_bp=percent_bp),)
    still = Fixed(weight_bp=0)
    judged = Rung(
        name=f"shadow {percent_bp / 100:g}",
        weight=still,
        arms=arms,
        checks=CHECKS,
        shadow=rules,
        exit=Exit(passed=True, baked=False),
    )
    rungs = [judged]
    if last:
        # Copies go on, so that a candidate that breaks while nobody looks is still turned back.
        rungs.append(
            Rung(
                name="promote",
                weight=still,
                arms=arms,
                checks=CHECKS,
                shadow=rules,
                exit=Exit(person=True),
            )
        )
    if last and on_inconclusive is OnInconclusive.PROMOTE:
        on_inconclusive = OnInconclusive.HOLD
    return Stage(
        strategy="shadow",
        rungs=tuple(rungs),
        deadline_ms=deadline_ms,
        on_inconclusive=on_inconclusive,
    )
