"""Time: which clocks of a release run in which state."""

from dataclasses import replace

from sluice.engine import desired, sizes
from sluice.engine.plan import Plan
from sluice.engine.state import Mode, State
from sluice.nouns import VerdictKind

EVIDENCE_POLLS = 5
"""Time between two events is evidence up to so many polls: a dead controller bakes none."""


def tick(state: State, elapsed: int) -> State:
    """Let time pass on the clocks that run in this state."""
    plan = state.plan
    if plan is None:
        return state
    warm = state.warm
    if warm is not None:
        left = warm.left_ms - elapsed
        warm = replace(warm, left_ms=left) if left > 0 else None
    ticked = replace(state, warm=warm, kept_ms=max(0, state.kept_ms - elapsed))
    if state.mode is Mode.STARTING or state.in_pass:
        waits = state.mode is not Mode.RUNNING or sizes.too_few(state)
        ticked = replace(ticked, waited_ms=state.waited_ms + elapsed if waits else 0)
    if state.mode is Mode.RUNNING:
        ticked = _tick_rung(ticked, plan, elapsed)
    return ticked


def _tick_rung(state: State, plan: Plan, elapsed: int) -> State:
    seen = min(elapsed, EVIDENCE_POLLS * plan.poll_ms)
    measured = state.verdict not in (None, VerdictKind.INVALID, VerdictKind.ERROR)
    live = measured and state.acknowledged >= state.generation and desired.live_bp(state) > 0
    person = state.waits_for_person
    return replace(
        state,
        rung_ms=state.rung_ms + (0 if person else seen),
        # A freeze must not use up the time that a stage has to be decided in.
        stage_ms=state.stage_ms + (0 if person or state.is_frozen else elapsed),
        bake_ms=state.bake_ms + (seen if live else 0),
    )
